"""What goes into the thread of a message: all the proof, and what happened since."""

from datetime import datetime

from aegis_sink.model import Incident, NoticeReason, State
from aegis_sink.notify.message import (
    ERROR_LINES,
    EVIDENCE_LINES,
    PARAGRAPH_CHARACTERS,
    Part,
    fix_part,
    object_names,
)
from aegis_sink.notify.text import clamp, clean, duration_words, one_line, plural

EVIDENCE_CHARACTERS = 1200
EVIDENCE_SHOWN = 20
OBJECTS_SHOWN = 20
LINES_SHOWN = 20
LINE_CHARACTERS = 400


def compose_reply(incident: Incident, reason: NoticeReason, *, now: datetime) -> tuple[Part, ...]:
    """The parts of a thread reply; () when the message has already said everything."""
    match reason:
        case NoticeReason.FIRST:
            return _first(incident)
        case NoticeReason.DIAGNOSED:
            return _diagnosed(incident)
        case NoticeReason.NEW_OBJECTS:
            return (
                _listed(
                    f"📈 Spreading: now {plural(len(incident.objects), 'object')}",
                    object_names(incident.objects),
                    OBJECTS_SHOWN,
                ),
            )
        case NoticeReason.CHANGED:
            return (_listed("The errors changed. K8sGPT now says", incident.errors, LINES_SHOWN),)
        case NoticeReason.REPEAT:
            lasts = duration_words(now - incident.first_seen)
            return (Part(label=f"⏰ Still broken after {lasts}", text=_acknowledged(incident)),)
        case NoticeReason.REOPENED:
            return (_listed("↩️ Back again. K8sGPT says", incident.errors, LINES_SHOWN),)
        case NoticeReason.RESOLVED:
            return (_resolved(incident, now),)
        case NoticeReason.DIGEST:
            return ()  # a digest has no thread


def _first(incident: Incident) -> tuple[Part, ...]:
    parts = []
    if len(incident.errors) > ERROR_LINES:
        parts.append(_listed("All that K8sGPT says", incident.errors, LINES_SHOWN))
    if len(incident.objects) > 1:
        parts.append(_listed("Objects", object_names(incident.objects), OBJECTS_SHOWN))
    # A diagnosis that is there already is not told again as `diagnosed`.
    return (*parts, *(() if incident.diagnosing else _diagnosed(incident)))


def _diagnosed(incident: Incident) -> tuple[Part, ...]:
    diagnosis = incident.diagnosis
    if diagnosis is None:
        return ()
    parts: list[Part] = []
    if diagnosis.explanation:
        text = clamp(clean(diagnosis.explanation).strip(), 2 * PARAGRAPH_CHARACTERS)
        parts.append(Part(label="In the model's words", text=text))
    if len(incident.evidence) > EVIDENCE_LINES or diagnosis.cites:
        parts.extend(_evidence(incident, diagnosis.cites))
    parts.extend(fix_part(fix, label="Or this") for fix in diagnosis.fixes[1:])
    if diagnosis.ruled_out:
        lines = tuple(f"{ruled.title}: {ruled.why}" for ruled in diagnosis.ruled_out)
        parts.append(_listed("Ruled out", lines, LINES_SHOWN))
    return tuple(parts)


def _evidence(incident: Incident, cites: tuple[str, ...]) -> list[Part]:
    """Cited ones first, each whole as far as there is room."""
    ordered = sorted(incident.evidence, key=lambda e: (e.id not in cites, -e.worth))
    parts = []
    for evidence in ordered[:EVIDENCE_SHOWN]:
        text = clean(evidence.text).strip("\n")
        shown = clamp(text, EVIDENCE_CHARACTERS)
        cut = evidence.cut + len(text) - len(shown) if shown != text else evidence.cut
        after = f"{cut} characters are not shown." if cut > 0 else ""
        label = f"{evidence.id} {clamp(one_line(evidence.source), 120)}"
        parts.append(Part(label=label, code=shown, after=after))
    if len(ordered) > EVIDENCE_SHOWN:
        parts.append(Part(label="", left=len(ordered) - EVIDENCE_SHOWN, noun="piece"))
    return parts


def _resolved(incident: Incident, now: datetime) -> Part:
    lasted = duration_words((incident.resolved_at or now) - incident.first_seen)
    why = incident.history[-1].reason if incident.history else ""
    return Part(label=f"✅ Resolved after {lasted}", text=clamp(one_line(why), 300))


def _acknowledged(incident: Incident) -> str:
    if incident.state is not State.ACKNOWLEDGED:
        return "Nobody has acknowledged it."
    return f"Acknowledged by {one_line(incident.acknowledged_by) or 'somebody'}."


def _listed(label: str, texts: tuple[str, ...], shown: int) -> Part:
    lines = tuple(clamp(line, LINE_CHARACTERS) for line in map(one_line, texts) if line)
    return Part(label=label, lines=lines[:shown], left=max(0, len(lines) - shown))
