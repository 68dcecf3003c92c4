"""The commands. Human text on a terminal, `--json` everywhere; 0 fine, 1 not, 2 wrong usage."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from aegis_sink import __version__
from aegis_sink.client import Client, ClientError, Refused, address
from aegis_sink.diagnosis.playbooks import PlaybookError
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.dialects.errors import DialectError
from aegis_sink.dialects.table import read_document, read_documents
from aegis_sink.flow.door import sighting
from aegis_sink.logs import set_up
from aegis_sink.model import Incident, NoticeReason, State
from aegis_sink.model.codec import finding_to_json, incident_summary, incident_to_json, rfc3339
from aegis_sink.notify.message import compose
from aegis_sink.notify.plain import part_lines, plain_lines
from aegis_sink.notify.thread import compose_reply
from aegis_sink.server import CannotListen, serve
from aegis_sink.settings import (
    Loaded,
    Settings,
    SettingsError,
    load,
    refuse_open_door,
    secret_values,
    shown,
    unknown_variables,
    variable,
)
from aegis_sink.store import incidents as stored_incidents
from aegis_sink.store import quarantine as stored_quarantine
from aegis_sink.store.database import Connection, Database, open_engine
from aegis_sink.store.errors import StoreError
from aegis_sink.store.incidents import BadCursor, Filter
from aegis_sink.store.schema import check as check_schema
from aegis_sink.store.schema import migrate as migrate_schema

T = TypeVar("T")

app = typer.Typer(
    name="aegis-sink",
    help="The receiver behind K8sGPT's webhook: says why, shows the proof, and says it once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
quarantine_app = typer.Typer(help="Bodies that were read but not understood.")
app.add_typer(quarantine_app, name="quarantine")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[
    str | None, typer.Option("--url", help="The service to talk to; by default this machine's.")
]

FILE_ENDINGS = (".json", ".yaml", ".yml", ".ndjson")


def main() -> None:
    """The entry point."""
    try:
        app()
    except (SettingsError, StoreError, ClientError, CannotListen, PlaybookError) as error:
        _fail(str(error))


@app.command("serve")
def serve_command(
    replay: Annotated[
        Path | None, typer.Option(help="Post this file through the door once the service answers.")
    ] = None,
    once: Annotated[bool, typer.Option(help="Stop when the replayed incident was told.")] = False,
) -> None:
    """Run the service."""
    settings = _settings().settings
    set_up(
        form=settings.log_format,
        level=settings.log_level,
        redact=Redactor(os.urandom(32)),
        secrets=secret_values(settings),
    )
    for name in unknown_variables(os.environ):
        _say(f"warning: {name} is no setting; `aegis-sink settings` lists them")
    refuse_open_door(settings)
    documents = [json.dumps(d).encode() for _, d in _documents([str(replay)])] if replay else []
    ok = _run(serve(settings, replay=documents, once=once, say=_say))
    raise typer.Exit(0 if ok else 1)


@app.command("replay")
def replay_command(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders or - : Results, lists, watch streams, analyze JSON."),
    ] = None,
    incident: Annotated[
        str | None, typer.Option(help="Replay what an incident was made from.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the finding and its fingerprint, send nothing.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Treat known problems as new.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for each diagnosis.")] = 0,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Post incidents by hand through a running service's own door."""
    if bool(files) == bool(incident):
        raise typer.BadParameter("name files (or -), or --incident ID")
    settings = _settings().settings
    if dry_run and incident:
        raise typer.BadParameter("--dry-run works on files")
    if dry_run:
        _dry_run(settings, files or [], as_json)
        return

    async def post() -> tuple[list[dict[str, object]], list[str]]:
        made: list[dict[str, object]] = []
        refused: list[str] = []
        token = settings.api_token.get_secret_value() if settings.api_token else None
        async with Client(url or address(settings), token) as client:
            if incident:
                made += _made(await client.replay(incident))
                return made, refused
            documents = list(_documents(files or []))
            with Progress(console=_err, disable=len(documents) < 2) as progress:
                for where, document in progress.track(documents):
                    body = json.dumps(document).encode()
                    try:
                        made += _made(await client.post_finding(body, force=force, wait=wait))
                    except Refused as error:
                        refused.append(f"{where}: {error}")
        return made, refused

    made, refused = _run(post())
    if as_json:
        _print_json({"incidents": made, "refused": refused})
    else:
        for one in made:
            word = "new" if one.get("created") else "known"
            _out.print(f"{one['id']}  {word}  {one.get('title', one.get('url', ''))}")
        if not made and not refused:
            _out.print("nothing to report: no findings in there")
    for line in refused:
        _say(line)
    raise typer.Exit(1 if refused else 0)


@app.command("incidents")
def incidents_command(
    incident: Annotated[str | None, typer.Argument(help="Show this one whole.")] = None,
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Search text.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most to list.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the last list stopped.")] = None,
    as_json: AsJson = False,
) -> None:
    """List incidents, or show one."""
    if incident is not None:
        found = _read(lambda c: stored_incidents.get(c, incident))
        if found is None:
            _fail(f"no incident {incident}; `aegis-sink incidents` lists them")
        _show_incident(found, as_json)
        return
    wanted = Filter(state, namespace, query, limit, cursor)
    try:
        page = _read(lambda c: stored_incidents.page(c, wanted))
    except BadCursor as error:
        _fail(str(error))
    if as_json:
        shown_ones = [incident_summary(one) for one in page.incidents]
        _print_json({"incidents": shown_ones, "next_cursor": page.next_cursor})
        return
    if not page.incidents:
        _out.print("no incidents")
        return
    table = Table("id", "state", "severity", "last seen", "times", "what", box=None)
    for one in page.incidents:
        seen = one.last_seen.astimezone().strftime("%d %b %H:%M")
        table.add_row(one.id, one.state, one.severity, seen, str(one.occurrences), one.title)
    _print_table(table)
    if page.next_cursor:
        _out.print(f"more: --cursor {page.next_cursor}")


@app.command("settings")
def settings_command(as_json: AsJson = False) -> None:
    """Print every setting with value, default and source; secrets are masked."""
    loaded = _settings()
    rows = [
        {
            "name": variable(name),
            "value": shown(name, getattr(loaded.settings, name)),
            "default": shown(name, info.default),
            "source": loaded.sources[name],
            "description": info.description or "",
        }
        for name, info in Settings.model_fields.items()
    ]
    if as_json:
        _print_json({"settings": rows, "unknown": unknown_variables(os.environ)})
        return
    table = Table("setting", "value", "default", "source", box=None)
    for row in rows:
        table.add_row(row["name"], row["value"], row["default"], row["source"])
    _print_table(table)
    for name in unknown_variables(os.environ):
        _say(f"warning: {name} is no setting")


@app.command("migrate")
def migrate_command(as_json: AsJson = False) -> None:
    """Bring the database to this version's schema; `serve` does it too."""
    settings = _settings().settings
    engine = open_engine(settings.database_url.get_secret_value())
    before, now = migrate_schema(engine)
    engine.dispose()
    if as_json:
        _print_json({"before": before, "now": now})
    else:
        _out.print(f"schema {now}" + ("" if before == now else f" (was {before or 'empty'})"))


@quarantine_app.callback(invoke_without_command=True)
def quarantine_list(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what is in quarantine."""
    if context.invoked_subcommand is not None:
        return
    items = _read(lambda c: stored_quarantine.items(c, limit=limit))
    if as_json:
        _print_json({"quarantine": [_quarantined(item) for item in items]})
        return
    if not items:
        _out.print("quarantine is empty")
        return
    table = Table("id", "received", "bytes", "reason", "begins with", box=None)
    for item in items:
        at = item.received_at.astimezone().strftime("%d %b %H:%M")
        table.add_row(item.id, at, str(item.size), item.reason, item.first[:60])
    _print_table(table)


@quarantine_app.command("show")
def quarantine_show(
    item_id: Annotated[str, typer.Argument(help="Which one.")], as_json: AsJson = False
) -> None:
    """Print one body as it came."""
    item = _read(lambda c: stored_quarantine.get(c, item_id))
    if item is None:
        _fail(f"no quarantined body {item_id}; `aegis-sink quarantine` lists them")
    if as_json:
        text = item.body.decode("utf-8", "replace")
        _print_json({**_quarantined(item), "body": text})
    else:
        sys.stdout.buffer.write(item.body + b"\n")


@quarantine_app.command("retry")
def quarantine_retry(
    item_ids: Annotated[list[str] | None, typer.Argument(help="Which ones.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Try bodies again, for example after an upgrade."""
    if bool(item_ids) == everything:
        raise typer.BadParameter("name ids, or --all")
    settings = _settings().settings
    ids = item_ids or [i.id for i in _read(lambda c: stored_quarantine.items(c, limit=100_000))]

    async def retry() -> list[dict[str, object]]:
        token = settings.api_token.get_secret_value() if settings.api_token else None
        async with Client(url or address(settings), token) as client:
            with Progress(console=_err, disable=len(ids) < 2) as progress:
                return [
                    {"item": item_id, **await client.retry(item_id)}
                    for item_id in progress.track(ids)
                ]

    answers = _run(retry())
    if as_json:
        _print_json({"retried": answers})
    for answer in answers if not as_json else ():
        _out.print(f"{answer['item']}  {answer['status']}  {answer['id']}")
    raise typer.Exit(1 if any(a["status"] == "quarantined" for a in answers) else 0)


@app.command("version")
def version_command(as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        _print_json({"version": __version__})
    else:
        _out.print(__version__)


_out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def _say(text: str) -> None:
    _err.print(text, soft_wrap=True)


def _fail(text: str) -> NoReturn:
    _say(f"aegis-sink: {text}")
    raise SystemExit(1)


def _print_table(table: Table) -> None:
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.overflow = "fold"
    if not _out.is_terminal:  # for a program or a file: a row is a line, however long
        _out.width = 10_000
    _out.print(table)


def _print_json(data: object) -> None:
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def _run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _settings() -> Loaded:
    return load(os.environ)


def _read(run: Callable[[Connection], T]) -> T:
    """Read the database directly: works beside a running service, and without one."""
    engine = open_engine(_settings().settings.database_url.get_secret_value())
    check_schema(engine)
    database = Database(engine)

    async def read() -> T:
        try:
            return await database.read(run)
        finally:
            await database.close()

    return _run(read())


def _documents(names: list[str]) -> Iterator[tuple[str, object]]:
    """Each document with where it stands: "incident.yaml", or "list.ndjson, document 3"."""
    for name in names:
        for where, text in _texts(name):
            try:
                documents = list(read_documents(text))
            except DialectError as error:
                _fail(f"{where}: {error}")
            for number, document in enumerate(documents, 1):
                yield f"{where}, document {number}" if len(documents) > 1 else where, document


def _texts(name: str) -> Iterator[tuple[str, str]]:
    if name == "-":
        yield "standard input", sys.stdin.read()
        return
    path = Path(name)
    paths = (
        sorted(p for p in path.rglob("*") if p.suffix in FILE_ENDINGS) if path.is_dir() else [path]
    )
    if not paths:
        _fail(f"{name} holds no {', '.join(FILE_ENDINGS)} file")
    for one in paths:
        try:
            yield str(one), one.read_text("utf-8")
        except OSError as error:
            _fail(f"{one} cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            _fail(f"{one} cannot be read: not UTF-8 at byte {error.start}")


def _dry_run(settings: Settings, names: list[str], as_json: bool) -> None:
    redact = Redactor(os.urandom(32))
    rows = []
    refused = []
    for where, document in _documents(names):
        try:
            recognised = read_document(document, cluster=settings.cluster_name)
        except DialectError as error:
            refused.append(f"{where}: {error}")
            continue
        for finding in recognised.findings:
            seen = sighting(finding, redact=redact, now=datetime.now(UTC), incident_id="")
            rows.append(
                {
                    "finding": finding_to_json(seen.finding),
                    "fingerprint": seen.blank.fingerprint,
                    "failure_class": seen.blank.failure_class,
                    "subject": str(seen.blank.subject),
                    "subject_told_by": seen.subject_how,
                    "severity": seen.blank.severity,
                    "title": seen.blank.title,
                }
            )
    if as_json:
        _print_json({"findings": rows, "refused": refused})
    else:
        for row in rows:
            for key in ("title", "subject", "severity", "failure_class", "fingerprint"):
                _out.print(f"{key:14} {row[key]}")
            _out.print()
        _out.print(f"{len(rows)} finding{'' if len(rows) == 1 else 's'}; nothing was sent")
    for line in refused:
        _say(line)
    if refused:
        raise typer.Exit(1)


def _made(answer: dict[str, object]) -> list[dict[str, object]]:
    made = answer.get("incidents")
    return [one for one in made if isinstance(one, dict)] if isinstance(made, list) else []


def _show_incident(incident: Incident, as_json: bool) -> None:
    if as_json:
        _print_json(incident_to_json(incident))
        return
    now = datetime.now(UTC)
    message = compose(replace(incident, url=""), NoticeReason.FIRST, now=now)
    lines = plain_lines(message, now=now, more="below")
    for part in compose_reply(incident, NoticeReason.FIRST, now=now):
        lines += ["", *part_lines(part, more=f"with: aegis-sink incidents {incident.id} --json")]
    for line in lines:
        _out.print(line)


def _quarantined(item: stored_quarantine.Quarantined) -> dict[str, object]:
    return {
        "id": item.id,
        "received_at": rfc3339(item.received_at),
        "door": item.door,
        "reason": item.reason,
        "size": item.size,
        "first": item.first,
        "retries": item.retries,
    }


if __name__ == "__main__":
    main()
