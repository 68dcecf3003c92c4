"""What a message says, independent of where it is shown.

Read from top to bottom it answers, in this order: what is broken, where, since when, why and how
sure, by what proof, what to do, what is not known.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis_sink.model import (
    PART_OF,
    CheckStatus,
    Diagnosis,
    Fix,
    FixAction,
    FixCheck,
    Incident,
    NoticeReason,
    ObjectRef,
    Risk,
    Severity,
    State,
    Verdict,
)
from aegis_sink.notify.proof import LINE_CHARACTERS, proof_lines
from aegis_sink.notify.text import clamp, clean, duration_words, one_line, plural, time_words

EVIDENCE_LINES = 3
ERROR_LINES = 3
MISSING_LINES = 3
JUDGES = 3
PARAGRAPH_CHARACTERS = 900
COMMAND_CHARACTERS = 1500

# Shape and word differ, not only the colour.
_SEVERITY: dict[Severity, tuple[str, str]] = {
    Severity.DOWN: ("🛑", "DOWN"),
    Severity.DEGRADED: ("⚠️", "DEGRADED"),
    Severity.RISK: ("🔶", "AT RISK"),
    Severity.HINT: ("💡", "HINT"),
}
_RISK: dict[Risk, str] = {
    Risk.NONE: "no risk",
    Risk.LOW: "low risk",
    Risk.MEDIUM: "medium risk",
    Risk.HIGH: "HIGH RISK",
}

_CAUSES = ("Why", "Not a problem")


@dataclass(frozen=True, slots=True)
class Part:
    """One labelled piece of a message. All texts are cleaned; none is escaped.

    Shown in this order: label, text, lines as a list, "… `left` more `noun`s", code, after.
    """

    label: str
    text: str = ""
    lines: tuple[str, ...] = ()
    left: int = 0
    noun: str = ""
    code: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of our own; nothing from outside becomes one."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class When:
    """A time and what leads to it: ", " or " until "."""

    lead: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """An incident as a person should hear it.

    `headline` starts with a symbol and a word for state and severity. `subject` is "" when the
    headline names it. `status` is what just happened, "" when the headline says it, `status_time`
    when it did or will end. `since` and `until` are UTC; a renderer shows them in the reader's zone
    where it can.
    `summary` is one line for a notification.
    """

    incident_id: str
    headline: str
    subject: str
    place: str
    status: str
    status_time: When | None
    since: datetime
    until: datetime | None
    objects: str
    parts: tuple[Part, ...]
    note: str
    links: tuple[Link, ...]
    summary: str


def compose(incident: Incident, reason: NoticeReason, *, now: datetime) -> Message:
    """The message for an incident as it stands."""
    resolved = incident.state is State.RESOLVED
    symbol, word = _state_words(incident)
    title = one_line(incident.title or str(incident.subject)).rstrip(" :")
    headline = f"{symbol} {word} · {clamp(title, 130)}"
    # Triage's titles begin with the subject: said once is enough.
    told = one_line(str(incident.subject)) in title
    subject = "" if told else clamp(one_line(str(incident.subject)), 200)
    parts = _resolved_parts(incident) if resolved else _open_parts(incident)
    message = Message(
        incident_id=incident.id,
        headline=headline,
        subject=subject,
        place=_place(incident),
        status=_status(incident, reason),
        status_time=_status_time(incident),
        since=incident.first_seen,
        until=(incident.resolved_at or incident.last_seen) if resolved else None,
        objects="" if resolved else objects_in_words(incident),
        parts=parts,
        note=_note(incident),
        links=_links(incident),
        summary="",
    )
    return _with_summary(message, now)


def when_in_words(message: Message, *, now: datetime) -> str:
    """For plain text: "since 02:14 UTC (12 min)" or "02:14 UTC – 02:48 UTC (34 min)"."""
    start = time_words(message.since, now=now)
    if message.until is None:
        return f"since {start} ({duration_words(now - message.since)})"
    return f"{start} – {time_words(message.until, now=now)} ({lasted(message)})"


def status_in_words(message: Message, *, now: datetime) -> str:
    """For plain text: "Silenced by ada until 15:04 UTC"."""
    if message.status_time is None:
        return message.status
    return message.status + message.status_time.lead + time_words(message.status_time.at, now=now)


def lasted(message: Message) -> str:
    """How long a resolved incident lasted."""
    if message.until is None:
        return ""
    return duration_words(max(message.until - message.since, timedelta()))


def objects_in_words(incident: Incident) -> str:
    """Counted by kind: "3 Pods, 1 Service"; "" when the subject is the only object."""
    others = [ref for ref in incident.objects if ref != incident.subject]
    if not others:
        return ""
    counts = Counter(one_line(ref.resource_kind) for ref in others)
    return clamp(", ".join(plural(n, kind) for kind, n in counts.most_common(4)), 120)


def object_names(refs: tuple[ObjectRef, ...]) -> tuple[str, ...]:
    """Objects as a person names them, one line each."""
    return tuple(one_line(str(ref)) for ref in refs)


def fix_part(fix: Fix, *, label: str) -> Part:
    """A fix with its risk, its command and what the API server said of it."""
    title = clamp(one_line(fix.title), PARAGRAPH_CHARACTERS)
    only_reads = fix.action is FixAction.INSPECT
    label = "Look at this (changes nothing)" if only_reads else f"{label} ({_RISK[fix.risk]})"
    command = clean(fix.command).strip()
    if not command:
        return Part(label=label, text=title)
    if len(command) > COMMAND_CHARACTERS:
        # Half a command is worse than none.
        return Part(
            label=label,
            text=title,
            after=f"The command is {len(command)} characters long: take it from the incident.",
        )
    after = "" if only_reads else _check_in_words(fix)
    if not fix.runnable and "<" in command:
        after = f"Fill in the parts in <…> first. {after}".rstrip()
    return Part(label=label, text=title, code=command, after=after)


def _check_in_words(fix: Fix) -> str:
    reason = clamp(one_line(fix.check.reason), 300)
    if fix.check.status is CheckStatus.ACCEPTED:
        return "✔ Checked: the API server accepts this (dry run, nothing was changed)."
    if fix.check.status is CheckStatus.REFUSED:
        return f"✘ Checked: the API server refuses this: {reason}"
    return f"Not checked: {reason or FixCheck().reason}."


def _links(incident: Incident) -> tuple[Link, ...]:
    """Addresses of ours and of the playbooks; nothing from the cluster becomes one."""
    links = []
    if incident.url:
        links.append(Link("Open the incident", incident.url))
    over = incident.state is State.RESOLVED
    if incident.silence_url and not over:
        links.append(Link("Silence all like it", incident.silence_url))
    if incident.diagnosis is not None and incident.diagnosis.runbook and not over:
        links.append(Link("Runbook", incident.diagnosis.runbook))
    return tuple(links)


def _state_words(incident: Incident) -> tuple[str, str]:
    if incident.superseded_by:
        return "↪️", "REPLACED"
    if incident.state is State.RESOLVED:
        return "✅", "RESOLVED"
    return _SEVERITY[incident.severity]


def _place(incident: Incident) -> str:
    cluster = f"cluster {clamp(one_line(incident.cluster), 100)}"
    if incident.subject.namespace:
        return f"{cluster} · namespace {clamp(one_line(incident.subject.namespace), 100)}"
    return cluster


def _status(incident: Incident, reason: NoticeReason) -> str:
    if incident.superseded_by:
        part_of = next((h.reason for h in incident.history if h.what == PART_OF), "")
        if part_of:
            return clamp(f"Part of {one_line(part_of)}", 300)
        return f"Told anew as incident {one_line(incident.superseded_by)}"
    if incident.state is State.RESOLVED:
        return ""  # the headline says it
    if incident.state is State.ACKNOWLEDGED:
        return f"🙋 Acknowledged{_by(incident.acknowledged_by)}"
    if incident.state is State.SILENCED:
        end = "" if incident.silenced_until else " until it is resolved"
        return f"🔕 Silenced{_by(incident.silenced_by)}{end}"
    if incident.mute is not None:
        return clamp(f"Muted: {one_line(incident.mute.because)}", 200)
    if reason is NoticeReason.REOPENED:
        return "Back again"
    if reason is NoticeReason.REPEAT:
        unsaid = ", though K8sGPT no longer reports it" if incident.gone_at else ""
        return f"Still broken{unsaid}"
    if reason is NoticeReason.NEW_OBJECTS:
        return "Spreading"
    if reason is NoticeReason.CHANGED:
        return "Changed"
    return "New" if incident.diagnosis is None else "Open"


def _status_time(incident: Incident) -> When | None:
    if incident.state is State.ACKNOWLEDGED and incident.acknowledged_at:
        return When(", ", incident.acknowledged_at)
    if incident.state is State.SILENCED and incident.silenced_until:
        return When(" until ", incident.silenced_until)
    return None


def _by(name: str) -> str:
    shown = clamp(one_line(name), 80)
    return f" by {shown}" if shown else ""


def _open_parts(incident: Incident) -> tuple[Part, ...]:
    return (*_why_and_what(incident), *_followers(incident))


def _followers(incident: Incident) -> list[Part]:
    """What is not told of its own because it follows from this."""
    count = len(incident.followers)
    one = count == 1
    label = f"{plural(count, 'problem')} that follow{'s' * one} from this and {'is' if one else 'are'} not told"
    return _bullets(label, tuple(one.title for one in incident.followers))


def _why_and_what(incident: Incident) -> tuple[Part, ...]:
    diagnosis = incident.diagnosis
    parts: list[Part] = []
    if diagnosis is None:
        return tuple(_errors(incident) + _proof(incident, "What was found") + _unread(incident))
    parts.append(_cause(diagnosis))
    if diagnosis.verdict in (Verdict.CANNOT_TELL, Verdict.NOT_A_PROBLEM):
        parts.extend(_errors(incident))
    parts.extend(_proof(incident, "Proof" if diagnosis.cites else "What was found"))
    if diagnosis.fixes:
        harmless = diagnosis.verdict is Verdict.NOT_A_PROBLEM
        label = "If you want it otherwise" if harmless else "Do this"
        parts.append(fix_part(diagnosis.fixes[0], label=label))
        if len(diagnosis.fixes) > 1:
            parts.append(Part(label="", left=len(diagnosis.fixes) - 1, noun="fix"))
    if diagnosis.objection:
        text = clamp(one_line(diagnosis.objection), PARAGRAPH_CHARACTERS)
        parts.append(Part(label="The model disagrees", text=text))
    # What could not be read is said below with its reason.
    unseen = tuple(line for line in diagnosis.missing if line not in incident.missing)
    parts.extend(_bullets("Look at next", unseen))
    return tuple(parts + _unread(incident))


def _resolved_parts(incident: Incident) -> tuple[Part, ...]:
    if incident.diagnosis is None or incident.superseded_by:
        return ()  # where it goes on, its cause is told
    cause = _cause(incident.diagnosis)
    if incident.diagnosis.verdict is Verdict.CANNOT_TELL:
        return (Part(label="Why it was (not found out)", text=cause.text),)
    return (Part(label=cause.label.replace("Why", "Why it was"), text=cause.text),)


def _proof(incident: Incident, label: str) -> list[Part]:
    lines = proof_lines(incident, shown=EVIDENCE_LINES)
    if not lines:
        return []
    return [Part(label=label, lines=lines, left=len(incident.evidence) - len(lines))]


def _errors(incident: Incident) -> list[Part]:
    """K8sGPT's error texts; without any (its slack body has none) what its own model wrote."""
    if incident.errors or not incident.details:
        return _bullets("K8sGPT says", incident.errors, shown=ERROR_LINES)
    text = clamp(one_line(incident.details), PARAGRAPH_CHARACTERS)
    return [Part(label="K8sGPT's own model says (nothing of it is checked)", text=text)]


def _unread(incident: Incident) -> list[Part]:
    return _bullets("Could not be read", incident.missing)


def _bullets(label: str, texts: tuple[str, ...], shown: int = MISSING_LINES) -> list[Part]:
    lines = tuple(clamp(line, LINE_CHARACTERS) for line in map(one_line, texts) if line)
    if not lines:
        return []
    return [Part(label=label, lines=lines[:shown], left=max(0, len(lines) - shown))]


def _cause(diagnosis: Diagnosis) -> Part:
    text = clamp(one_line(diagnosis.root_cause), PARAGRAPH_CHARACTERS)
    sure = diagnosis.confidence_words
    if diagnosis.hypothesis:
        text = f"{text} (The model's own idea: no playbook confirms it.)"
    match diagnosis.verdict:
        case Verdict.CAUSE_FOUND:
            return Part(label=f"Why ({sure})", text=text)
        case Verdict.LIKELY:
            return Part(label=f"Why, it seems ({sure})", text=text)
        case Verdict.NOT_A_PROBLEM:
            return Part(label=f"Not a problem ({sure})", text=text)
        case Verdict.CANNOT_TELL:
            return Part(label="Why (cannot tell yet)", text=text)


def _note(incident: Incident) -> str:
    """The honest line: who said this, or why nobody did, and what people say of it."""
    return " ".join(filter(None, (_source(incident), _judged(incident))))


def _judged(incident: Incident) -> str:
    said = []
    for word, right in (("👍 Right", True), ("👎 Wrong", False)):
        names = [clamp(one_line(f.by), 80) for f in incident.feedback if f.right is right]
        if names:
            more = f" and {len(names) - JUDGES} more" if len(names) > JUDGES else ""
            said.append(f"{word}, says {', '.join(names[:JUDGES])}{more}.")
    return " ".join(said)


def _source(incident: Incident) -> str:
    diagnosis = incident.diagnosis
    if incident.superseded_by:
        return ""
    if incident.state is State.RESOLVED:
        return "" if diagnosis else "It went away before its cause was found."
    if incident.diagnosing:
        return "⏳ Asking the model for the cause …"
    if diagnosis is None:
        return "No diagnosis yet."
    note = clamp(one_line(diagnosis.model_note), 300)
    if not diagnosis.model:
        return _sentence(note or "no model took part in this")
    # The note begins with the model's name, which is no word to capitalise.
    note = note or f"Explained by {one_line(diagnosis.model)}"
    return f"{note.rstrip('.')} (took {_seconds_in_words(diagnosis.seconds)})."


def _sentence(text: str) -> str:
    end = "" if text.endswith((".", "…", "!", "?")) else "."
    return text[:1].upper() + text[1:] + end


def _seconds_in_words(seconds: float) -> str:
    """Seconds while they are few, else minutes."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return duration_words(timedelta(seconds=seconds))


def _with_summary(message: Message, now: datetime) -> Message:
    # A telephone shows two lines: a namespace that the headline names is not said again.
    places = message.place.split(" · ")
    where = ", ".join((message.subject, *places) if message.subject else places[:1])
    texts = [f"{message.headline} — {where}, {when_in_words(message, now=now)}."]
    # The first part is the cause, where there is one.
    cause = next((p for p in message.parts[:1] if p.label.startswith(_CAUSES)), None)
    if cause is not None and cause.text:
        texts.append(f"{cause.label}: {cause.text}")
    elif message.note:
        texts.append(message.note)
    return replace(message, summary=clamp(" ".join(texts), 600))
