"""One sick workload is one incident, whatever K8sGPT reports of it and in which order."""

import random
from itertools import permutations

import pytest

from aegis_sink.model import Finding, ObjectRef, Severity, State
from aegis_sink.model.facts import AutoscalerFacts, IngressFacts
from tests.integration.flow.conftest import Flow, stated

POD = "api-66959989c5-d222p"
CRASH = stated("Pod", POD, f"the last termination reason is Error container=api pod={POD}")
DEPLOYMENT = stated("Deployment", "api", "Deployment shop/api has 1 replicas but 0 are available")
SERVICE = stated(
    "Service", "api", f"Service has not ready endpoints, pods: [Pod/{POD}], expected 1"
)
PULL = stated("Pod", "api-66959989c5-x7k2p", 'Back-off pulling image "registry/api:nope"')


@pytest.mark.parametrize("order", list(permutations((CRASH, DEPLOYMENT, SERVICE))))
async def test_what_only_shows_the_problem_joins_what_causes_it_in_any_order(
    flow: Flow, order: tuple[Finding, ...]
) -> None:
    for one in order:
        await flow.post(one)
        await flow.after(1)
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert {ref.kind for ref in root.objects} == {"Pod", "Deployment", "Service"}
    assert root.subject == ObjectRef("Deployment", "api", "shop")
    assert "Error" in root.failure_class
    assert len({root.id for root in flow.channel.roots.values()}) == 1


HPA_TEXT = "the HPA was unable to compute the replica count: failed to get cpu utilization"
BUDGET_TEXT = "InsufficientPods, expected pdb pod label app=api"
EVENT_TEXT = f"Service shop/api has event Back-off restarting failed container api in pod {POD}_x"
SHOWN = (
    CRASH,
    DEPLOYMENT,
    stated("Service", "api-svc", *SERVICE.errors),
    stated("Service", "api", EVENT_TEXT),
    stated("HorizontalPodAutoscaler", "api", HPA_TEXT),
    stated("PodDisruptionBudget", "api-pdb", BUDGET_TEXT),
)


@pytest.mark.parametrize("seconds", [1, 15], ids=["before the telling", "after it"])
@pytest.mark.parametrize("seed", range(5))
async def test_all_that_a_workload_shows_is_one_message_in_any_order(
    flow: Flow, seed: int, seconds: int
) -> None:
    for one in random.Random(seed).sample(SHOWN, len(SHOWN)):  # noqa: S311
        await flow.post(one)
        await flow.after(seconds)
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert {str(ref) for ref in root.objects} == {str(one.object) for one in SHOWN}
    assert root.subject == ObjectRef("Deployment", "api", "shop")
    assert "ends: Error" in root.failure_class


async def test_a_hint_on_a_workload_that_is_down_hides_nothing(flow: Flow) -> None:
    hint = "Pod api-66959989c5-d222p does not have a security context defined which may pose risks"
    for one in (stated("Security/Pod", POD, hint), DEPLOYMENT):
        await flow.post(one)
        await flow.after(1)
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert root.objects == (DEPLOYMENT.object,)
    assert root.severity is Severity.DOWN


@pytest.mark.parametrize("order", list(permutations((CRASH, DEPLOYMENT))))
async def test_an_incident_is_as_bad_as_the_worst_that_shows_it(
    flow: Flow, order: tuple[Finding, ...]
) -> None:
    for one in order:
        await flow.post(one)
        await flow.after(1)
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert root.severity is Severity.DOWN
    assert "Error" in root.failure_class


async def test_a_cause_that_comes_after_the_telling_changes_the_message_it_belongs_to(
    flow: Flow,
) -> None:
    told = await flow.post(DEPLOYMENT)
    await flow.after(10)
    cause = await flow.post(CRASH)
    await flow.after(10)
    await flow.after(300)
    [root] = flow.channel.roots.values()
    assert root.id == told.id
    assert "Error" in root.failure_class
    assert (await flow.incident(cause.id)).id == told.id
    assert root.title.startswith("Deployment shop/api: ")
    assert await flow.reasons(told.id) == ["first", "diagnosed"]
    history = (await flow.incident(told.id)).history
    assert any("may be the cause" in entry.reason for entry in history)


async def test_what_was_told_twice_is_one_when_its_workload_is_known_and_the_other_message_says_so(
    flow: Flow,
) -> None:
    behind = stated("Service", "web", "Service has not ready endpoints, pods: [Pod/x], expected 1")
    scaler = stated("HorizontalPodAutoscaler", "checkout", HPA_TEXT)
    crash = stated("Pod", "x", "the last termination reason is Error container=api pod=x")
    flow.cluster.above[crash.object] = ObjectRef("Deployment", "checkout", "shop")
    told = [await flow.post(one) for one in (behind, scaler)]
    await flow.after(10)
    assert len(flow.channel.roots) == 2
    cause = await flow.post(crash)
    await flow.after(10)
    await flow.after(300)
    whole, part = await flow.incident(cause.id), await flow.incident(told[1].id)
    assert (whole.id, part.superseded_by) == (told[0].id, told[0].id)
    assert {ref.kind for ref in whole.objects} == {"Service", "HorizontalPodAutoscaler", "Pod"}
    assert (whole.state, part.state) == (State.OPEN, State.RESOLVED)
    shown = {root.id: root for root in flow.channel.roots.values()}
    assert shown[part.id].superseded_by == whole.id
    assert shown[part.id].objects == (scaler.object,)
    assert "resolved" not in await flow.reasons(part.id)
    assert (await flow.post(scaler)).id == whole.id
    await flow.after(10)
    assert len(flow.channel.roots) == 2


async def test_what_was_told_long_before_a_cause_is_no_part_of_it(flow: Flow) -> None:
    behind = stated("Service", "web", "Service has not ready endpoints, pods: [Pod/x], expected 1")
    scaler = stated("HorizontalPodAutoscaler", "checkout", HPA_TEXT)
    crash = stated("Pod", "x", "the last termination reason is Error container=api pod=x")
    flow.cluster.above[crash.object] = ObjectRef("Deployment", "checkout", "shop")
    early = await flow.post(scaler)
    await flow.after(600)
    await flow.post(behind)
    await flow.after(10)
    await flow.post(crash)
    await flow.after(300)
    assert (await flow.incident(early.id)).state is State.OPEN


async def test_two_causes_on_one_workload_stay_apart(flow: Flow) -> None:
    first, second = await flow.post(CRASH), await flow.post(PULL)
    await flow.after(10)
    assert {root.id for root in flow.channel.roots.values()} == {first.id, second.id}


async def test_an_autoscaler_joins_the_workload_that_its_evidence_names(flow: Flow) -> None:
    scaler = stated(
        "HorizontalPodAutoscaler", "busy", "the HPA was unable to compute the replica count: x"
    )
    flow.cluster.facts[scaler.object] = AutoscalerFacts(target_kind="Deployment", target_name="api")
    told = await flow.post(CRASH)
    await flow.after(1)
    await flow.post(scaler)
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert root.id == told.id
    assert scaler.object in root.objects


INGRESS = stated("Ingress", "front", "Ingress uses the service shop/web which does not exist.")
BEHIND = stated("Service", "web", *SERVICE.errors)


@pytest.mark.parametrize("order", list(permutations((CRASH, BEHIND, INGRESS))))
async def test_an_ingress_joins_what_its_service_shows_in_any_order(
    flow: Flow, order: tuple[Finding, ...]
) -> None:
    for one in order:
        await flow.post(one)
        await flow.after(1)
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert {ref.kind for ref in root.objects} == {"Pod", "Service", "Ingress"}
    assert root.title == "Deployment shop/api: container api keeps crashing"
    assert root.failure_class == "container api ends: Error"


SCALER = stated("HorizontalPodAutoscaler", "api", HPA_TEXT)


@pytest.mark.parametrize("seconds", [1, 15], ids=["before the telling", "after it"])
@pytest.mark.parametrize("order", list(permutations((DEPLOYMENT, SCALER))))
async def test_of_symptoms_the_one_of_the_workload_itself_gives_the_name(
    flow: Flow, order: tuple[Finding, ...], seconds: int
) -> None:
    for one in order:
        await flow.post(one)
        await flow.after(seconds)
    await flow.after(300)
    [root] = flow.channel.roots.values()
    assert len(root.objects) == 2
    assert root.title == "Deployment shop/api has no replica available (wants 1)"


@pytest.mark.parametrize("order", list(permutations((DEPLOYMENT, BEHIND, INGRESS))))
async def test_an_ingress_gives_no_incident_its_name_that_another_symptom_explains(
    flow: Flow, order: tuple[Finding, ...]
) -> None:
    for one in order:
        await flow.post(one)
        await flow.after(1)
    await flow.after(10)
    [root] = flow.channel.roots.values()
    assert len(root.objects) == 3
    assert root.subject.kind != "Ingress"


@pytest.mark.parametrize("pods", [(POD,), ()], ids=["its pods are known", "it has none yet"])
async def test_an_ingress_joins_by_what_the_cluster_shows_behind_it(
    flow: Flow, pods: tuple[str, ...]
) -> None:
    service = "web" if pods else "api"
    text = f"Ingress uses the service shop/{service} which does not exist."
    ingress = stated("Ingress", "front", text)
    flow.cluster.facts[ingress.object] = IngressFacts(
        services=(service,), backends_without_endpoints=(service,), unwell_pods=pods
    )
    told = await flow.post(CRASH)
    await flow.post(ingress)
    await flow.after(10)
    assert len(flow.channel.roots) == (1 if pods else 2)
    assert (await flow.incident(told.id)).subject == ObjectRef("Deployment", "api", "shop")


async def test_an_ingress_whose_service_the_cluster_does_not_have_stays_apart(flow: Flow) -> None:
    flow.cluster.facts[INGRESS.object] = IngressFacts(services=("web",), missing_services=("web",))
    for one in (CRASH, BEHIND, INGRESS):
        await flow.post(one)
        await flow.after(1)
    await flow.after(10)
    assert {str(root.subject) for root in flow.channel.roots.values()} == {
        "Deployment shop/api",
        "Ingress shop/front",
    }


async def test_the_same_symptom_again_is_the_incident_it_joined(flow: Flow) -> None:
    told = await flow.post(CRASH)
    await flow.after(1)
    await flow.post(DEPLOYMENT)
    await flow.after(10)
    again = await flow.post(DEPLOYMENT)
    assert again.id == told.id
    await flow.after(10)
    assert len(flow.channel.roots) == 1
    incident = await flow.incident(told.id)
    assert "Error" in incident.failure_class


async def test_a_symptom_in_another_namespace_is_a_problem_of_its_own(flow: Flow) -> None:
    await flow.post(CRASH)
    await flow.after(1)
    text = "Deployment bank/api has 1 replicas but 0 are available"
    await flow.post(stated("Deployment", "api", text, namespace="bank"))
    await flow.after(10)
    assert len(flow.channel.roots) == 2


async def test_a_post_that_says_worse_in_the_same_words_is_told(flow: Flow) -> None:
    text = "Deployment shop/api has 3 replicas but {} are available with status running"
    told = await flow.post(stated("Deployment", "api", text.format(1)))
    await flow.after(10)
    await flow.post(stated("Deployment", "api", text.format(0)))
    await flow.after(1)
    [root] = flow.channel.roots.values()
    assert root.title == "Deployment shop/api has no replica available (wants 3)"
    assert "changed" in await flow.reasons(told.id)
    await flow.post(stated("Deployment", "api", text.format(0)))
    await flow.after(1)
    assert (await flow.reasons(told.id)).count("changed") == 1
