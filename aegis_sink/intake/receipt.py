"""What the door is told of a body it handed on."""

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from aegis_sink.dialects.table import Recognised


class Status(StrEnum):
    """What became of a body."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class ReceiptItem:
    """One incident that a body led to."""

    incident_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a body; it is on disk when this exists.

    `id` is the first incident's, the quarantine item's, or "" for a body without findings.
    """

    status: Status
    id: str
    items: tuple[ReceiptItem, ...] = ()


class CannotStore(Exception):
    """Nothing was stored; the sender should come again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Post(Protocol):
    """Writes an understood body down. Raises CannotStore."""

    def __call__(self, raw: bytes, recognised: Recognised, *, door: str) -> Awaitable[Receipt]: ...


class Accept(Protocol):
    """Stores an understood body. Raises CannotStore."""

    def __call__(
        self, raw: bytes, recognised: Recognised, *, door: str, force: bool = False
    ) -> Awaitable[Receipt]: ...


class Quarantine(Protocol):
    """Stores a body that was not understood. Raises CannotStore."""

    def __call__(self, raw: bytes, reason: str, *, door: str) -> Awaitable[Receipt]: ...
