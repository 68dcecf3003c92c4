"""The API server, what may be read there, and the CRDs of K8sGPT."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from aegis_sink.cluster.configuration import configured_by
from aegis_sink.cluster.connection import Connection
from aegis_sink.cluster.errors import ClusterError, ClusterRefused, ObjectGone
from aegis_sink.cluster.rights import Right, rights
from aegis_sink.doctor.check import Check, failed, ok, skipped, warning
from aegis_sink.doctor.clock import check_clock

AT_ONCE = 8
GROUP = "core.k8sgpt.ai"
VERSION = "v1alpha1"
CLUSTER_INFO = (
    "kubectl cluster-info   # with the same KUBECONFIG; without a cluster: AEGIS_KUBERNETES=off"
)
CRD_BYTES = 262_144
INSTALL = (
    "helm repo add k8sgpt https://charts.k8sgpt.ai/ && helm install k8sgpt-operator "
    "k8sgpt/k8sgpt-operator -n k8sgpt-operator-system --create-namespace"
)


async def check_api_server(connection: Connection) -> Check:
    """Does it answer, and which version?"""
    try:
        body = await connection.read_path("/version", most_bytes=CRD_BYTES)
        version = body.document().text("gitVersion")
    except ClusterRefused as refused:
        return failed("kubernetes", str(refused), "kubectl auth whoami")
    except ClusterError as error:
        by = configured_by()
        said = str(error) if by in str(error) else f"{error} (configuration: {by})"
        return failed("kubernetes", said, CLUSTER_INFO)
    return ok("kubernetes", f"reachable, {version or 'version unknown'} ({configured_by()})")


async def check_rights(
    connection: Connection, namespace: str, results_namespace: str
) -> AsyncIterator[Check]:
    """One check for each right that lacks, one line for all that are there.

    Asked for `namespace`, "" for all; K8sGPT's own kinds for `results_namespace`.
    """
    try:
        user = await _user(connection)
    except ClusterError as error:
        yield skipped("rights", f"the API server does not say who is asking: {error}")
        return
    slots = asyncio.Semaphore(AT_ONCE)

    async def lacking(right: Right) -> tuple[Right, list[str]]:
        where = results_namespace if right.part == "results" else namespace
        place = "" if right.part == "clusterObjects" else where
        async with slots:
            return right, [
                v for v in right.verbs if not await _allowed(connection, right, v, place)
            ]

    try:
        answers = await asyncio.gather(*(lacking(right) for right in rights()))
    except ClusterError as error:
        yield skipped("rights", f"the API server does not say what is allowed: {error}")
        return
    lacks = [(right, verbs) for right, verbs in answers if verbs]
    for right, verbs in lacks:
        where = results_namespace if right.part == "results" else namespace
        scope = f"in namespace {where}" if where and right.part != "clusterObjects" else "anywhere"
        yield failed(
            f"right {'+'.join(verbs)} {right.named}",
            f"{user} may not {' and '.join(verbs)} {right.named} {scope}",
            _grant(user, right, verbs, where if right.part != "clusterObjects" else ""),
        )
    allowed = len(answers) - len(lacks)
    said = f"{user}: {allowed} of {len(answers)} allowed" + (
        f" in namespace {namespace}" if namespace else ""
    )
    if lacks and not namespace:
        said += " (for all namespaces; with rbac.namespaces ask --namespace NAME)"
    yield ok("rights", said) if not lacks else warning("rights", said, "see above")


async def check_crds(connection: Connection) -> AsyncIterator[Check]:
    """Are K8sGPT's CRDs there, in the version that is understood?"""
    try:
        body = await connection.read_path(f"/apis/{GROUP}", most_bytes=CRD_BYTES)
        served = [v.text("version") for v in body.document().items("versions")]
        if VERSION not in served:
            yield failed(
                "crd",
                f"{GROUP} is served as {', '.join(served)}; {VERSION} is what is understood",
                "use a K8sGPT operator that serves it, or a newer AEGIS Sink",
            )
            return
        body = await connection.read_path(f"/apis/{GROUP}/{VERSION}", most_bytes=CRD_BYTES)
    except ObjectGone:
        yield failed("crd", f"the API server knows no {GROUP}: no K8sGPT operator here", INSTALL)
        return
    except ClusterError as error:
        yield skipped("crd", str(error))
        return
    there = {r.text("kind") for r in body.document().items("resources")}
    for kind in ("Result", "K8sGPT"):
        if kind in there:
            yield ok(f"crd {kind}", f"{GROUP}/{VERSION}")
        else:
            yield failed(f"crd {kind}", f"the API server has {GROUP} but no {kind}", INSTALL)


def check_server_clock(connection: Connection) -> Check:
    """This machine's clock against the API server's; differences up to 5 s are none."""
    now = datetime.now(UTC)
    return check_clock("the API server", connection.server_time(now) - now)


async def _user(connection: Connection) -> str:
    try:
        told = await connection.review("SelfSubjectReview")
    except ObjectGone:  # before Kubernetes 1.28
        return "this account"
    return told.text("userInfo", "username") or "this account"


async def _allowed(connection: Connection, right: Right, verb: str, namespace: str) -> bool:
    plural, _, subresource = right.resource.partition("/")
    attributes = {
        "group": right.group,
        "resource": plural,
        "subresource": subresource,
        "verb": verb,
        "namespace": namespace,
    }
    spec = {"resourceAttributes": {k: v for k, v in attributes.items() if v}}
    answer = await connection.review("SelfSubjectAccessReview", spec)
    return answer.flag("allowed") is True


def _grant(user: str, right: Right, verbs: list[str], namespace: str) -> str:
    """The commands that give it, in a role of its own."""
    name = f"aegis-sink-{'-'.join(verbs)}-{right.named.replace('.', '-').replace('/', '-')}"
    kind, where = ("role", f" -n {namespace}") if namespace else ("clusterrole", "")
    account = user.removeprefix("system:serviceaccount:")
    who = f"--serviceaccount={account}" if account != user else f"--user={user}"
    return (
        f"kubectl create {kind} {name} --verb={','.join(verbs)} --resource={right.named}{where} && "
        f"kubectl create {kind}binding {name} --{kind}={name} {who}{where}"
    )
