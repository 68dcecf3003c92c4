"""Digest: one message that tells of many incidents at once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from aegis_sink.model.incident import Severity, State
from aegis_sink.model.objects import ObjectRef


class DigestKind(StrEnum):
    """Why they are told together."""

    HINTS = "hints"
    """Advice, once a day."""
    STORM = "storm"
    """More problems at once than a person can read one by one."""


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One incident of a digest."""

    id: str
    title: str
    severity: Severity
    state: State
    subject: ObjectRef


@dataclass(frozen=True, slots=True)
class Digest:
    """What is told in one message, oldest incident first. Times are UTC."""

    id: str
    kind: DigestKind
    cluster: str
    opened_at: datetime
    lines: tuple[DigestLine, ...]
    silenced: int = 0
    """How many more belong to it, and are silenced or muted as it stands."""
