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


def result() -> kopf.Body:
    """As the API server would send it."""
    return kopf.Body(json.loads(json.dumps(yaml.safe_load(RESULT.read_text()), default=str)))


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


async def test_a_refused_event_is_tried_again_and_then_told_to_kopf(
    sink: Sink,
    handler: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AEGIS_SINK_URL", sink.url.replace("//", "//aegis:wrong@") + "/webhook")
    hand_over = handler["hand_over"]
    monkeypatch.setitem(hand_over.__globals__, "PAUSES_SECONDS", (0, 0))
    with pytest.raises(aiohttp.ClientError, match=r"401 .*token"):
        await hand_over(type="ADDED", body=result(), logger=LOG)
    assert [r.levelname for r in caplog.records if r.name == "handler"] == ["WARNING"] * 2
    assert "wrong@" not in caplog.text


async def test_kopf_is_told_to_write_nothing(handler: dict[str, Any]) -> None:
    settings = kopf.OperatorSettings()
    handler["configure"](settings=settings)
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert settings.scanning.disabled
