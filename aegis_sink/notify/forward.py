"""Incidents for other systems: structured CloudEvents, signed by Standard Webhooks.

Sources: CloudEvents 1.0 (JSON event format, HTTP binding §3.2), standardwebhooks.com.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import aiohttp
from standardwebhooks import Webhook

from aegis_sink.model import OWN_CHANNEL, Audience, Digest, Incident, NoticeReason, Posted
from aegis_sink.notify.errors import NotifyError, NotifyRefused, NotifyUnavailable
from aegis_sink.notify.slack_api import CONNECT_SECONDS, TIMEOUT_SECONDS, retry_after_seconds
from aegis_sink.unreached import why

EVENT_TYPE_PREFIX = "aegis-sink.incident"


class CloudEventsForwarder:
    """Sends each telling as one event `aegis-sink.incident.<reason>` with the whole incident.

    At least once: the event's id is the nonce, so a receiver can drop what it has seen. `encode`
    gives the incident's JSON form. `signing_secrets` are `whsec_…`, several while a receiver changes
    from one to another; without any nothing is signed.
    """

    name = "cloudevents"
    can_edit = False

    def __init__(
        self,
        url: str,
        *,
        encode: Callable[[Incident], Mapping[str, object]],
        signing_secrets: Sequence[str] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._url = url
        self._encode = encode
        self._webhooks = tuple(map(Webhook, signing_secrets))
        self._now = now
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, incident: Incident, reason: NoticeReason, *, nonce: str, to: Audience = OWN_CHANNEL
    ) -> Posted:
        """Send one event; repeatable with the same nonce."""
        event = cloud_event(
            incident, reason, id=nonce, time=self._now(), data=self._encode(incident)
        )
        # K8sGPT's texts may hold half of a surrogate pair, which no UTF-8 has.
        body = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
        await self._send(nonce, body.decode())
        return Posted(channel=self.name)

    async def post_digest(self, digest: Digest, *, nonce: str, channel: str = "") -> Posted:
        """Nothing: each incident is an event of its own."""
        return Posted(channel=self.name)

    async def edit_digest(self, digest: Digest, posted: Posted) -> None:
        """Nothing: an event is never changed."""

    async def edit(self, incident: Incident, reason: NoticeReason, posted: Posted) -> Posted:
        """Nothing: an event is never changed."""
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
        """Nothing: the event holds the whole incident."""
        return posted

    async def find(self, nonce: str, *, since: datetime, channel: str = "") -> Posted | None:
        """None: sending again with the same nonce is safe."""
        return None

    async def status(self) -> str:
        """Cannot be asked without sending, so this says only what is set."""
        signed = "signed" if self._webhooks else "not signed"
        return f"CloudEvents: incidents are forwarded ({signed}; not tried)"

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, nonce: str, body: str) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
        headers = {"Content-Type": "application/cloudevents+json; charset=UTF-8"}
        if self._webhooks:
            at = self._now()
            headers["webhook-id"] = nonce
            headers["webhook-timestamp"] = str(int(at.timestamp()))
            signatures = (webhook.sign(nonce, at, body) for webhook in self._webhooks)
            headers["webhook-signature"] = " ".join(signatures)
        error: NotifyError
        try:
            async with self._session.post(
                self._url, data=body.encode(), headers=headers, allow_redirects=False
            ) as response:
                if response.status < 300:
                    return
                error = _refused(response.status, response.headers)
        # Causes are not chained: the URL may hold a secret.
        except aiohttp.InvalidURL:
            error = NotifyRefused("AEGIS_FORWARD_URL is not a URL")
        except (aiohttp.ClientError, TimeoutError) as exc:
            error = NotifyUnavailable(f"AEGIS_FORWARD_URL did not take the event: {why(exc)}")
        raise error


def cloud_event(
    incident: Incident,
    reason: NoticeReason,
    *,
    id: str,
    time: datetime,
    data: Mapping[str, object],
) -> dict[str, object]:
    """The event in structured form. `source` is the cluster, `subject` the incident."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"/aegis-sink/clusters/{quote(incident.cluster, safe='')}",
        "type": f"{EVENT_TYPE_PREFIX}.{reason}",
        "subject": incident.id,
        "time": time.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": dict(data),
    }


def _refused(status: int, headers: Mapping[str, str]) -> NotifyError:
    if status in (408, 425, 429) or status >= 500:
        seconds = retry_after_seconds(headers) if "Retry-After" in headers else None
        return NotifyUnavailable(f"AEGIS_FORWARD_URL answered {status}", retry_after=seconds)
    return NotifyRefused(
        f"AEGIS_FORWARD_URL answered {status}: check the address and what it takes "
        "(application/cloudevents+json)"
    )
