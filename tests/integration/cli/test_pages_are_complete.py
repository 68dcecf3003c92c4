"""A setting, metric, route, command or flag that no page names is a defect."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import aegis_sink
from aegis_sink.cli import app
from aegis_sink.metrics import Metrics
from aegis_sink.settings import Settings, shown, variable
from aegis_sink.web.openapi import document

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
SHIPPED = ("docs", "k8sgpt", "helm")
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


def below(command: object) -> list[tuple[str, object]]:
    """The commands of a group; none of a command."""
    if not isinstance(command, TyperGroup):
        return []
    context = typer.Context(command)
    return [(name, command.get_command(context, name)) for name in command.list_commands(context)]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command with its flags."""

    def walk(command: object, path: str) -> Iterator[tuple[str, list[str]]]:
        for name, sub in below(command):
            yield from walk(sub, f"{path} {name}")
        if getattr(command, "invoke_without_command", False) or not below(command):
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
    written = {re.sub(r" [A-Z]+…?$", "", cells[0].strip("`")) for cells in rows("cli.md")[1:]}
    assert written == {command for command, _ in found}
    # A flag is looked for where its command is spoken of: another command may have one of its name.
    places = re.split(r"\n\n|\n(?=\|)", (DOCS / "cli.md").read_text("utf-8"))
    missing = [
        (command, flag)
        for command, flags in found
        for flag in {*flags} - {"--json"}  # said of all commands at once
        if not any(
            re.search(rf"`(aegis-sink )?{command.removeprefix('aegis-sink ')}[` ]", place)
            and re.search(rf"`{flag}[ `]", place)
            for place in places
        )
    ]
    assert missing == []


PAGES = sorted({*ROOT.glob("*.md"), *(p for d in SHIPPED for p in (ROOT / d).rglob("*.md"))})


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_command_that_a_page_gives_is_one_that_the_program_takes(page: Path) -> None:
    flags = {"aegis-sink": ["--version"], **dict(commands())}
    groups = {command.rpartition(" ")[0] for command in flags} - {*flags, ""}
    flags |= {group: flags.get(f"{group} run", []) for group in groups}  # `eval DIR` is `eval run`
    for line in re.findall(
        r"(?:`|^|-- |bin/|\| |=\w+ )aegis-sink( [^`\n#]+?)(?= [|&]|`|#|$)",
        page.read_text("utf-8"),
        re.MULTILINE,
    ):
        command, words = "aegis-sink", line.split()
        while words and f"{command} {words[0]}" in flags:
            command = f"{command} {words.pop(0)}"
        below = any(other.startswith(f"{command} ") for other in flags)
        assert not (below and words and re.fullmatch("[a-z]+", words[0])), line
        asked = {word for word in words if re.match("-+[a-z]", word)}
        assert asked <= {*flags[command]}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_routes_and_metrics_that_a_page_names_are_the_services(page: Path) -> None:
    text = page.read_text("utf-8")
    paths = {re.sub(r"{\w+}", "{}", path) for path in document()["paths"]}
    named = re.findall(r"`(?:GET|POST|PUT|PATCH|DELETE) (/[^\s`?]*)", text)
    assert {re.sub(r"{\w+}", "{}", path) for path in named} - paths == set()
    metrics = {metric.name for metric in Metrics().registry.collect()}
    named = re.findall(r"\baegis_sink_\w+", text)
    assert {re.sub("_(total|bucket|sum|count)$", "", name) for name in named} - metrics == set()


def test_every_command_prints_json_where_it_prints() -> None:
    assert {command for command, flags in commands() if "--json" not in flags} == {
        "aegis-sink serve"
    }


def test_every_flag_explains_itself() -> None:
    def parameters(command: object) -> Iterator[tuple[str, str | None]]:
        for parameter in getattr(command, "params", []):
            yield f"{command} {parameter.name}", getattr(parameter, "help", None)
        for _, sub in below(command):
            yield from parameters(sub)

    assert [name for name, text in parameters(typer.main.get_command(app)) if not text] == []
