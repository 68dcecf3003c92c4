"""Incidents go where their route says, and stay there."""

from aegis_sink.model import NoticeReason
from tests.integration.flow.conftest import Flow, finding, stated

CRASH = "the last termination reason is Error container=api pod=api-1"
ROUTES = """
- match: namespace="shop"
  channel: "#shop"
  repeat_interval: 1h
  mention: S0SHOP
"""


async def routed(flow: Flow, routes: str = ROUTES) -> Flow:
    flow.routes = routes
    await flow.restart()
    return flow


async def test_a_route_names_the_channel_and_the_rest_goes_to_the_usual_one(flow: Flow) -> None:
    await routed(flow)
    shop = await flow.post(finding("api-1", CRASH))
    other = await flow.post(stated("Deployment", "web", "it fails", namespace="web"))
    await flow.after(10)
    told = {
        incident.id: flow.channel.where[nonce] for nonce, incident in flow.channel.roots.items()
    }
    assert told == {shop.id: "#shop", other.id: ""}
    [notice] = (await flow.incident(shop.id)).notices
    assert notice.channel == "#shop"


async def test_who_is_mentioned_is_called_at_first_at_a_repeat_and_when_it_is_back(
    flow: Flow,
) -> None:
    await routed(flow)
    flow.model.away = True
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    flow.model.away = False
    await flow.after(600)
    assert await flow.reasons(receipt.id) == ["first", "diagnosed"]
    await flow.after(3000)
    assert await flow.reasons(receipt.id) == ["first", "diagnosed"]
    await flow.after(700)
    assert (await flow.reasons(receipt.id))[2:] == ["repeat"]
    shop = ("S0SHOP",)
    assert flow.channel.called == [(NoticeReason.FIRST, shop), (NoticeReason.REPEAT, shop)]
    await flow.post(finding("api-1", gone=True))
    await flow.after(120)
    await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    assert (await flow.reasons(receipt.id))[3:5] == ["resolved", "reopened"]
    assert flow.channel.called[2:] == [(NoticeReason.REOPENED, shop)]


async def test_whoever_a_route_names_for_what_is_down_is_called_when_something_gets_worse(
    flow: Flow,
) -> None:
    await routed(flow, '[{match: severity=down, mention: here, channel: "#down"}]')
    pod = "api-66959989c5-d222p"
    told = await flow.post(
        stated("Pod", pod, f"the last termination reason is Error container=api pod={pod}")
    )
    await flow.after(10)
    service = f"Service has not ready endpoints, pods: [Pod/{pod}], expected 1"
    await flow.post(stated("Service", "api", service))
    await flow.after(600)
    assert flow.channel.called == []
    replicas = "Deployment shop/api has 1 replicas but 0 are available with status running"
    await flow.post(stated("Deployment", "api", replicas))
    await flow.after(1)
    assert flow.channel.called == [(NoticeReason.CHANGED, ("here",))]
    assert {notice.channel for notice in (await flow.incident(told.id)).notices} == {"ops"}
    assert list(flow.channel.where.values()) == [""]


async def test_a_message_that_may_have_been_posted_is_looked_for_where_it_was_meant_to_go(
    flow: Flow,
) -> None:
    await routed(flow)
    flow.channel.lose_answer = True
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    assert await flow.reasons(receipt.id) == []
    await routed(flow, ROUTES.replace("#shop", "#elsewhere"))
    await flow.after(60)
    assert await flow.reasons(receipt.id) == ["first"]
    assert list(flow.channel.where.values()) == ["#shop"]


async def test_a_message_stays_in_its_channel_when_routes_change(flow: Flow) -> None:
    await routed(flow)
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await routed(flow, "[]")
    await flow.post(finding("api-1", gone=True))
    await flow.after(120)
    assert await flow.reasons(receipt.id) == ["first", "resolved"]
    assert {notice.channel for notice in (await flow.incident(receipt.id)).notices} == {"#shop"}


async def test_each_channel_has_a_digest_of_its_own(flow: Flow) -> None:
    await routed(flow)
    for namespace in ("shop", "web"):
        await flow.post(
            stated("ConfigMap", "old", "ConfigMap old is not used", namespace=namespace)
        )
    await flow.after(24 * 3600)
    told = {
        digest.lines[0].subject.namespace: flow.channel.where[nonce]
        for nonce, digest in flow.channel.digests.items()
    }
    assert told == {"shop": "#shop", "web": ""}
    assert all(len(digest.lines) == 1 for digest in flow.channel.digests.values())
