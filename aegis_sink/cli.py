"""The commands. Human text on a terminal, `--json` everywhere; 0 fine, 1 not, 2 wrong usage."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from aegis_sink import __version__
from aegis_sink.client import ClientError
from aegis_sink.commands import evaluate, playbooks, quarantine, route, silence
from aegis_sink.commands.doctor import doctor_command
from aegis_sink.commands.feedback import show_feedback
from aegis_sink.commands.reconcile import reconcile_command
from aegis_sink.commands.replay import documents_in, replay_command
from aegis_sink.commands.terminal import (
    AsJson,
    fail,
    out,
    print_json,
    print_table,
    read_store,
    run,
    say,
    settings_as_set,
)
from aegis_sink.commands.why import why_command
from aegis_sink.diagnosis.playbook import PlaybookError
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.logs import set_up
from aegis_sink.model import Incident, NoticeReason, State
from aegis_sink.model.codec import incident_summary, incident_to_json
from aegis_sink.notify.message import compose
from aegis_sink.notify.plain import part_lines, plain_lines
from aegis_sink.notify.thread import compose_reply
from aegis_sink.server import CannotListen, serve
from aegis_sink.settings import (
    Settings,
    SettingsError,
    refuse_open_door,
    secret_values,
    shown,
    unknown_variables,
    variable,
)
from aegis_sink.store import incidents as stored_incidents
from aegis_sink.store import listing
from aegis_sink.store.database import open_engine
from aegis_sink.store.errors import StoreError
from aegis_sink.store.listing import BadCursor, Filter
from aegis_sink.store.schema import migrate as migrate_schema

app = typer.Typer(
    name="aegis-sink",
    help="The receiver behind K8sGPT's webhook: says why, shows the proof, and says it once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(silence.app, name="silence")
app.add_typer(route.app, name="route")
app.add_typer(playbooks.app, name="playbooks")
app.command("replay")(replay_command)
app.command("why")(why_command)
app.command("doctor")(doctor_command)
app.add_typer(evaluate.app, name="eval")
app.command("reconcile")(reconcile_command)


def _version(asked: bool) -> None:
    if asked:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """What holds for no command in particular."""


def main() -> None:
    """Run the command of the command line."""
    try:
        app()
    except (SettingsError, StoreError, ClientError, CannotListen, PlaybookError) as error:
        fail(str(error))


@app.command("serve")
def serve_command(
    replay: Annotated[
        Path | None, typer.Option(help="Post this file through the door once the service answers.")
    ] = None,
    once: Annotated[bool, typer.Option(help="Stop when the replayed incident was told.")] = False,
) -> None:
    """Run the service."""
    settings = settings_as_set().settings
    set_up(
        form=settings.log_format,
        level=settings.log_level,
        redact=Redactor(os.urandom(32), emails=settings.redact_emails),
        secrets=secret_values(settings),
    )
    for name in unknown_variables(os.environ):
        say(f"warning: {name} is no setting; `aegis-sink settings` lists them")
    refuse_open_door(settings)
    documents = [json.dumps(d).encode() for _, d in documents_in([str(replay)])] if replay else []
    ok = run(serve(settings, replay=documents, once=once, say=say))
    raise typer.Exit(0 if ok else 1)


@app.command("incidents")
def incidents_command(
    incident: Annotated[str | None, typer.Argument(help="Show this one whole.")] = None,
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Search text.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most to list.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the last list stopped.")] = None,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="What people say of diagnoses instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List incidents, or show one."""
    if feedback:
        if incident is not None or state or namespace or query or cursor:
            raise typer.BadParameter("--feedback takes --limit and --json only")
        show_feedback(limit=limit, as_json=as_json)
        return
    if incident is not None:
        found = read_store(lambda c: stored_incidents.get(c, incident))
        if found is None:
            fail(f"no incident {incident}; `aegis-sink incidents` lists them")
        _show_incident(found, as_json)
        return
    wanted = Filter(state, namespace, query, limit, cursor)
    try:
        page = read_store(lambda c: listing.page(c, wanted))
    except BadCursor as error:
        fail(str(error))
    if as_json:
        shown_ones = [incident_summary(one) for one in page.incidents]
        print_json({"incidents": shown_ones, "next_cursor": page.next_cursor})
        return
    if not page.incidents:
        out.print("no incidents")
        return
    table = Table("id", "state", "severity", "last seen", "times", "what", box=None)
    for one in page.incidents:
        seen = one.last_seen.astimezone().strftime("%d %b %H:%M")
        shown_state = f"{one.state}, muted" if one.mute else one.state
        table.add_row(one.id, shown_state, one.severity, seen, str(one.occurrences), one.title)
    print_table(table)
    if page.next_cursor:
        out.print(f"more: --cursor {page.next_cursor}")


@app.command("settings")
def settings_command(as_json: AsJson = False) -> None:
    """Print every setting with value, default and source; secrets are masked."""
    loaded = settings_as_set()
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
        print_json({"settings": rows, "unknown": unknown_variables(os.environ)})
        return
    table = Table("setting", "value", "default", "source", box=None)
    for row in rows:
        table.add_row(row["name"], row["value"], row["default"], row["source"])
    print_table(table)
    for name in unknown_variables(os.environ):
        say(f"warning: {name} is no setting")


@app.command("migrate")
def migrate_command(as_json: AsJson = False) -> None:
    """Bring the database to this version's schema; `serve` does it too."""
    settings = settings_as_set().settings
    engine = open_engine(settings.database_url.get_secret_value())
    try:
        before, now = migrate_schema(engine)
    finally:
        engine.dispose()
    if as_json:
        print_json({"before": before, "now": now})
    else:
        out.print(f"schema {now}" + ("" if before == now else f" (was {before or 'empty'})"))


@app.command("version")
def version_command(as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        out.print(__version__)


def _show_incident(incident: Incident, as_json: bool) -> None:
    if as_json:
        print_json(incident_to_json(incident))
        return
    now = datetime.now(UTC)
    message = compose(replace(incident, url=""), NoticeReason.FIRST, now=now)
    lines = plain_lines(message, now=now, more="below")
    for part in compose_reply(incident, NoticeReason.FIRST, now=now):
        lines += ["", *part_lines(part, more=f"with: aegis-sink incidents {incident.id} --json")]
    for line in lines:
        out.print(line)
