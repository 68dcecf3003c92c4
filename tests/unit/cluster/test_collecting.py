"""What a collection brings back, and what it says when it may not or cannot read."""

import asyncio
import re
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.cluster.collectors import COLLECTORS
from aegis_sink.cluster.errors import TooLarge
from aegis_sink.cluster.reader import Budget
from aegis_sink.cluster.resources import KNOWN
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.model import Finding, ObjectRef, OwnerChain
from aegis_sink.model.facts import ContainerFacts, EventsFacts, LogFacts, ObjectFacts
from tests.unit.cluster.fake_api import FakeApi, connected
from tests.unit.cluster.objects import alone, event, facts_of, finding, metadata, owned_by, pod


async def test_a_forbidden_log_names_the_rule_that_would_allow_it(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(pod())
    api.refuse("log", 403)
    collected = await cluster.collect(finding("Pod", "api-1"), alone(finding("Pod", "api-1")))
    assert facts_of(collected, ContainerFacts).termination_reason == "OOMKilled"
    (line,) = [m for m in collected.missing if "previous" not in m]
    assert "not allowed to read pods/log api-1 in namespace shop" in line
    assert '{apiGroups: [""], resources: ["pods/log"], verbs: ["get"]}' in line


async def test_a_pod_that_is_gone_is_said_to_be_gone(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(event(1, "api-1"))
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    assert facts_of(collected, ObjectFacts).exists is False
    assert facts_of(collected, EventsFacts).reasons == ("BackOff",)
    assert collected.healthy is None


async def test_the_budget_of_calls_ends_a_collection_and_is_named(api: FakeApi) -> None:
    api.put(pod())
    cluster = connected(api, budget=Budget(calls=2))
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    assert collected.calls == 2
    assert len(api.asked) == 2
    assert any("not read, 2 calls were made" in line for line in collected.missing)
    await cluster.close()


async def test_answers_read_at_the_same_time_share_the_budget_of_bytes(api: FakeApi) -> None:
    padding = {"a": "y" * 9000}
    kinds = ("StorageClass", "CSIDriver", "Pod", "Event")
    for kind in kinds:
        api.put(
            *(
                {"kind": kind, "metadata": metadata(f"x{n}", annotations=padding)}
                for n in range(100)
            )
        )
    api.put({"kind": "PersistentVolumeClaim", "metadata": metadata("data"), "spec": {}})
    cluster = connected(api, budget=Budget(bytes=1_200_000))
    reader = cluster._reader()
    reads = (reader.list(kind, "shop") for kind in kinds)
    answers = await asyncio.gather(*reads, return_exceptions=True)
    assert any(isinstance(answer, TooLarge) for answer in answers)
    assert any(isinstance(answer, tuple) and len(answer) == 100 for answer in answers)
    assert reader.spent.bytes <= 1_200_000
    await cluster.close()


async def test_what_hangs_for_one_incident_holds_up_no_other(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(pod(), pod("web-1", "front"))
    api.hang("namespaces/shop/events")
    slow, quick = finding("Pod", "api-1"), finding("Pod", "web-1", namespace="front")
    asked = asyncio.ensure_future(cluster.collect(slow, alone(slow)))
    collected = await cluster.collect(quick, alone(quick))
    assert collected.evidence
    assert not asked.done()
    asked.cancel()
    await asyncio.wait({asked})


async def test_a_server_that_hangs_costs_an_incident_its_seconds(api: FakeApi) -> None:
    api.put(pod())
    api.hang("namespaces/shop/events")
    cluster = connected(api, budget=Budget(seconds=1.5))
    slow = finding("Pod", "api-1")
    stalled = await cluster.collect(slow, alone(slow))
    assert any("not read within 1.5 s" in line and "Event" in line for line in stalled.missing)
    assert facts_of(stalled, ContainerFacts).name == "api"
    await cluster.close()


async def test_a_hundred_pods_of_one_deployment_cost_one_owners_worth_of_calls(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    names = [f"api-7c5ddbdf54-{a}{b}2x4" for a in "bcdfghjklm" for b in "bcdfghjklm"]
    api.put(*(pod(n, metadata=owned_by("ReplicaSet", "api-7c5ddbdf54")) for n in names))
    api.put(
        {
            "kind": "ReplicaSet",
            "metadata": {
                "name": "api-7c5ddbdf54",
                "namespace": "shop",
                **owned_by("Deployment", "api"),
            },
        },
        {"kind": "Deployment", "metadata": {"name": "api", "namespace": "shop"}},
    )

    async def whole(name: str) -> str:
        one = finding("Pod", name, f"the last termination reason is OOMKilled pod={name}")
        owners = await cluster.owners(one, lambda ref: OwnerChain((ref,), "name"))
        assert owners.chain[0].name == name
        collected = await cluster.collect(one, owners)
        assert collected.evidence
        return owners.subject.name

    assert set(await asyncio.gather(*(whole(n) for n in names))) == {"api"}
    assert len(api.asked) <= 12


async def test_ten_thousand_events_are_read_in_part_and_that_is_said(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(pod(), *(event(n, "api-1", message=f"attempt {n}") for n in range(10_000)))
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    assert any("only the first 1500 were read" in line for line in collected.missing)
    assert collected.calls <= 12
    (events,) = [e.text for e in collected.evidence if e.source.startswith("events")]
    assert events.endswith("(newer ones were not read: there are more than 1500)")
    text = next(e.text for e in collected.evidence if e.source.startswith("events"))
    assert len(text) < 3000


async def test_the_newest_of_many_events_are_kept_though_the_server_lists_the_oldest_first(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    said = [event(n, "api-1", message=f"attempt {n}") for n in range(1200)]
    for n, one in enumerate(said):
        one["lastTimestamp"] = f"2026-03-01T{10 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"
    api.put(pod(), *said)
    about = finding("Pod", "api-1")
    collected = await cluster.collect(about, alone(about))
    text = next(e.text for e in collected.evidence if e.source.startswith("events"))
    assert "attempt 1199" in text
    assert "attempt 0" not in text
    assert not [line for line in collected.missing if "Event" in line]


def expire(api: FakeApi, plural: str, times: int) -> None:
    """Answer 410 to the second page, so many times."""
    told = 0

    async def forgotten(request: web.Request) -> web.Response | None:
        nonlocal told
        if "continue" not in request.query or told >= times:
            return None
        told += 1
        message = "The provided continue parameter is too old"
        return web.json_response({"kind": "Status", "message": message}, status=410)

    api.faults[f"/{plural}"] = forgotten


async def test_a_list_that_expires_in_the_middle_is_begun_anew_and_is_whole(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(pod(), *(event(n, "api-1", message=f"attempt {n}") for n in range(300)))
    expire(api, "events", 1)
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    text = next(e.text for e in collected.evidence if e.source.startswith("events"))
    assert "(288 older left out)" in text
    assert not [line for line in collected.missing if "Event" in line or "events" in line]


async def test_a_list_that_expires_again_and_again_is_named_as_missing(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(pod(), *(event(n, "api-1", message=f"attempt {n}") for n in range(300)))
    expire(api, "events", 9)
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    assert any("continue parameter is too old (410)" in line for line in collected.missing)


@pytest.mark.parametrize(
    ("log", "last_line"),
    [
        (b"starting\n" * 600_000 + b"FATAL: no such host\n", "FATAL: no such host"),
        (bytes(range(256)) * 4000, None),
        (b"", ""),
        (b"\x1b[31mFATAL\x1b[0m: boom\r\n", "FATAL: boom"),
    ],
    ids=["five megabytes", "binary", "empty", "escapes"],
)
async def test_any_log_becomes_a_short_readable_text(
    api: FakeApi, cluster: KubernetesCluster, log: bytes, last_line: str | None
) -> None:
    api.put(pod())
    api.logs["api-1", "api", True] = log
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    facts = facts_of(collected, LogFacts)
    text = next(e.text for e in collected.evidence if e.facts is facts)
    assert len(text) < 6000
    assert text.replace("\n", "").isprintable()
    if last_line is not None:
        assert facts.last_line == last_line


async def test_a_log_of_one_endless_line_is_not_called_empty(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    api.put(pod())
    api.logs["api-1", "api", True] = b"x" * 5_000_000
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    assert not [e for e in collected.evidence if "log" in e.source]
    assert any("newest lines, they are longer than 256 KiB" in m for m in collected.missing)


@pytest.mark.parametrize("kind", COLLECTORS)
@pytest.mark.parametrize("itself", ["readable", "forbidden"])
async def test_whatever_a_kind_may_not_read_is_named_with_its_rule(
    api: FakeApi, cluster: KubernetesCluster, kind: str, itself: str
) -> None:
    if kind in KNOWN:
        spec = {"selector": {"app": "x"}, "storageClassName": "fast", "gatewayClassName": "gw"}
        api.put({"kind": kind, "metadata": metadata("x", labels={"app": "x"}), "spec": spec})

    async def forbid(request: web.Request) -> web.Response | None:
        own = request.path.endswith(f"{kind.lower()}s/x") or request.path == "/apis"
        if own and itself == "readable":
            return None
        return web.json_response({"message": "no"}, status=403)

    api.faults["/"] = forbid
    one = finding(kind, "x")
    collected = await cluster.collect(one, alone(one))
    lines = [line for line in collected.missing if "knows no kind" not in line]
    assert lines or (kind == "OperatorGroup" and itself == "readable"), collected
    assert all("not allowed to read" in line for line in lines), lines
    assert all(
        'this rule would allow it: {apiGroups: ["' in line or "nonResourceURLs" in line
        for line in lines
    ), lines


async def test_a_long_log_is_looked_through_beside_the_event_loop(api: FakeApi) -> None:
    threads: dict[bool, set[str]] = {True: set(), False: set()}

    def redact(text: str) -> str:
        threads[len(text) > 100_000].add(threading.current_thread().name)
        return text

    api.put(pod())
    api.logs["api-1", "api", True] = (b"x" * 999 + b"\n") * 150 + b"FATAL: no such host\n"
    cluster = connected(api, redact=redact)
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    assert facts_of(collected, LogFacts).last_line == "FATAL: no such host"
    here = threading.current_thread().name
    assert here in threads[False]
    assert threads[True]
    assert here not in threads[True]
    await cluster.close()


@pytest.mark.parametrize("kind", [*COLLECTORS, "Whatever"])
@pytest.mark.parametrize("shape", ["bare", "absurd"])
async def test_an_object_of_any_shape_is_collected(
    api: FakeApi, cluster: KubernetesCluster, kind: str, shape: str
) -> None:
    """No status at all, and wrong types everywhere."""
    one: dict[str, object] = {"kind": kind, "metadata": {"name": "x", "namespace": "shop"}}
    if shape == "absurd":
        one |= {"spec": ["no"], "status": {"conditions": "none", "containerStatuses": [None, 3]}}
        one |= {"webhooks": [{"name": "x", "clientConfig": 4}], "data": 5}
    if kind in KNOWN:
        api.put(one)
    looked = finding(kind, "x")
    collected = await cluster.collect(looked, alone(looked))
    assert collected.evidence or collected.missing or kind not in KNOWN
    texts = "\n".join(e.text for e in collected.evidence)
    assert re.search(r"\b(None|True|False)\b", texts) is None, "words of a program, not of people"


async def test_the_same_cluster_gives_the_same_bytes(api: FakeApi) -> None:
    api.put(pod(), *(event(n, "api-1", reason=f"R{n}") for n in range(30)))
    api.logs["api-1", "api", True] = b"boom\n"
    one = finding("Pod", "api-1")
    seen = set()
    for _ in range(3):
        cluster = connected(api)
        collected = await cluster.collect(one, alone(one))
        seen.add(tuple((e.id, e.source, e.text, e.cut) for e in collected.evidence))
        await cluster.close()
    assert len(seen) == 1


SECRET = "correct-horse-battery-9"  # planted wherever a collector reads


def planted() -> list[dict[str, object]]:
    one = pod(
        spec={
            "containers": [
                {
                    "name": "api",
                    "image": "shop/api:2",
                    "args": ["--db-password", SECRET, f"--token={SECRET}"],
                    "env": [{"name": "INNOCENT", "value": SECRET}],
                    "livenessProbe": {"exec": {"command": ["check", f"--password={SECRET}"]}},
                }
            ]
        }
    )
    statuses = one["status"]["containerStatuses"][0]
    statuses["lastState"]["terminated"]["message"] = f"cannot log in: password={SECRET}"
    statuses["state"]["waiting"]["message"] = f"url postgres://u:{SECRET}@db/x"
    one["metadata"]["annotations"] = {"last-applied": SECRET}
    message = f"failed with DB_PASSWORD={SECRET}"
    return [one, event(1, "api-1", message=message)]


@pytest.mark.parametrize("position", ["first", "middle", "last", "only"])
async def test_a_planted_secret_leaves_in_no_text_and_no_fact(api: FakeApi, position: str) -> None:
    line = f"connecting: DB_PASSWORD={SECRET}\n".encode()
    filler = b"all is well\n" * 300
    logs = {
        "first": line + filler,
        "middle": filler[:1200] + line + filler[:1200],
        "last": filler + line,
        "only": line,
    }
    api.put(*planted())
    api.logs["api-1", "api", True] = logs[position]
    cluster = connected(api, redact=Redactor(b"k"))
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    assert SECRET not in repr(collected)
    assert any("[redacted:" in e.text for e in collected.evidence)
    await cluster.close()


async def test_config_map_values_are_measured_and_dropped(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    data = {"key": SECRET}
    api.put({"kind": "ConfigMap", "metadata": {"name": "cfg", "namespace": "shop"}, "data": data})
    one = finding("ConfigMap", "cfg")
    collected = await cluster.collect(one, alone(one))
    assert SECRET not in repr(collected)
    assert f"key: {len(SECRET)} bytes" in collected.evidence[0].text


async def test_an_object_without_a_name_is_not_taken_for_the_list_of_its_kind(
    api: FakeApi, cluster: KubernetesCluster
) -> None:
    one = finding("Node", "", namespace="")
    collected = await cluster.collect(one, alone(one))
    assert facts_of(collected, ObjectFacts).exists is False
    assert not api.asked or all("nodes" not in path for path in api.asked)


async def test_secrets_are_never_asked_for(api: FakeApi, cluster: KubernetesCluster) -> None:
    one = Finding("c", ObjectRef("Secret", "db", "shop"), "slack", errors=("x",))
    collected = await cluster.collect(one, alone(one))
    assert collected.evidence == () or "gone" in collected.evidence[0].text
    assert not any("secrets" in path for path in api.asked)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
async def test_ages_are_told_by_the_api_servers_clock(api: FakeApi, ahead: timedelta) -> None:
    theirs = datetime.now(UTC) + ahead
    created = (theirs - timedelta(minutes=5)).isoformat()
    gizmo = {"kind": "ServiceAccount", "metadata": metadata("x", creationTimestamp=created)}

    async def late(request: web.Request) -> web.Response:
        date = format_datetime(theirs, usegmt=True)
        body = gizmo if "serviceaccounts" in request.path else {"gitVersion": "v1"}
        return web.json_response(body, headers={"Date": date})

    api.faults["/"] = late
    cluster = connected(api)
    await cluster.status()
    one = finding("ServiceAccount", "x")
    collected = await cluster.collect(one, alone(one))
    age = facts_of(collected, ObjectFacts).age_seconds
    assert 240 <= age <= 900
    await cluster.close()
