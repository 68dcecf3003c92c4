"""Incident: one problem a person should hear about once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from aegis_sink.model.diagnosis import Diagnosis
from aegis_sink.model.evidence import Evidence
from aegis_sink.model.feedback import Feedback
from aegis_sink.model.notice import Notice
from aegis_sink.model.objects import ObjectRef


class State(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How bad it is for the people behind the workload."""

    DOWN = "down"
    DEGRADED = "degraded"
    RISK = "risk"
    HINT = "hint"


class MuteKind(StrEnum):
    """What keeps an open incident from being told."""

    SETTING = "setting"
    SILENCE = "silence"
    INCIDENT = "incident"


@dataclass(frozen=True, slots=True)
class Mute:
    """Why nobody is told of an open incident. `because` is for people.

    `by` is the name of the setting, the id of the silence, or the id of the incident this one
    follows from. `until` is when a silence ends; None: as long as it holds.
    """

    kind: MuteKind
    by: str
    because: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Follower:
    """An open incident that is muted by the one it follows from."""

    id: str
    title: str


PART_OF = "part of"
"""In the history of one that turned out to be only a symptom of another."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to an incident: what, and why in a few words."""

    at: datetime
    what: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """One problem: a subject (the owner a person acts on) and the objects that show it.

    All times are UTC. `errors` and `details` are redacted. `missing` is what the collectors could
    not read. `superseded_by` is the id of the incident a person replayed it as, or that it turned
    out to be a part of. `mute` says why nobody is told, `followers` which incidents are not told
    because of this one. `diagnosis` is None until there is one. `diagnosing` is true while a model
    is asked. `silenced_until` is when a silence of this one incident ends or ended; None with state
    `silenced` means until it is resolved. A silence with an end outlives the resolution: what comes
    back before it is over comes back silenced. `gone_at` is since when K8sGPT no longer reports it,
    while that is not yet its end.
    """

    id: str
    cluster: str
    state: State
    severity: Severity
    title: str
    subject: ObjectRef
    objects: tuple[ObjectRef, ...]
    errors: tuple[str, ...]
    failure_class: str
    fingerprint: str
    occurrences: int
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None = None
    gone_at: datetime | None = None
    details: str = ""
    url: str = ""
    silence_url: str = ""
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    silenced_by: str = ""
    silenced_until: datetime | None = None
    superseded_by: str = ""
    mute: Mute | None = None
    followers: tuple[Follower, ...] = ()
    diagnosing: bool = False
    diagnosis: Diagnosis | None = None
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    feedback: tuple[Feedback, ...] = ()

    @property
    def began_at(self) -> datetime:
        """When it was first seen, or came back for the last time as far as `history` is read."""
        times = (entry.at for entry in reversed(self.history) if entry.what == "reopened")
        return next(times, self.first_seen)

    @property
    def shown_state(self) -> State:
        """The state as people see it: what a silence mutes is `silenced`."""
        silenced = self.mute is not None and self.mute.kind is MuteKind.SILENCE
        return State.SILENCED if silenced and self.state is not State.RESOLVED else self.state
