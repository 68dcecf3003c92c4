"""`aegis-sink why`: the whole story of one incident, from what was found to what was told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from aegis_sink.commands.route import route_lines, route_to_json
from aegis_sink.commands.terminal import AsJson, fail, out, print_json, read_store, settings_as_set
from aegis_sink.model import Incident
from aegis_sink.model.codec import finding_to_json, incident_to_json, rfc3339
from aegis_sink.notify.text import plural
from aegis_sink.routes import routes_of
from aegis_sink.settings import Settings
from aegis_sink.store import decisions, incidents, jobs
from aegis_sink.store.database import Connection
from aegis_sink.store.decisions import Decided
from aegis_sink.store.incidents import StoredFinding
from aegis_sink.store.jobs import Waiting
from aegis_sink.triage.matchers import labels
from aegis_sink.triage.routing import Tried


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of an incident. What was decided is the service's word; `tried` are the
    routes as they are set here."""

    incident: Incident
    subject_how: str
    findings: tuple[StoredFinding, ...]
    decided: tuple[Decided, ...]
    waiting: tuple[Waiting, ...]
    tried: tuple[Tried, ...]

    @property
    def route_differs(self) -> str:
        """The route that the service took last, where it is not the one that is set here; ""."""
        taken = next((one.route for one in reversed(self.decided) if one.route), "")
        return "" if taken == str(self.tried[-1].route) else taken


def why_command(
    incident_id: Annotated[str, typer.Argument(help="Which incident.")], as_json: AsJson = False
) -> None:
    """Explain an incident: its fingerprint, each finding, each decision, each attempt."""
    settings = settings_as_set().settings
    story = read_store(lambda c: _story(c, incident_id, settings))
    if story is None:
        fail(f"no incident {incident_id}; `aegis-sink incidents` lists them")
    if as_json:
        print_json(_json(story, settings))
        return
    for line in _lines(story, settings):
        out.print(line)


def _story(connection: Connection, incident_id: str, settings: Settings) -> Story | None:
    incident = incidents.get(connection, incident_id)
    if incident is None:
        return None
    return Story(
        incident,
        incidents.subject_how(connection, incident.id),
        incidents.findings_of(connection, incident.id),
        decisions.decisions_of(connection, incident.id),
        jobs.waiting(connection, incident.id),
        routes_of(settings.routes, settings.repeat_interval).tried(labels(incident)),
    )


def _lines(story: Story, settings: Settings) -> list[str]:
    incident = story.incident
    lines = [
        f"{incident.id}  {incident.shown_state}  {incident.severity}  {incident.title}",
        "",
        "What it is",
        f"  fingerprint    {incident.fingerprint}",
        f"  = cluster      {incident.cluster}",
        f"  + subject      {incident.subject} (known by {story.subject_how})",
        f"  + class        {incident.failure_class}",
        "",
        f"Findings ({plural(incident.occurrences, 'time')} in all)",
    ]
    for stored in story.findings:
        finding = stored.finding
        lines.append(f"  {_time(stored.last_seen)}  {finding.object}  × {stored.times}")
        lines.append(f"    {finding.dialect} of K8sGPT {finding.k8sgpt or '(not named)'}")
        lines += [f"    {error}" for error in finding.errors]
    lines += ["", "What happened"]
    lines += [
        f"  {_time(entry.at)}  {entry.what}" + (f": {entry.reason}" if entry.reason else "")
        for entry in incident.history
    ]
    lines += ["", "What was told"]
    lines += [
        f"  {_time(notice.at)}  {notice.reason} to {notice.channel or '(nowhere)'} {notice.ts}".rstrip()
        for notice in incident.notices
    ] or ["  nothing"]
    *before, now = story.decided or (None,)
    if before:
        lines += ["", "What was decided"]
        lines += [f"  {_time(one.at)}  {one.what}: {one.because}" for one in before if one]
    lines += ["", "Which route it takes"]
    lines += [f"  {line}" for line in route_lines(story.tried, labels(incident), settings)]
    if story.route_differs:
        lines.append(f"  but the service, which has other settings, took: {story.route_differs}")
    lines += ["", "What is decided now"]
    if now is None:
        lines.append("  nothing yet: what K8sGPT reports is looked into first")
    else:
        lines.append(f"  {now.what}: {now.because} (since {_time(now.at)})")
        if now.wait_until:
            lines.append(f"  looked at again {_time(now.wait_until)}")
    lines += ["", "What waits to be done"]
    for job in story.waiting:
        lines.append(f"  {job.kind} at {_time(job.due_at)}")
        if job.last_error:
            lines.append(f"    failed {job.attempts} times in a row: {job.last_error}")
    return lines if story.waiting else [*lines, "  nothing"]


def _json(story: Story, settings: Settings) -> dict[str, object]:
    return {
        "incident": incident_to_json(story.incident),
        "subject_told_by": story.subject_how,
        "findings": [
            {
                "finding": finding_to_json(stored.finding),
                "times": stored.times,
                "last_seen": rfc3339(stored.last_seen),
            }
            for stored in story.findings
        ],
        "route": route_to_json(story.tried[-1].route, settings),
        "decision": _decided(story.decided[-1]) if story.decided else None,
        "decisions": [_decided(one) for one in story.decided],
        "waiting": [
            {
                "stage": job.kind,
                "due_at": rfc3339(job.due_at),
                "attempts": job.attempts,
                "last_error": job.last_error,
            }
            for job in story.waiting
        ],
    }


def _decided(one: Decided) -> dict[str, object]:
    return {
        "at": rfc3339(one.at),
        "stage": one.stage,
        "reason": one.what,
        "because": one.because,
        "wait_until": rfc3339(one.wait_until) if one.wait_until else None,
        "route": one.route or None,
    }


def _time(at: datetime) -> str:
    return at.astimezone().strftime("%d %b %H:%M:%S")
