"""CloudEvents that a Standard Webhooks receiver accepts."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from aegis_sink.model import Incident, NoticeReason
from aegis_sink.notify.errors import NotifyRefused, NotifyUnavailable
from aegis_sink.notify.forward import CloudEventsForwarder

SECRET = "whsec_" + base64.b64encode(b"a test secret of 32 bytes length").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret, for the rotation").decode()


class Receiver:
    """Another system that takes events."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 202
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        headers = {503: {"Retry-After": "11"}, 307: {"Location": self.url}}.get(self.status)
        return web.Response(status=self.status, headers=headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook/{secret}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook/urlsecret"
    yield receiver
    await runner.cleanup()


def encode(incident: Incident) -> dict[str, object]:
    return {"id": incident.id, "title": incident.title, "state": str(incident.state)}


@pytest.fixture
async def forwarder(receiver: Receiver) -> AsyncIterator[CloudEventsForwarder]:
    forwarder = CloudEventsForwarder(
        receiver.url, encode=encode, signing_secrets=[SECRET, OTHER], now=lambda: datetime.now(UTC)
    )
    yield forwarder
    await forwarder.close()


async def test_a_diagnosed_incident_is_a_signed_structured_event(
    receiver: Receiver, forwarder: CloudEventsForwarder, diagnosed: Incident
) -> None:
    await forwarder.post(diagnosed, NoticeReason.DIAGNOSED, nonce="n1")
    ((headers, body),) = receiver.requests
    event = Webhook(SECRET).verify(body, headers)
    assert Webhook(OTHER).verify(body, headers) == event
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert event["specversion"] == "1.0"
    assert event["type"] == "aegis-sink.incident.diagnosed"
    assert event["id"] == headers["webhook-id"] == "n1"
    assert event["subject"] == "inc-1"
    assert event["source"] == "/aegis-sink/clusters/prod-eu"
    assert datetime.fromisoformat(event["time"]).tzinfo is not None
    assert event["data"] == encode(diagnosed)


@pytest.mark.parametrize(("status", "error"), [(503, NotifyUnavailable), (404, NotifyRefused)])
async def test_what_the_other_side_says_decides_whether_to_try_again(
    receiver: Receiver,
    forwarder: CloudEventsForwarder,
    found: Incident,
    status: int,
    error: type[Exception],
) -> None:
    receiver.status = status
    with pytest.raises(error) as caught:
        await forwarder.post(found, NoticeReason.FIRST, nonce="n1")
    assert getattr(caught.value, "retry_after", 11) == 11
    assert "urlsecret" not in repr(caught.value)


async def test_a_redirect_is_not_followed(
    receiver: Receiver, forwarder: CloudEventsForwarder, found: Incident
) -> None:
    receiver.status = 307
    with pytest.raises(NotifyRefused, match="307"):
        await forwarder.post(found, NoticeReason.FIRST, nonce="n1")
    assert len(receiver.requests) == 1


async def test_a_receiver_that_is_away_is_tried_again(found: Incident) -> None:
    forwarder = CloudEventsForwarder("http://127.0.0.1:9/hook", encode=encode)
    with pytest.raises(NotifyUnavailable):
        await forwarder.post(found, NoticeReason.FIRST, nonce="n1")
    await forwarder.close()


async def test_text_that_no_utf8_has_is_sent_all_the_same(
    receiver: Receiver, forwarder: CloudEventsForwarder, found: Incident
) -> None:
    await forwarder.post(replace(found, title="a\ud800b"), NoticeReason.FIRST, nonce="n1")
    ((headers, body),) = receiver.requests
    assert Webhook(SECRET).verify(body, headers)["data"]["title"] == "a?b"


async def test_hostile_text_stays_a_text_of_the_data(
    receiver: Receiver, forwarder: CloudEventsForwarder, found: Incident
) -> None:
    text = 'x", "type": "evil" }\r\nwebhook-id: forged\n<!channel> \x1b[31m\u202e../../?a=b#c'
    hostile = replace(found, title=text, cluster=text)
    await forwarder.post(hostile, NoticeReason.FIRST, nonce="n1")
    ((headers, body),) = receiver.requests
    event = Webhook(SECRET).verify(body, headers)
    assert headers["webhook-id"] == "n1"
    assert (event["type"], event["subject"]) == ("aegis-sink.incident.first", "inc-1")
    assert event["data"]["title"] == text
    source = event["source"].removeprefix("/aegis-sink/clusters/")
    assert quote(text, safe="") == source
    assert "/" not in source
