"""`aegis-sink incidents`: what was found, as a list or one whole."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from aegis_sink.commands.feedback import show_feedback
from aegis_sink.commands.terminal import AsJson, fail, out, print_json, print_table, read_store
from aegis_sink.model import Incident, NoticeReason, State
from aegis_sink.model.codec import incident_summary, incident_to_json
from aegis_sink.notify.message import compose
from aegis_sink.notify.plain import part_lines, plain_lines
from aegis_sink.notify.thread import compose_reply
from aegis_sink.store import incidents as stored_incidents
from aegis_sink.store import listing
from aegis_sink.store.listing import BadCursor, Filter


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
