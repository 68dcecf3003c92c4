"""The seam between the flow and the places where an incident is told."""

from datetime import datetime
from typing import Protocol

from aegis_sink.model import OWN_CHANNEL, Audience, Digest, Incident, NoticeReason, Posted


class Notifier(Protocol):
    """A place where incidents are told. Every method but `close` may raise `NotifyError`.

    Where a rich message was refused and plain text went out instead, `refusal` of what is returned
    says why.

    `can_edit` false means: `edit` and `reply` do nothing and `find` finds nothing, so the caller
    posts again for what must be told (the diagnosis, the end).
    """

    @property
    def name(self) -> str:
        """For logs, metrics and notices: "slack", "slack-webhook", "terminal" …"""

    @property
    def can_edit(self) -> bool:
        """Whether one message can be kept true by editing it."""

    async def post(
        self, incident: Incident, reason: NoticeReason, *, nonce: str, to: Audience = OWN_CHANNEL
    ) -> Posted:
        """Tell the incident in a new message that carries `nonce`."""

    async def edit(self, incident: Incident, reason: NoticeReason, posted: Posted) -> Posted:
        """Bring the message at `posted` to the incident's present state. Safe to repeat."""

    async def post_digest(self, digest: Digest, *, nonce: str, channel: str = "") -> Posted:
        """Tell many incidents in one new message that carries `nonce`; "" is the own channel."""

    async def edit_digest(self, digest: Digest, posted: Posted) -> None:
        """Bring the digest at `posted` to its present state. Safe to repeat."""

    async def reply(
        self,
        incident: Incident,
        reason: NoticeReason,
        posted: Posted,
        *,
        mentions: tuple[str, ...] = (),
        whole: bool = False,
    ) -> Posted:
        """Add to the thread of `posted` what the message has no room for, and what just happened;
        before it, with `whole`, the message as it should read now, because it cannot be edited."""

    async def find(self, nonce: str, *, since: datetime, channel: str = "") -> Posted | None:
        """The message in `channel` that carries `nonce`, posted at or after `since`; None when
        there is none."""

    async def status(self) -> str:
        """One line for a person: where messages go and whether that works."""

    async def close(self) -> None:
        """Let go of connections."""
