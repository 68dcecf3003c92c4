"""The commands, run in this process, and a real service in another for those that talk to one."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aegis_sink.cli import main

Environment = dict[str, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, parsed."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Running:
    """`aegis-sink serve` in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    environment: Environment


Run = Callable[..., Ended]


def environment_for(folder: Path, **settings: str) -> Environment:
    """This process's environment without settings, then those for a test."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("AEGIS_")}
    return {
        **clean,
        "AEGIS_DATABASE_URL": f"sqlite:///{folder}/sink.db",
        "AEGIS_KUBERNETES": "off",
        "AEGIS_LLM_API": "off",
        "AEGIS_GROUP_WAIT": "0s",
        "AEGIS_PORT": "0",
        **{f"AEGIS_{name.upper()}": value for name, value in settings.items()},
    }


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs one command: arguments, then settings or a whole environment."""
    # Logging that a command sets up ends with the test, as does the stream it writes to.
    monkeypatch.setattr(logging.root, "handlers", list(logging.root.handlers))

    def once(*arguments: str, environment: Environment | None = None, **settings: str) -> Ended:
        for name in [name for name in os.environ if name.startswith("AEGIS_")]:
            monkeypatch.delenv(name)
        for name, value in (environment or environment_for(tmp_path, **settings)).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["aegis-sink", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        seen = capfd.readouterr()
        code = end.value.code
        return Ended(code if isinstance(code, int) else 0, seen.out, seen.err)

    return once


def start(environment: Environment, *arguments: str) -> Running:
    """Start a service and wait until it says that it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aegis_sink", "serve", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"listens on (http://\S+)", line):
            return Running(process, found.group(1), environment)
    raise AssertionError(f"the service ended with {process.wait()}")


def stop(running: Running) -> tuple[str, str]:
    """Stop it; the rest of what it wrote."""
    running.process.terminate()
    return running.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for all tests of a module."""
    one = start(environment_for(tmp_path_factory.mktemp("served")))
    yield one
    stop(one)
    assert one.process.returncode == 0
