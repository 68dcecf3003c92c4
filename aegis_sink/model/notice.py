"""Notice: what was told where, when, and for which named reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class NoticeReason(StrEnum):
    """Why something was told."""

    FIRST = "first"
    DIAGNOSED = "diagnosed"
    NEW_OBJECTS = "new_objects"
    CHANGED = "changed"
    REPEAT = "repeat"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message stands: Slack's channel id and ts; ts is "" where nothing can be edited.

    `refusal` says why the rich form was refused when the message went out as plain text; else "".
    """

    channel: str
    ts: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told: a channel (id or name; "" is the notifier's own), and whom a new message calls.

    `mentions` are "here", "channel", or ids of users (U…) and user groups (S…). They come from the
    settings, never from an incident.
    """

    channel: str = ""
    mentions: tuple[str, ...] = ()


OWN_CHANNEL = Audience()
"""The notifier's own channel, and nobody is called."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One telling. `at` is UTC; `channel` and `ts` are Slack's, or the notifier's name and "".

    The other fields are what was told, to see later what is new (`triage.tell.what_is_told` fills
    them): how many names the objects have, keys of diagnosis and failure class, the severity.
    None means that it is not known.
    """

    reason: NoticeReason
    at: datetime
    channel: str = ""
    ts: str = ""
    objects: int | None = None
    diagnosis: str | None = None
    failure_class: str | None = None
    severity: str | None = None
