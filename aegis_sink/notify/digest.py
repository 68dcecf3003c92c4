"""A digest as a message: how many, how bad, and what they have in common."""

from collections import Counter, defaultdict
from datetime import datetime

from aegis_sink.model import Digest, DigestKind, DigestLine, Severity, State
from aegis_sink.notify.message import Message, Part
from aegis_sink.notify.text import clamp, one_line, plural

GROUPS = 12
NAMES = 3
LINE_CHARACTERS = 220
_WORDS = {
    Severity.DOWN: "down",
    Severity.DEGRADED: "degraded",
    Severity.RISK: "at risk",
    Severity.HINT: "hint",
}


def compose_digest(digest: Digest, *, now: datetime) -> Message:
    """Grouped by what is wrong, the largest group first; what is over is only counted."""
    still = [line for line in digest.lines if line.state is not State.RESOLVED]
    over = len(digest.lines) - len(still)
    groups = _groups(still)
    shown = tuple(_line(what, lines) for what, lines in groups[:GROUPS])
    left = sum(len(lines) for _, lines in groups[GROUPS:])
    headline = _headline(digest, still)
    parts = [Part(label="What", lines=shown, left=left, noun="problem")] if shown else []
    ended = f"{over} of {len(digest.lines)} over" if over and still else ""
    silenced = f"{digest.silenced} silenced" if digest.silenced else ""
    return Message(
        incident_id="",
        headline=headline,
        subject="",
        place=f"cluster {clamp(one_line(digest.cluster), 100)}",
        status=", ".join(filter(None, (ended, silenced))),
        status_time=None,
        since=digest.opened_at,
        until=None if still or digest.silenced else now,
        objects=_severities(still),
        parts=tuple(parts),
        note=_note(digest),
        links=(),
        summary=clamp(f"{headline} — {'; '.join(shown)}", 600),
    )


def _headline(digest: Digest, still: list[DigestLine]) -> str:
    if not still and digest.silenced:
        return "🔕 SILENCED · what is left of this is silenced"
    if not still:
        return "✅ RESOLVED · all that was told here is over"
    if digest.kind is DigestKind.HINTS:
        return f"💡 HINTS · {plural(len(still), 'thing')} to tidy up when there is time"
    return f"🌊 MANY AT ONCE · {plural(len(still), 'problem')} told together"


def _note(digest: Digest) -> str:
    if digest.kind is DigestKind.HINTS:
        return "Hints are told once a day (AEGIS_HINTS). All of it: aegis-sink incidents"
    return (
        "The model was not asked about these; what lasts is told again on its own. "
        "All of it: aegis-sink incidents --state open"
    )


def _severities(lines: list[DigestLine]) -> str:
    counts = Counter(line.severity for line in lines)
    return ", ".join(f"{counts[one]} {_WORDS[one]}" for one in Severity if counts[one])


def _groups(lines: list[DigestLine]) -> list[tuple[str, list[DigestLine]]]:
    """What is wrong → the incidents, worst and largest first."""
    found: dict[tuple[int, str], list[DigestLine]] = defaultdict(list)
    worst_first = list(Severity)
    for line in lines:
        # Triage's titles read "<subject>: <what is wrong>" or "<subject> <what is wrong>".
        what = one_line(line.title).removeprefix(one_line(str(line.subject))).lstrip(": ")
        found[worst_first.index(line.severity), what].append(line)
    ordered = sorted(found.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1]))
    return [(what, members) for (_, what), members in ordered]


def _line(what: str, lines: list[DigestLine]) -> str:
    names = ", ".join(one_line(str(line.subject)) for line in lines[:NAMES])
    more = f" and {len(lines) - NAMES} more" if len(lines) > NAMES else ""
    count = f"{len(lines)} × " if len(lines) > 1 else ""
    return clamp(f"{count}{what or 'a problem'}: {names}{more}", LINE_CHARACTERS)
