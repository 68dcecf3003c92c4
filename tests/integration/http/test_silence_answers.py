"""Silences over HTTP: what is made, what it mutes, what it refuses and why."""

import shlex
from typing import Any

import pytest

SHOP = {"matchers": 'namespace="shop"', "duration": "2h", "author": "ada", "comment": "release"}


def crash(name: str, namespace: str = "shop") -> dict[str, Any]:
    """`kubectl get result -o json` of a pod that crashes."""
    return {
        "apiVersion": "core.k8sgpt.ai/v1alpha1",
        "kind": "Result",
        "metadata": {"name": name, "namespace": "k8sgpt"},
        "spec": {
            "kind": "Deployment",
            "name": f"{namespace}/{name}",
            "error": [
                {"text": f"Deployment {namespace}/{name} has 1 replicas but 0 are available"}
            ],
            "details": "",
        },
    }


async def test_the_link_of_an_incident_says_what_a_silence_of_its_like_hides_and_how_to_make_it(
    served: Any,
) -> None:
    ids = []
    for name in ("api", "web"):
        made = await served.post("/v1/findings", crash(name))
        ids.append(made.json["incidents"][0]["id"])
    answer = await served.get(f"/v1/silences/preview?incident={ids[0]}")
    assert answer.status == 200
    assert [one["id"] for one in answer.json["incidents"]] == ids[:1]
    assert answer.json["matchers"][1:] == [
        'namespace="shop"',
        'kind="Deployment"',
        'name="api"',
    ]
    matchers = shlex.split(answer.json["command"])[3]
    muted = await served.post("/v1/silences", {**SHOP, "matchers": matchers})
    assert muted.json["incidents"] == 1
    assert (await served.get("/v1/silences/preview?incident=nobody")).status == 404
    assert (await served.get("/v1/silences/preview")).status == 404


async def test_a_silence_is_made_listed_and_ended(served: Any) -> None:
    made = await served.post("/v1/silences", SHOP)
    assert made.status == 200
    assert made.json["status"] == "active"
    assert made.json["matchers"] == ['namespace="shop"']
    listed = (await served.get("/v1/silences")).json["silences"]
    assert [(one["id"], one["author"], one["comment"]) for one in listed] == [
        (made.json["id"], "ada", "release")
    ]
    ended = await served.ask("DELETE", f"/v1/silences/{made.json['id']}")
    assert ended.status == 200
    [one] = (await served.get("/v1/silences")).json["silences"]
    assert one["status"] == "ended"


async def test_a_silenced_incident_says_so_where_it_is_listed(served: Any) -> None:
    await served.post("/v1/silences", SHOP)
    answer = await served.post("/v1/findings?wait=30", crash("api"))
    assert answer.status == 200
    [incident] = answer.json["incidents"]
    listed = (await served.get("/v1/incidents?state=silenced")).json["incidents"]
    assert [one["id"] for one in listed] == [incident["id"]]
    assert listed[0]["state"] == "silenced"
    assert listed[0]["muted"]["because"] == "silenced by ada: release"
    assert (await served.get("/v1/incidents?state=open")).json["incidents"] == []
    assert served.told == []


async def test_a_preview_shows_what_would_be_muted_and_mutes_nothing(served: Any) -> None:
    for name, namespace in (("api", "shop"), ("web", "shop"), ("api", "bank")):
        await served.post("/v1/findings", crash(name, namespace))
    seen = await served.post("/v1/silences/preview", {"matchers": 'namespace="shop"'})
    assert seen.json["count"] == 2
    assert {one["subject"]["name"] for one in seen.json["incidents"]} == {"api", "web"}
    assert (await served.get("/v1/silences")).json["silences"] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"matchers": ""}, "no matcher"),
        ({"matchers": 'namspace="x"'}, "did you mean namespace?"),
        ({"matchers": 'name=~".*"'}, "does not fit everything"),
        ({"matchers": 3}, "text or a list of texts"),
        ({"matchers": 'name=~"("'}, "RE2"),
        ({"duration": "two hours"}, "write it like 30s"),
        ({"duration": None}, "write it like 30s"),
        ({"duration": "0s"}, "over already"),
        ({"duration": "400d"}, "366 days"),
        ({"ends_at": "tomorrow"}, "write it like 2026-03-01T18:00:00Z"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "over already"),
        ({"author": 3}, "texts"),
        ({"until": "2h"}, "until is no member"),
    ],
)
async def test_what_is_wrong_with_a_silence_is_400_and_says_how_to_write_it(
    served: Any, change: dict[str, Any], says: str
) -> None:
    answer = await served.post("/v1/silences", {**SHOP, **change})
    assert answer.status == 400
    assert says in answer.json["detail"]
    assert (await served.get("/v1/silences")).json["silences"] == []


async def test_without_an_end_or_with_an_unknown_id_it_says_so(served: Any) -> None:
    answer = await served.post("/v1/silences", {"matchers": 'namespace="shop"'})
    assert (answer.status, "duration" in answer.json["detail"]) == (400, True)
    assert (await served.ask("DELETE", "/v1/silences/nope")).status == 404
