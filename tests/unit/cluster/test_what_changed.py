"""The diff between two revisions: readable, in time, and without secrets."""

from typing import Any

import pytest

from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.model import ObjectRef, OwnerChain
from aegis_sink.model.facts import ContainerFacts, RolloutFacts
from tests.unit.cluster.fake_api import FakeApi, connected
from tests.unit.cluster.objects import alone, facts_of, finding, metadata, owned_by, pod

Object = dict[str, Any]
OLD, NEW = "3141592", "2718281"


def replica_set(number: int, template: Object, **annotations: str) -> Object:
    name = f"api-{number}"
    told = {"deployment.kubernetes.io/revision": str(number), **annotations}
    extra = {"annotations": told, "labels": {"app": "api"}, **owned_by("Deployment", "api")}
    created = f"2026-03-01T10:0{number}:00Z"
    return {
        "kind": "ReplicaSet",
        "metadata": metadata(name, creationTimestamp=created, **extra),
        "spec": {"template": template},
    }


def container(**members: Any) -> Object:
    return {"spec": {"containers": [{"name": "api", "image": "shop/api:1", **members}]}}


async def diff(api: FakeApi, before: Object, after: Object, **annotations: str) -> Any:
    selector = {"selector": {"matchLabels": {"app": "api"}}}
    api.put({"kind": "Deployment", "metadata": metadata("api"), "spec": selector})
    api.put(replica_set(1, before), replica_set(2, after, **annotations), pod())
    cluster = connected(api, redact=Redactor(b"k"))
    one = finding("Pod", "api-1")
    chain = OwnerChain((one.object, ObjectRef("Deployment", "api", "shop")), "owner references")
    collected = await cluster.collect(one, chain)
    await cluster.close()
    (found,) = [e for e in collected.evidence if e.source.startswith("rollout")]
    return found


def header(value: str) -> Object:
    headers = [{"name": "X-Api-Key", "value": value}]
    return container(livenessProbe={"httpGet": {"port": 80, "httpHeaders": headers}})


def annotated(value: str) -> Object:
    return {"metadata": {"annotations": {"example.com/db-password": value}}, **container()}


def numbered(value: str) -> Object:
    return container(env=[{"name": "DB_PASSWORD", "value": value}])


def long_url(value: str) -> Object:
    # Cut before its "@", no rule could tell that this is a URL with a password.
    return container(args=["x" * 150, f"--db=postgres://shop:{value}{'z' * 60}@db/shop"])


@pytest.mark.parametrize("template", [header, annotated, numbered, long_url])
async def test_neither_the_old_nor_the_new_secret_is_shown(api: FakeApi, template: Any) -> None:
    found = await diff(api, template(OLD), template(NEW))
    assert OLD not in repr(found)
    assert NEW not in repr(found)
    assert facts_of_one(found).changed_fields


def facts_of_one(found: Any) -> RolloutFacts:
    assert isinstance(found.facts, RolloutFacts)
    return found.facts


async def test_two_long_values_are_shown_where_they_part(api: FakeApi) -> None:
    same = "--flag=value " * 40
    old, new = container(args=[same + "--pool=5"]), container(args=[same + "--pool=500"])
    found = await diff(api, old, new)
    assert "--pool=5 →" in found.text
    assert "--pool=500" in found.text


async def test_a_rollback_is_said_to_be_one(api: FakeApi) -> None:
    earlier = {"deployment.kubernetes.io/revision-history": "1"}
    found = await diff(api, container(image="a:1"), container(image="a:2"), **earlier)
    assert "revision 2 of 2026-03-01T10:02:00Z (as revision 1; rolled back to since):" in found.text
    assert facts_of_one(found).changed_seconds_before_failure is None


async def test_a_secret_that_only_its_program_tells_leaves_in_no_fact(api: FakeApi) -> None:
    api.put(
        pod(
            spec={
                "containers": [
                    {
                        "name": "api",
                        "image": "x",
                        "command": ["curl"],
                        "args": ["-u", f"admin:hunter{OLD}", "https://x/"],
                    }
                ]
            }
        )
    )
    cluster = connected(api, redact=Redactor(b"k"))
    one = finding("Pod", "api-1")
    collected = await cluster.collect(one, alone(one))
    await cluster.close()
    assert OLD not in repr(collected)
    assert facts_of(collected, ContainerFacts).command
