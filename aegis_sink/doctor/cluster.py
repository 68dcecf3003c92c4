"""The API server, its clock, and the CRDs of K8sGPT."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from aegis_sink.cluster.configuration import configured_by
from aegis_sink.cluster.connection import Connection
from aegis_sink.cluster.errors import ClusterError, ClusterRefused, ClusterUnavailable, ObjectGone
from aegis_sink.doctor.check import Check, failed, ok, skipped
from aegis_sink.doctor.clock import check_clock
from aegis_sink.unreached import UNKNOWN_CA

GROUP = "core.k8sgpt.ai"
VERSION = "v1alpha1"
OF_THE_CA = (
    "kubectl config view --raw --minify   # certificate-authority-data must be the API server's CA"
)
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
        if not version:
            raise ClusterUnavailable("what answers is no API server: it does not say its version")
    except ClusterRefused as refused:
        return failed("kubernetes", str(refused), "kubectl auth whoami")
    except ClusterError as error:
        by = configured_by()
        said = str(error) if by in str(error) else f"{error} (configuration: {by})"
        return failed("kubernetes", said, OF_THE_CA if UNKNOWN_CA in said else CLUSTER_INFO)
    return ok("kubernetes", f"reachable, {version} ({configured_by()})")


async def check_crds(connection: Connection) -> AsyncIterator[Check]:
    """Are K8sGPT's CRDs there, in the version that is understood?"""
    try:
        body = await connection.read_path(f"/apis/{GROUP}", most_bytes=CRD_BYTES)
        served = [v.text("version") for v in body.document().items("versions")]
        if VERSION not in served:
            yield failed(
                "crd",
                f"{GROUP} is served as {', '.join(served) or 'nothing'}; {VERSION} is what is understood",
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
