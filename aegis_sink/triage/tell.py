"""Should this be told now? One pure function with a named reason, and words for why or why not.

It reads what was told before (the notices), and state, diagnosis, objects and times of the
incident; nothing else decides, so that `aegis-sink why` can show each decision.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from aegis_sink.model import (
    DigestKind,
    Incident,
    MuteKind,
    Notice,
    NoticeReason,
    Posted,
    Severity,
    State,
)
from aegis_sink.triage.subject import stem

_WORST_FIRST = (Severity.DOWN, Severity.DEGRADED, Severity.RISK, Severity.HINT)
_KEY_CHARACTERS = 16
FOR_MORE_FINDINGS = "waits for more findings of the same problem"
# What mutes an incident may end without a word to it; that much later it is told at the latest.
MUTE_RECHECK = timedelta(minutes=10)


class Held(StrEnum):
    """Why something is not told now, by name."""

    OVER = "over"
    WAITS = "waits"
    UNCHANGED = "unchanged"
    ACKNOWLEDGED = "acknowledged"
    HINT = "hint"
    STORM = "storm"
    MUTED_BY_SETTING = "muted_by_setting"
    MUTED_BY_SILENCE = "muted_by_silence"
    MUTED_BY_INCIDENT = "muted_by_incident"


_MUTED = {
    MuteKind.SETTING: Held.MUTED_BY_SETTING,
    MuteKind.SILENCE: Held.MUTED_BY_SILENCE,
    MuteKind.INCIDENT: Held.MUTED_BY_INCIDENT,
}


@dataclass(frozen=True, slots=True)
class TellRules:
    """How long to wait: before the first telling, between later ones, before a reminder.

    `hints` says what becomes of hints: `digest` (once a day), `now` (like any other), `never`.
    """

    group_wait: timedelta
    repeat_interval: timedelta
    group_interval: timedelta = timedelta(minutes=5)
    hints: Literal["digest", "now", "never"] = "digest"


@dataclass(frozen=True, slots=True)
class Decision:
    """Tell for `reason`, or do not for the reason that `held` names; one of the two is None.

    `because` is for people. `wait_until` is when to ask again although nothing happened, None when
    only something new can change the answer. With `digest` it is told with others, not alone.
    `worse`: people were told that it was less bad.
    """

    reason: NoticeReason | None
    because: str
    wait_until: datetime | None = None
    held: Held | None = None
    digest: DigestKind | None = None
    worse: bool = False


def decide(
    incident: Incident, *, now: datetime, rules: TellRules, crowded: bool = False
) -> Decision:
    """What to tell of an incident at `now`.

    A muted incident that had been told is still told to be resolved. When it is `crowded`
    (`triage.storm`), what has no message of its own gets none.
    """
    if incident.state is State.RESOLVED:
        return _resolved(incident)
    if incident.state is State.SILENCED and not silence_is_over(incident, now):
        return _held(Held.MUTED_BY_SILENCE, "it is silenced", incident.silenced_until)
    if (mute := incident.mute) is not None:
        again = now + MUTE_RECHECK
        until = min(again, mute.until) if mute.until is not None else again
        return _held(_MUTED[mute.kind], mute.because, max(until, now))
    if not incident.notices:
        return _first(incident, now, rules, crowded)
    last = incident.notices[-1]
    if not _has_own_message(incident):
        return _told_with_others(incident, last, now, rules, crowded)
    if last.reason is NoticeReason.RESOLVED:
        due = incident.began_at + rules.group_wait
        if now < due:
            return _held(Held.WAITS, "it is back; waits for more findings", due)
        return Decision(NoticeReason.REOPENED, "it is back after it was told to be resolved")
    return _again(incident, last, now, rules)


def silence_is_over(incident: Incident, now: datetime) -> bool:
    """Whether the silence of this one incident had an end, and that is past."""
    return incident.silenced_until is not None and incident.silenced_until <= now


def _held(held: Held, because: str, wait_until: datetime | None = None) -> Decision:
    return Decision(None, because, wait_until, held)


def what_is_told(
    incident: Incident, reason: NoticeReason, *, at: datetime, posted: Posted, thread: bool = False
) -> Notice:
    """The notice to keep for a telling of `incident` as it stands.

    With a `thread`, the first reply in it leaves proof and fixes to the one that follows the
    diagnosis: that one is told although the model may add nothing.
    """
    left_out = thread and reason is NoticeReason.FIRST and incident.diagnosing
    return Notice(
        reason,
        at,
        posted.channel,
        posted.ts,
        objects=_names(incident),
        diagnosis="" if left_out else _diagnosis_key(incident),
        failure_class=_key(incident.failure_class),
        severity=incident.severity,
    )


def _resolved(incident: Incident) -> Decision:
    if not incident.notices:
        return _held(Held.OVER, "it was over before anything was told")
    if incident.notices[-1].reason is NoticeReason.RESOLVED:
        return _held(Held.OVER, "its end was told")
    if not _has_own_message(incident):
        return _held(Held.OVER, "its end shows in the digest it was told in")
    return Decision(NoticeReason.RESOLVED, "it is over, and nobody was told yet")


def _has_own_message(incident: Incident) -> bool:
    return any(notice.reason is not NoticeReason.DIGEST for notice in incident.notices)


def _first(incident: Incident, now: datetime, rules: TellRules, crowded: bool) -> Decision:
    if incident.severity is Severity.HINT and rules.hints != "now":
        return _hint(rules)
    due = incident.began_at + rules.group_wait
    if now < due:
        return _held(Held.WAITS, FOR_MORE_FINDINGS, due)
    if crowded:
        return _storm()
    return Decision(NoticeReason.FIRST, "nobody was told of it yet")


def _hint(rules: TellRules) -> Decision:
    if rules.hints == "never":
        return _held(Held.HINT, "a hint is listed, and nobody is told of it (AEGIS_HINTS)")
    because = "a hint is told in the digest of the day"
    return Decision(None, because, held=Held.HINT, digest=DigestKind.HINTS)


def _storm() -> Decision:
    because = "many problems at once: it is told in a digest"
    return Decision(None, because, held=Held.STORM, digest=DigestKind.STORM)


def _told_with_others(
    incident: Incident, last: Notice, now: datetime, rules: TellRules, crowded: bool
) -> Decision:
    """It was told in a digest: alone only when it is worse than was told, came back, or lasts."""
    begun = incident.began_at
    is_back = begun > last.at
    if incident.severity is Severity.HINT and rules.hints != "now":
        return _hint(rules) if is_back else _held(Held.HINT, "a hint was told in a digest")
    if is_back:
        due = begun + rules.group_wait
        if now < due:
            return _held(Held.WAITS, "it is back; waits for more findings", due)
        reason, because = NoticeReason.REOPENED, "it is back after its end showed in a digest"
    elif _is_worse(incident, last):
        return _storm() if crowded else _worse(incident, last)
    elif now >= (due := last.at + rules.repeat_interval):
        reason, because = NoticeReason.REPEAT, "it is still there, and the repeat interval is over"
    else:
        return _held(Held.STORM, "it was told in a digest", due)
    return _storm() if crowded else Decision(reason, because)


def _is_worse(incident: Incident, last: Notice) -> bool:
    return last.severity in _WORST_FIRST[_WORST_FIRST.index(incident.severity) + 1 :]


def _worse(incident: Incident, last: Notice) -> Decision:
    because = f"it was {last.severity} and is {incident.severity}"
    return Decision(NoticeReason.CHANGED, because, worse=True)


def _again(incident: Incident, last: Notice, now: datetime, rules: TellRules) -> Decision:
    """It was told before: is there something new, or has it been silent for long?"""
    if _is_worse(incident, last):
        return _worse(incident, last)
    settled = last.at + rules.group_interval
    # What came last before K8sGPT fell silent is no news: its end is being looked for.
    news = _news(incident, last) if incident.gone_at is None else None
    if news is not None and now >= settled:
        return Decision(*news)  # the diagnosis that goes with it is told with it
    if _diagnosis_is_new(incident, last):
        return Decision(NoticeReason.DIAGNOSED, "the diagnosis came after the last telling")
    if news is not None:
        _, because = news
        return _held(Held.WAITS, f"{because}; waits because it was told just now", settled)
    if incident.state is State.ACKNOWLEDGED or incident.acknowledged_by:
        return _held(Held.ACKNOWLEDGED, "it is acknowledged, so it is not repeated")
    if silence_is_over(incident, now) and last.at < (incident.silenced_until or last.at):
        return Decision(NoticeReason.REPEAT, "its silence is over, and it is still there")
    due = last.at + rules.repeat_interval
    if now >= due:
        return Decision(NoticeReason.REPEAT, "it is still there, and the repeat interval is over")
    return _held(Held.UNCHANGED, "it was told and nothing is new", due)


def _news(incident: Incident, last: Notice) -> tuple[NoticeReason, str] | None:
    if last.failure_class is not None and last.failure_class != _key(incident.failure_class):
        return NoticeReason.CHANGED, "it fails in another way than was told"
    names = _names(incident)
    if last.objects is not None and names > last.objects:
        return NoticeReason.NEW_OBJECTS, f"{names - last.objects} more objects show it"
    return None


def _diagnosis_is_new(incident: Incident, last: Notice) -> bool:
    if incident.diagnosis is None or incident.diagnosing:
        return False
    for notice in reversed(incident.notices):
        if notice.reason is NoticeReason.DIAGNOSED:
            return False
        if notice.reason in (NoticeReason.FIRST, NoticeReason.REOPENED, NoticeReason.CHANGED):
            break
    return last.diagnosis != _diagnosis_key(incident)


def _diagnosis_key(incident: Incident) -> str:
    """Changes with what a diagnosis says, not with who says it or how long it took."""
    diagnosis = incident.diagnosis
    if diagnosis is None:
        return ""
    return _key(
        "\0".join(
            (diagnosis.verdict, diagnosis.cause_id, diagnosis.root_cause, diagnosis.explanation)
        )
    )


def _names(incident: Incident) -> int:
    """How many names the objects have, where pods that replace one another share one."""
    return len({(ref.resource_kind, ref.namespace, stem(ref)) for ref in incident.objects})


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_CHARACTERS]
