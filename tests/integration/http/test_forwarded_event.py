"""A whole service hands an incident to another system, signed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

SECRET = "whsec_YSBzZWNyZXQgZm9yIHRoZSB0ZXN0cyBvbmx5"


class Receiver:
    """Takes events and keeps them."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.events.put_nowait(Webhook(SECRET).verify(body, dict(request.headers)))
        return web.Response(status=202)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def test_an_incident_is_forwarded_as_the_api_shows_it(serve: Any, receiver: Receiver) -> None:
    async with serve(
        forward_url=receiver.url, forward_secret=SECRET, public_url="https://sink.test"
    ) as served:
        title = ">*[main] K8sGPT analysis of the Ingress shop/web*"
        text = "1. Ingress uses the service shop/web-v2 which does not exist.\n"
        body = {"text": title, "attachments": [{"text": text, "title": "Report"}]}
        posted = (await served.post("/webhook", body)).json
        async with asyncio.timeout(30):
            event = await receiver.events.get()
        assert (event["type"], event["subject"]) == ("aegis-sink.incident.first", posted["id"])
        shown = (await served.get(f"/v1/incidents/{posted['id']}")).json
        stays = ("id", "url", "title", "fingerprint", "subject", "objects", "errors", "diagnosis")
        assert {key: event["data"][key] for key in stays} == {key: shown[key] for key in stays}
        assert set(event["data"]) == set(shown)
        ready = (await served.get("/readyz")).json
        assert ready["forward"].startswith("CloudEvents: incidents are forwarded (signed")
