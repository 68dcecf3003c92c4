"""Slack with an incoming webhook: single messages, no edits, no threads, no buttons."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import aiohttp

from aegis_sink.model import OWN_CHANNEL, Audience, Digest, Incident, NoticeReason, Posted
from aegis_sink.notify.blocks import Rendered, render
from aegis_sink.notify.digest import compose_digest
from aegis_sink.notify.errors import (
    MessageRefused,
    NotifyError,
    NotifyRefused,
    NotifyUnavailable,
    OutcomeUnknown,
)
from aegis_sink.notify.message import compose
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.refusals import RATE_CODES, UNSURE_CODES, refusal
from aegis_sink.notify.slack_api import CONNECT_SECONDS, TIMEOUT_SECONDS, retry_after_seconds
from aegis_sink.unreached import why

log = logging.getLogger(__name__)


class SlackWebhook:
    """Posts to one incoming webhook. The URL is a secret and is never shown.

    aiohttp instead of the SDK's webhook client: that one writes the URL into its debug log and
    posts again by itself when a connection drops.
    """

    name = "slack-webhook"
    can_edit = False

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pacer: Pacer | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._url = url
        self._now = now
        self._pacer = pacer or Pacer()
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, incident: Incident, reason: NoticeReason, *, nonce: str, to: Audience = OWN_CHANNEL
    ) -> Posted:
        """Post one message; rich, else plain. A webhook carries no nonce that could be found."""
        now = self._now()
        more = "on the incident's page" if incident.url else "not shown here"
        message = compose(incident, reason, now=now)
        return await self._post(render(message, now=now, more=more, mentions=to.mentions))

    async def post_digest(self, digest: Digest, *, nonce: str, channel: str = "") -> Posted:
        """Post one message."""
        now = self._now()
        return await self._post(
            render(compose_digest(digest, now=now), now=now, more="not shown here")
        )

    async def edit_digest(self, digest: Digest, posted: Posted) -> None:
        """Nothing: a webhook's message cannot be edited."""

    async def _post(self, rendered: Rendered) -> Posted:
        refusal = ""
        try:
            await self._send({"text": rendered.text, "blocks": list(rendered.blocks)})
        except MessageRefused as refused:
            log.warning("%s; sending it as plain text", refused, extra={"code": refused.code})
            note = f"(Slack refused the rich form of this message: {refused.code})"
            await self._send({"text": f"{rendered.plain}\n{note}"})
            refusal = str(refused)
        return Posted(channel=self.name, refusal=refusal)

    async def edit(self, incident: Incident, reason: NoticeReason, posted: Posted) -> Posted:
        """Nothing: a webhook's message cannot be edited."""
        return posted

    async def reply(
        self,
        incident: Incident,
        reason: NoticeReason,
        posted: Posted,
        *,
        mentions: tuple[str, ...] = (),
        whole: bool = False,
    ) -> Posted:
        """Nothing: a webhook does not learn where its message stands."""
        return posted

    async def find(self, nonce: str, *, since: datetime, channel: str = "") -> Posted | None:
        """None: a webhook cannot read."""
        return None

    async def status(self) -> str:
        """Cannot be asked without posting, so this says only what is set."""
        return "Slack: posts to an incoming webhook (no edits, no buttons; not tried)"

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, body: Mapping[str, object]) -> None:
        await self._pacer.turn()
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
        message = {**body, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
        error: NotifyError
        try:
            # A redirect would carry the message, and the secret in the path, elsewhere.
            async with self._session.post(
                self._url, json=message, allow_redirects=False
            ) as response:
                if response.status == 200:
                    return
                text = (await response.text(errors="replace"))[:200].strip()
                error = self._refused(response.status, text, response.headers)
        # Causes are not chained: their texts may hold the URL.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            error = NotifyUnavailable(f"Slack's webhook cannot be reached: {why(exc)}")
        except aiohttp.InvalidURL:
            error = NotifyRefused("AEGIS_SLACK_WEBHOOK_URL is not a URL")
        except (aiohttp.ClientError, TimeoutError) as exc:
            error = OutcomeUnknown(f"no answer from Slack's webhook: {why(exc)}")
        raise error

    def _refused(self, status: int, text: str, headers: Mapping[str, str]) -> NotifyError:
        code = text if text.isidentifier() else ""
        if status == 429 or code in RATE_CODES:
            seconds = retry_after_seconds(headers)
            self._pacer.hold(seconds)
            return NotifyUnavailable(
                f"Slack's webhook asks to wait {seconds:.0f} s", retry_after=seconds
            )
        if status >= 500 or code in UNSURE_CODES:
            return OutcomeUnknown(f"Slack's webhook answered {status} {code}".strip())
        return refusal(code or f"status {status}", doing="posting to the webhook")
