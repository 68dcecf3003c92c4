"""A setting, metric, route, command or flag that no page names is a defect."""

import re
from collections.abc import Iterator
from pathlib import Path

import typer

import aegis_sink
from aegis_sink.cli import app
from aegis_sink.metrics import Metrics
from aegis_sink.settings import Settings, shown, variable
from aegis_sink.web.openapi_document import document

DOCS = Path(__file__).parents[3] / "docs"
SOURCE = Path(aegis_sink.__file__).parent


def rows(page: str, *, after: str = "") -> list[list[str]]:
    """The cells of every table row of a page, from the line `after` on."""
    text = (DOCS / page).read_text("utf-8")
    text = text[text.index(after) :]
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def test_the_table_of_settings_is_the_settings() -> None:
    wanted = []
    for name, info in Settings.model_fields.items():
        default = shown(name, info.default)
        wanted.append(
            [
                f"`{variable(name)}`",
                "" if default == "none" else f"`{default}`",
                info.description,
            ]
        )
    assert rows("settings.md")[1:] == wanted


def test_every_setting_is_read_somewhere() -> None:
    source = "\n".join(
        path.read_text("utf-8") for path in SOURCE.rglob("*.py") if path.name != "settings.py"
    )
    unread = [name for name in Settings.model_fields if f"settings.{name}" not in source]
    assert unread == []


def test_the_table_of_metrics_is_the_metrics() -> None:
    wanted = {
        f"`{metric.name}{'_total' if metric.type == 'counter' else ''}`": [
            metric.type,
            metric.documentation,
        ]
        for metric in Metrics().registry.collect()
    }
    assert {name: rest for name, *rest in rows("operations.md")[1:]} == wanted


def test_the_routes_on_the_page_are_the_routes_of_the_document() -> None:
    written = {
        route
        for cells in rows("http.md")
        for route in re.findall(r"`((?:GET|POST|DELETE) \S+)`", cells[0])
    }
    assert written == {
        f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item
    }


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command with its flags."""

    def walk(command: object, path: str) -> Iterator[tuple[str, list[str]]]:
        for name, sub in getattr(command, "commands", {}).items():
            yield from walk(sub, f"{path} {name}")
        if getattr(command, "invoke_without_command", False) or not hasattr(command, "commands"):
            flags = [
                option
                for parameter in getattr(command, "params", [])
                for option in parameter.opts
                if option.startswith("-")
            ]
            yield path, flags

    yield from walk(typer.main.get_command(app), "aegis-sink")


def test_every_command_and_flag_is_on_the_page() -> None:
    found = list(commands())
    assert len(found) >= 9
    page = (DOCS / "cli.md").read_text("utf-8")
    written = {re.sub(r" [A-Z]+…?$", "", cells[0].strip("`")) for cells in rows("cli.md")[1:]}
    assert written == {command for command, _ in found}
    missing = [
        (command, flag)
        for command, flags in found
        for flag in flags
        if not re.search(rf"`{flag}[ `]", page)
    ]
    assert missing == []


def test_every_command_prints_json_where_it_prints() -> None:
    assert {command for command, flags in commands() if "--json" not in flags} == {
        "aegis-sink serve"
    }


def test_every_flag_explains_itself() -> None:
    def parameters(command: object) -> Iterator[tuple[str, str | None]]:
        for parameter in getattr(command, "params", []):
            yield f"{command} {parameter.name}", getattr(parameter, "help", None)
        for sub in getattr(command, "commands", {}).values():
            yield from parameters(sub)

    assert [name for name, text in parameters(typer.main.get_command(app)) if not text] == []
