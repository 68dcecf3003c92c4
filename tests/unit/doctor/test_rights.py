"""What doctor says of rights, on an API server that allows what a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from aegis_sink.cluster.rights import Right, rights
from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.rights import Lease, check_rights
from tests.unit.cluster.fake_api import connection

USER = "system:serviceaccount:aegis:aegis-sink"
NO_LEASE = Lease("", "aegis-sink")
REVIEW = "selfsubjectaccessreviews"


@dataclass
class Reviews:
    """Answers reviews. `allows`: verb, "plural.group/sub", namespace, name → may they?"""

    allows: Callable[[str, str, str, str], bool] = lambda *_: True
    namespaces: list[str] = field(default_factory=lambda: ["aegis", "shop", "blog", "k8sgpt"])
    failing: str = ""
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.failing and self.failing in request.path:
            return web.json_response({"message": "no"}, status=403)
        if request.path.endswith("/selfsubjectreviews"):
            return web.json_response({"status": {"userInfo": {"username": USER}}}, status=201)
        if request.path.endswith(f"/{REVIEW}"):
            asked = (await request.json())["spec"]["resourceAttributes"]
            right = Right("results", asked.get("group", ""), asked["resource"], ())
            named = right.named + ("/" + asked["subresource"] if "subresource" in asked else "")
            where, name = asked.get("namespace", ""), asked.get("name", "")
            allowed = self.allows(asked["verb"], named, where, name)
            return web.json_response({"status": {"allowed": allowed}}, status=201)
        assert request.path == "/api/v1/namespaces"
        if not self.allows("list", "namespaces", "", ""):
            return web.json_response({"message": "no"}, status=403)
        return web.json_response({"items": [{"metadata": {"name": n}} for n in self.namespaces]})


@asynccontextmanager
async def serving(reviews: Reviews) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", reviews.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reviews.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


async def checks(
    reviews: Reviews, *, namespace: str = "", results: str = "", lease: Lease = NO_LEASE
) -> list[Check]:
    async with serving(reviews):
        asking = connection(reviews.url, 60)
        try:
            looked = check_rights(
                asking, namespace=namespace, results_namespace=results, lease=lease
            )
            found = [check async for check in looked]
            asks = [task for task in asyncio.all_tasks() if "lacking" in repr(task.get_coro())]
            assert not asks, "they would outlive the connection"
            return found
        finally:
            await asking.close()


def of(part: str) -> set[str]:
    return {right.named for right in rights() if right.part == part}


def limited_to(*places: str, objects: bool = True) -> Callable[[str, str, str, str], bool]:
    """What `rbac.namespaces` of the chart gives."""

    def allows(verb: str, named: str, namespace: str, name: str) -> bool:
        if named in of("results"):
            return namespace == "k8sgpt"
        if named in of("clusterObjects"):
            return objects
        return namespace in places

    return allows


EVERY_RIGHT = [(verb, right) for right in rights() for verb in right.verbs]


@pytest.mark.parametrize(
    ("verb", "right"), EVERY_RIGHT, ids=[f"{verb}-{right.named}" for verb, right in EVERY_RIGHT]
)
async def test_each_single_right_that_lacks_is_found_with_the_command_that_gives_it(
    verb: str, right: Right
) -> None:
    found = await checks(Reviews(lambda v, named, *_: (v, named) != (verb, right.named)))
    (lack,) = [check for check in found if check.health is Health.FAILED]
    assert lack.name == f"right {verb} {right.named}"
    assert lack.found == f"{USER} may not {verb} {right.named} anywhere"
    assert f"--verb={verb} --resource={right.named} &&" in lack.fix
    assert lack.fix.endswith("--serviceaccount=aegis:aegis-sink")


async def test_all_rights_are_one_line() -> None:
    (check,) = await checks(Reviews())
    assert check.health is Health.OK
    assert check.found == f"{USER}: {len(list(rights()))} of {len(list(rights()))} allowed"


async def test_rights_limited_to_some_namespaces_are_no_fault_and_none_is_offered() -> None:
    (check,) = await checks(Reviews(limited_to("shop", "blog")), results="k8sgpt")
    assert check.health is Health.OK
    assert check.found == f"{USER} reads shop, blog, no other namespace"
    assert check.fix == ""


async def test_what_lacks_in_a_namespace_that_is_read_is_found_and_given_there_only() -> None:
    shop_and_blog = limited_to("shop", "blog")
    found = await checks(
        Reviews(lambda *asked: asked[1] != "pods/log" and shop_and_blog(*asked)), results="k8sgpt"
    )
    (lack,) = [check for check in found if check.health is Health.FAILED]
    assert lack.found == f"{USER} may not get pods/log in namespace shop, blog"
    assert lack.fix.startswith("for ns in shop blog; do kubectl create role ")
    assert "clusterrole" not in lack.fix
    one = limited_to("shop")
    found = await checks(
        Reviews(lambda *asked: asked[1] != "events" and one(*asked)), results="k8sgpt"
    )
    (lack,) = [check for check in found if check.health is Health.FAILED]
    assert lack.fix.count("-n shop") == 2


async def test_cluster_objects_that_were_withheld_are_one_line_without_a_fix() -> None:
    found = await checks(Reviews(limited_to("shop", objects=False)), results="k8sgpt")
    assert [check.health for check in found] == [Health.SKIPPED, Health.SKIPPED]
    assert "cannot be seen from here" in found[0].found
    assert "--namespace NAME" in found[0].fix
    assert "rbac.clusterObjects=false" in found[1].found
    assert found[1].fix == ""


async def test_one_namespace_may_be_asked_for() -> None:
    reviews = Reviews(limited_to("shop"))
    good = await checks(reviews, namespace="shop", results="k8sgpt")
    assert [check.health for check in good] == [Health.OK]
    bad = await checks(reviews, namespace="blog", results="k8sgpt")
    assert "in namespace blog" in bad[0].found
    assert "create role " in bad[0].fix


async def test_results_of_all_namespaces_are_not_given_to_a_limited_account() -> None:
    found = await checks(Reviews(limited_to("shop")))
    (lack,) = [check for check in found if check.health is Health.FAILED]
    assert "may not read Results in all namespaces" in lack.found
    assert lack.fix.startswith("AEGIS_RESULTS_NAMESPACE=")


async def test_an_account_without_any_right_is_one_line() -> None:
    (check,) = await checks(Reviews(lambda *_: False), results="k8sgpt")
    assert check.health is Health.FAILED
    assert check.found == f"{USER} may read nothing here"
    assert "rbac.create=true" in check.fix


@pytest.mark.parametrize("verb", ["get", "update", "create"])
async def test_the_lease_of_the_replicas_is_asked_for_by_its_name(verb: str) -> None:
    def allows(v: str, named: str, namespace: str, name: str) -> bool:
        if named != "leases.coordination.k8s.io" or namespace != "aegis":
            return True
        return v != verb and name == ("" if v == "create" else "sink")

    found = await checks(Reviews(allows), lease=Lease("aegis", "sink"))
    (lack,) = [check for check in found if check.health is Health.WARNING]
    assert lack.name == f"right {verb} lease sink"
    assert "several replicas" in lack.found
    assert "-n aegis" in lack.fix


@pytest.mark.parametrize("failing", ["selfsubjectreviews", REVIEW])
async def test_a_server_that_answers_no_reviews_is_said(failing: str) -> None:
    (check,) = await checks(Reviews(failing=failing))
    assert check.health is Health.SKIPPED
    assert "does not say" in check.found
