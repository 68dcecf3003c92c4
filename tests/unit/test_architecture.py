"""The shape of the house: imports run one way, and nothing names what must not be named."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "aegis_sink"


def test_imports_run_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_a_command_does_not_wait_for_what_another_needs() -> None:
    asked = "import sys, aegis_sink.cli; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert {"aiohttp", "kubernetes", "pydantic", "sqlalchemy"} & set(run.stdout.split()) == set()


def test_only_the_store_knows_sql() -> None:
    strangers = [
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*.py")
        if "store" not in path.parts
        and re.search(r"^\s*(import|from) sqlalchemy", path.read_text(), re.M)
    ]
    assert strangers == []


@pytest.mark.parametrize("room", ["model", "triage", "dialects"])
def test_pure_rooms_read_no_clock_and_no_randomness(room: str) -> None:
    forbidden = {"time", "random", "secrets", "uuid", "socket", "asyncio", "os"}
    found = {
        (path.name, name)
        for path in (PACKAGE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name.split(".")[0] for alias in node.names]
            if isinstance(node, ast.Import)
            else [(node.module or "").split(".")[0]]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name in forbidden
    }
    assert found == set()


@pytest.mark.parametrize("room", ["model", "triage"])
def test_pure_rooms_never_ask_what_time_it_is(room: str) -> None:
    asked = [
        path.name
        for path in (PACKAGE / room).rglob("*.py")
        if re.search(r"\b(datetime\.now|datetime\.utcnow|date\.today)\b", path.read_text())
    ]
    assert asked == []


def test_every_runtime_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("dependencies = [", 1)[1].split("]\n", 1)[0]
    names = re.findall(r'"([A-Za-z0-9-]+)', block)
    table = (ROOT / "docs" / "dependencies.md").read_text()
    missing = [name for name in names if f"| {name} |" not in table]
    assert names
    assert missing == []


def test_locks_hold_hashes_and_no_addresses() -> None:
    for name in ("runtime", "dev"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        pins = re.findall(r"^([A-Za-z0-9._-]+)==", text, re.M)
        assert len(pins) > 20
        assert text.count("--hash=sha256:") >= len(pins)
        assert "://" not in text
