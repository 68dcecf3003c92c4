"""What the commands share: where they print, how they fail, and how they read the store."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from aegis_sink.client import Client, address
from aegis_sink.settings import Loaded, load
from aegis_sink.store.database import Connection, Database, open_engine
from aegis_sink.store.schema import check as check_schema

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[
    str | None, typer.Option("--url", help="The service to talk to; by default this machine's.")
]

out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """For the person, on standard error."""
    err.print(text, soft_wrap=True)


def fail(text: str) -> NoReturn:
    """Say why and end with 1."""
    say(f"aegis-sink: {text}")
    raise SystemExit(1)


def print_table(table: Table) -> None:
    """One row a line where no person reads it; the first column is never broken."""
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.overflow = "fold"
    if not out.is_terminal:  # for a program or a file: a row is a line, however long
        out.width = 10_000
    out.print(table)


def print_json(data: object) -> None:
    """For a program, on standard output."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end on a loop of its own. Ctrl-C lets it put away what it has open."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # until now there was nothing open
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def settings_as_set() -> Loaded:
    """The settings of this environment. SettingsError names what is wrong."""
    return load(os.environ)


def client(url: str | None) -> Client:
    """To the running service: at `url`, else where the settings say it listens."""
    settings = settings_as_set().settings
    token = settings.api_token.get_secret_value() if settings.api_token else None
    return Client(url or address(settings), token)


def read_store(reading: Callable[[Connection], T]) -> T:
    """Read the database directly: works beside a running service, and without one."""
    engine = open_engine(settings_as_set().settings.database_url.get_secret_value())
    database = Database(engine)

    async def read() -> T:
        try:
            check_schema(engine)
            return await database.read(reading)
        finally:
            await database.close()

    return run(read())
