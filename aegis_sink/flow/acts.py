"""What people do with an incident, by a button or over HTTP. Each act is one transaction.

An act that makes no sense any more (the incident is over, somebody was quicker) changes nothing and
says so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from aegis_sink.model import Feedback, Incident, State
from aegis_sink.notify.text import time_words
from aegis_sink.store import history, incidents, jobs
from aegis_sink.store.database import Connection
from aegis_sink.store.feedback import store_feedback

NOT_OVER = "If K8sGPT still reports it, it comes back."


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts: `name` for people, `user` to tell people apart; and why, if they said so."""

    name: str
    user: str = ""
    reason: str = ""

    @property
    def words(self) -> str:
        """For the history."""
        return f"by {self.name}" + (f": {self.reason}" if self.reason else "")


class Effect(StrEnum):
    """What an act did."""

    DONE = "done"
    ALREADY = "already"
    """It was so before."""
    REFUSED = "refused"
    """It makes no sense as the incident stands."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of an act, and one line for the person who acted."""

    effect: Effect
    words: str


def acknowledge(c: Connection, incident: Incident, person: Person, *, at: datetime) -> Acted:
    """Somebody works on it: it is not repeated, but news of it are told."""
    match incident.state:
        case State.ACKNOWLEDGED:
            since = f" since {_time(incident.acknowledged_at, at)}" * bool(incident.acknowledged_at)
            return Acted(Effect.ALREADY, f"{_who(incident.acknowledged_by)} has it{since}.")
        case State.RESOLVED | State.SILENCED:
            return _stands_otherwise(incident, at)
    _move(c, incident, State.ACKNOWLEDGED, "acknowledged", person, at=at)
    return Acted(Effect.DONE, "Acknowledged: it is yours now, and it is not repeated.")


def silence(
    c: Connection, incident: Incident, person: Person, *, at: datetime, length: timedelta | None
) -> Acted:
    """Nothing of it is told for `length` from `at` on, without one until it is resolved."""
    if incident.state in (State.RESOLVED, State.SILENCED):
        return _stands_otherwise(incident, at)
    until = None if length is None else at + length
    _move(c, incident, State.SILENCED, "silenced", person, at=at, until=until)
    if until is None:
        return Acted(Effect.DONE, "Silenced until it is resolved.")
    return Acted(
        Effect.DONE,
        f"Silenced until {_time(until, at)}. If it is still there then, you hear of it.",
    )


def end_silence(c: Connection, incident: Incident, person: Person, *, at: datetime) -> Acted:
    """The silence ends before its time."""
    if incident.state is State.RESOLVED:
        return _stands_otherwise(incident, at)
    if incident.state is not State.SILENCED:
        return Acted(Effect.ALREADY, "It is not silenced.")
    incidents.wake(c, incident, at=at, reason=person.words)
    jobs.enqueue(c, incident.id, jobs.TELL, at)
    return Acted(Effect.DONE, "The silence is over.")


def resolve(c: Connection, incident: Incident, person: Person, *, at: datetime) -> Acted:
    """It is over, says a person."""
    if incident.state is State.RESOLVED:
        return Acted(Effect.ALREADY, _stands_otherwise(incident, at).words)
    _move(c, incident, State.RESOLVED, "resolved", person, at=at)
    return Acted(Effect.DONE, f"Resolved. {NOT_OVER}")


def diagnose_again(c: Connection, incident: Incident, person: Person, *, at: datetime) -> Acted:
    """Read the cluster again. The model is asked only about evidence it has not seen."""
    if incident.state is State.RESOLVED:
        return _stands_otherwise(incident, at)
    if incident.diagnosing:
        return Acted(Effect.ALREADY, "It is being diagnosed right now.")
    history.note(c, incident.id, at, "diagnosed again", person.words)
    jobs.enqueue(c, incident.id, jobs.COLLECT, at)
    return Acted(
        Effect.DONE,
        "The cluster is read again. If the evidence changed, the message changes; if not, the "
        "diagnosis stands.",
    )


def judge(c: Connection, incident: Incident, person: Person, *, at: datetime, right: bool) -> Acted:
    """The diagnosis was right, or wrong."""
    if incident.diagnosis is None or incident.diagnosing:
        return Acted(Effect.REFUSED, "There is no diagnosis to judge yet.")
    word = "right" if right else "wrong"
    user = person.user or person.name
    before = next((f for f in incident.feedback if f.user == user), None)
    if before and (before.right, before.diagnosis) == (right, incident.diagnosis):
        return Acted(Effect.ALREADY, f"You said so before: {word}.")
    store_feedback(c, incident.id, Feedback(at, person.name, user, right, incident.diagnosis))
    history.note(c, incident.id, at, f"diagnosis judged {word}", person.words)
    jobs.enqueue(c, incident.id, jobs.TELL, at)
    return Acted(Effect.DONE, f"Noted: the diagnosis was {word}. Thank you.")


def _move(
    c: Connection,
    incident: Incident,
    state: State,
    what: str,
    person: Person,
    *,
    at: datetime,
    until: datetime | None = None,
) -> None:
    incidents.set_state(
        c, incident.id, state, at=at, what=what, reason=person.words, by=person.name, until=until
    )
    jobs.enqueue(c, incident.id, jobs.TELL, at)


def _stands_otherwise(incident: Incident, now: datetime) -> Acted:
    """What stands in the way of an act."""
    if incident.superseded_by:
        words = f"It goes on as incident {incident.superseded_by}: look there."
    elif incident.state is State.RESOLVED:
        words = f"It has been over since {_time(incident.resolved_at, now)}."
    elif incident.silenced_until is None:
        words = f"{_who(incident.silenced_by)} silenced it until it is resolved."
    else:
        words = f"{_who(incident.silenced_by)} silenced it until "
        words += f"{_time(incident.silenced_until, now)}."
    return Acted(Effect.REFUSED, words)


def _who(name: str) -> str:
    return name or "Somebody"


def _time(at: datetime | None, now: datetime) -> str:
    return time_words(at or now, now=now)
