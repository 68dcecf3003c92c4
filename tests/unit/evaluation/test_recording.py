"""A recording answers the real reader as an API server would."""

from typing import Any

import pytest

from aegis_sink.cluster.discovery import Discovery
from aegis_sink.cluster.errors import ClusterRefused, ObjectGone
from aegis_sink.cluster.reader import Budget, Reader
from aegis_sink.evaluation.folder import Log
from aegis_sink.evaluation.recording import Recording
from aegis_sink.model import ObjectRef

LOGS: dict[Log, bytes] = {("shop", "fig", "web", True): b"one\ntwo\nthree\n"}


def pod(name: str, namespace: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": f"node-of-{name}"},
    }


PODS = [pod("fig", "shop", app="a", tier="x"), pod("plum", "shop", app="b"), pod("pear", "other")]
CUSTOM = {
    "apiVersion": "example.io/v1",
    "kind": "Robot",
    "metadata": {"name": "r2", "namespace": "shop"},
}


@pytest.fixture
def reader() -> Reader:
    recording = Recording([*PODS, CUSTOM], LOGS)
    return Reader(recording, Discovery(recording, clock=lambda: 0.0), Budget())


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ("", ["fig", "plum"]),
        ("app=a", ["fig"]),
        ("app in (a,b),tier=x", ["fig"]),
        ("app notin (a)", ["plum"]),
        ("tier", ["fig"]),
        ("!tier", ["plum"]),
    ],
)
async def test_label_selectors(reader: Reader, labels: str, names: list[str]) -> None:
    assert [d.name for d in await reader.list("Pod", "shop", labels=labels)] == names


async def test_field_selectors(reader: Reader) -> None:
    found = await reader.list("Pod", fields="spec.nodeName=node-of-pear")
    assert [d.name for d in found] == ["pear"]
    assert len(await reader.list("Pod", fields="spec.nodeName!=")) == 3


async def test_what_was_not_recorded_is_gone(reader: Reader) -> None:
    with pytest.raises(ObjectGone):
        await reader.get(ObjectRef("Pod", "apple", "shop"))
    with pytest.raises(ObjectGone):
        await reader.get(ObjectRef("Secret", "apple", "shop"))


async def test_custom_kinds_are_discovered(reader: Reader) -> None:
    assert (await reader.get(ObjectRef("Robot", "r2", "shop"))).name == "r2"


async def test_a_log_gives_its_end_and_an_unrecorded_one_is_refused(reader: Reader) -> None:
    fig = ObjectRef("Pod", "fig", "shop")
    body = await reader.log(fig, "web", previous=True, lines=2, most_bytes=1000)
    assert body.data == b"two\nthree\n"
    with pytest.raises(ClusterRefused, match="not in the recording"):
        await reader.log(fig, "web", previous=False, lines=2, most_bytes=1000)
