"""What doctor says of the API server itself and of K8sGPT's CRDs."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.cluster import check_api_server, check_crds, check_server_clock
from tests.unit.cluster.fake_api import FakeApi, connection, serving

GROUP = "/apis/core.k8sgpt.ai"
BOTH = {"resources": [{"kind": "Result"}, {"kind": "K8sGPT"}]}


def serves(answers: Mapping[str, object]) -> FakeApi:
    """Answers these paths, and 404 to others."""
    api = FakeApi()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path in answers:
            return web.json_response(answers[request.path])
        return web.json_response({"message": "not found"}, status=404)

    api.faults["/"] = answer
    return api


async def crds(api: FakeApi) -> list[Check]:
    async with serving(api):
        asking = connection(api.url)
        try:
            return [check async for check in check_crds(asking)]
        finally:
            await asking.close()


async def reached(api: FakeApi, seconds: float = 5.0) -> Check:
    async with serving(api):
        asking = connection(api.url, seconds)
        try:
            return await check_api_server(asking)
        finally:
            await asking.close()


async def test_the_crds_of_the_version_that_is_understood_are_fine() -> None:
    versions = {"versions": [{"version": "v1alpha1"}]}
    found = await crds(serves({GROUP: versions, f"{GROUP}/v1alpha1": BOTH}))
    assert [check.health for check in found] == [Health.OK, Health.OK]


async def test_no_crd_is_no_operator_and_the_fix_installs_it() -> None:
    (check,) = await crds(serves({}))
    assert check.health is Health.FAILED
    assert check.fix.startswith("helm repo add k8sgpt")


async def test_another_version_of_the_crds_is_named() -> None:
    (check,) = await crds(serves({GROUP: {"versions": [{"version": "v1beta1"}]}}))
    assert check.health is Health.FAILED
    assert "is served as v1beta1" in check.found


async def test_one_crd_without_the_other_is_told() -> None:
    versions = {"versions": [{"version": "v1alpha1"}]}
    found = await crds(
        serves({GROUP: versions, f"{GROUP}/v1alpha1": {"resources": [{"kind": "K8sGPT"}]}})
    )
    assert [(check.name, check.health) for check in found] == [
        ("crd Result", Health.FAILED),
        ("crd K8sGPT", Health.OK),
    ]


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "does not accept the credentials"), (403, "not allowed"), (503, "503")],
)
async def test_an_api_server_that_refuses_says_why(status: int, says: str) -> None:
    api = FakeApi()
    api.refuse("version", status)
    check = await reached(api)
    assert check.health is Health.FAILED
    assert says in check.found
    assert check.fix


async def test_an_api_server_that_is_silent_is_not_waited_for() -> None:
    api = FakeApi()
    api.hang("version")
    assert "did not answer within 0.2 s" in (await reached(api, 0.2)).found


@pytest.mark.parametrize(
    ("ahead", "health", "says"),
    [
        (timedelta(0), Health.OK, "agrees with the API server's"),
        (timedelta(minutes=1), Health.WARNING, "s behind the API server"),
        (timedelta(hours=-1), Health.FAILED, "s ahead of the API server"),
    ],
)
async def test_this_machines_clock_is_held_against_the_api_servers(
    ahead: timedelta, health: Health, says: str
) -> None:
    api = FakeApi()

    async def answer(_: web.Request) -> web.StreamResponse:
        date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
        return web.json_response({"gitVersion": "v1.36.3"}, headers={"Date": date})

    api.faults["/version"] = answer
    async with serving(api):
        asking = connection(api.url)
        await check_api_server(asking)
        check = check_server_clock(asking)
        await asking.close()
    assert check.health is health
    assert says in check.found


async def test_what_is_no_api_server_is_told() -> None:
    assert "is no API server" in (await reached(serves({"/version": {"hello": 1}}))).found
