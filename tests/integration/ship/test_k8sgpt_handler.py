"""The Kopf handler's own function against a running aegis-sink (the real Kopf: tests/cluster)."""

import asyncio
import json
import logging
import runpy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import pytest
import yaml

from tests.integration.ship.conftest import ROOT
from tests.program import BIN, free_port, process, until_ready

RESULT = ROOT / "k8sgpt" / "results" / "pod-oomkilled.yaml"
LOG = logging.getLogger("handler")


@dataclass(frozen=True, slots=True)
class Sink:
    """A running program, and what it holds."""

    url: str

    async def incidents(self) -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as web, web.get(f"{self.url}/v1/incidents") as answer:
            return list((await answer.json())["incidents"])


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[Sink]:
    port = free_port()
    environment = {
        "AEGIS_PORT": str(port),
        "AEGIS_WEBHOOK_TOKEN": "right",
        "AEGIS_DATABASE_URL": f"sqlite:///{tmp_path}/sink.db",
        "AEGIS_KUBERNETES": "off",
        "AEGIS_LLM_API": "off",
        "AEGIS_RESOLVE_HOLD": "0s",
    }
    command = [str(BIN / "aegis-sink"), "serve"]
    async with process(command, environment, tmp_path) as running:
        await until_ready(running, f"http://127.0.0.1:{port}/readyz")
        yield Sink(f"http://127.0.0.1:{port}")


@pytest.fixture
def handler() -> dict[str, Any]:
    """The file's names; its functions take `pauses` from its own PAUSES_SECONDS."""
    return runpy.run_path(str(ROOT / "k8sgpt" / "k8sgpt_handler.py"))


def result(**status: str) -> kopf.Body:
    """As the API server would send it."""
    read = json.loads(json.dumps(yaml.safe_load(RESULT.read_text()), default=str))
    read.setdefault("status", {}).update(status)
    return kopf.Body(read)


async def test_a_result_becomes_an_incident_and_its_deletion_resolves_it(
    sink: Sink, handler: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_SINK_URL", sink.url.replace("//", "//aegis:right@") + "/webhook")
    hand_over = handler["hand_over"]
    for event in (None, "ADDED", "MODIFIED"):
        await hand_over(type=event, body=result(), logger=LOG)
    (incident,) = await sink.incidents()
    assert incident["state"] == "open"
    assert incident["subject"]["name"] == "payments-api"

    await hand_over(type="DELETED", body=result(), logger=LOG)
    async with asyncio.timeout(10):
        while (await sink.incidents())[0]["state"] != "resolved":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_an_event_is_tried_again_until_it_is_taken(
    sink: Sink,
    handler: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AEGIS_SINK_URL", sink.url.replace("//", "//aegis:wrong@") + "/webhook")
    hand_over = handler["hand_over"]
    monkeypatch.setitem(hand_over.__globals__, "PAUSES_SECONDS", (0, 0))
    handing = asyncio.create_task(hand_over(type="ADDED", body=result(), logger=LOG))
    async with asyncio.timeout(20):
        while len(warnings(caplog)) < 15:  # noqa: ASYNC110 — the handler tells nobody else
            await asyncio.sleep(0.01)
        monkeypatch.setenv("AEGIS_SINK_URL", sink.url.replace("//", "//aegis:right@") + "/webhook")
        await handing
    assert "401 " in warnings(caplog)[0]
    assert "wrong@" not in caplog.text
    assert len(await sink.incidents()) == 1


async def test_what_is_too_large_holds_up_nothing(
    sink: Sink,
    handler: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AEGIS_SINK_URL", sink.url.replace("//", "//aegis:right@") + "/webhook")
    large = result(filler="x" * 3_000_000)
    async with asyncio.timeout(20):
        await handler["hand_over"](type="ADDED", body=large, logger=LOG)
    assert [r.levelname for r in caplog.records if r.name == "handler"] == ["ERROR"]
    assert "right@" not in caplog.text


@pytest.mark.parametrize(
    "url", ["ftp://aegis:s3cret@sink/webhook", "http://aegis:s3cret@sink:99999/", "s3cret"]
)
def test_a_door_that_is_no_url_ends_the_start_and_is_not_repeated(
    handler: dict[str, Any], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("AEGIS_SINK_URL", url)
    with pytest.raises(kopf.PermanentError, match="AEGIS_SINK_URL must be like") as refused:
        handler["configure"](settings=kopf.OperatorSettings())
    assert "s3cret" not in str(refused.value)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage() for r in caplog.records if r.name == "handler" and r.levelname == "WARNING"
    ]


async def test_kopf_is_told_to_write_nothing(handler: dict[str, Any]) -> None:
    settings = kopf.OperatorSettings()
    handler["configure"](settings=settings)
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert settings.scanning.disabled
