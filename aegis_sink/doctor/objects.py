"""K8sGPT in the cluster: each object followed to its operator, to where it posts, and to what came
of that. What is said of each is decided in `k8sgpt` and `operator`, which are pure."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import ClusterError, ObjectGone
from aegis_sink.cluster.lease import pod_namespace
from aegis_sink.cluster.reader import Reader
from aegis_sink.doctor.check import Check, Health, failed, ok, skipped, warning
from aegis_sink.doctor.k8sgpt import (
    AS_IN_THE_DOCUMENTS,
    ServiceAddress,
    check_names,
    check_posts,
    check_service,
    check_settings,
    check_sink,
    service_of,
)
from aegis_sink.doctor.operator import (
    Operator,
    check_analyzer,
    check_operator,
    check_sink_type,
    operators,
)
from aegis_sink.model import ObjectRef
from aegis_sink.settings import Settings

APPLY = "kubectl apply -f k8sgpt/k8sgpt-cr.yaml"
MOST_DEPLOYMENTS = 2000
OBJECTS_SECONDS = 60.0


async def check_objects(reader: Reader, settings: Settings, now: datetime) -> AsyncIterator[Check]:
    """All about the K8sGPT objects that AEGIS Sink reads. `now` is the API server's."""
    namespace = settings.results_namespace or ""
    try:
        objects = await reader.list("K8sGPT", namespace)
    except ObjectGone:
        return  # the CRD is not there, which was said
    except ClusterError as error:
        yield skipped("k8sgpt", str(error))
        return
    if not objects:
        where = f" in namespace {namespace}" if namespace else ""
        elsewhere = "   # or AEGIS_RESULTS_NAMESPACE=…, see kubectl get k8sgpt -A"
        fix = APPLY + (elsewhere if namespace else "")
        yield failed("k8sgpt", f"there is no K8sGPT object{where}: nothing is analysed", fix)
        return
    around = await _around(reader, {one.namespace for one in objects})
    operator = around.operators[0] if around.operators else None
    token = settings.webhook_token.get_secret_value() if settings.webhook_token else ""
    here = own_door(pod_namespace(), socket.gethostname(), settings.port)
    until = asyncio.get_running_loop().time() + OBJECTS_SECONDS
    for number, one in enumerate(objects):
        if asyncio.get_running_loop().time() > until:
            left = f"{len(objects) - number} of {len(objects)} K8sGPT objects"
            yield skipped("k8sgpt", f"{left} were not looked at: the API server answers slowly")
            break
        sink = check_sink(one, token=token, here=here)
        yield sink
        if sink.health in (Health.OK, Health.WARNING):
            yield await _target(one, reader, settings)
            async for check in _posts(one, reader, operator, now):
                yield check
        for check in (*check_sink_type(one, operator), *check_settings(one)):
            yield check
        if one.namespace in around.deployments:
            yield check_analyzer(one, around.deployments[one.namespace], operator)
    for check in check_names(objects):
        yield check
    remediating = all(one.flag("spec", "ai", "autoRemediation", "enabled") for one in objects)
    for found in around.operators:
        for check in check_operator(found, remediating=remediating):
            yield check
    if not around.operators:
        why = around.trouble or "no Deployment with the operator's image is seen from here"
        yield skipped("operator", why)


@dataclass(frozen=True, slots=True)
class _Around:
    """What runs: `deployments` of the namespaces that may be read."""

    deployments: Mapping[str, tuple[Document, ...]]
    operators: tuple[Operator, ...]
    trouble: str = ""


async def _around(reader: Reader, namespaces: Iterable[str]) -> _Around:
    deployments: dict[str, tuple[Document, ...]] = {}
    trouble = ""
    for namespace in sorted(namespaces):
        try:
            deployments[namespace] = await reader.list("Deployment", namespace)
        except ClusterError as error:
            trouble = str(error)
    found = tuple(operators(one for some in deployments.values() for one in some))
    if not found and not trouble:
        # One operator serves all namespaces, and need not be in that of an object.
        with suppress(ClusterError):
            found = tuple(operators(await reader.list("Deployment", most=MOST_DEPLOYMENTS)))
    return _Around(deployments, found, trouble)


def own_door(namespace: str, host: str, port: int) -> str:
    """The door's URL inside the cluster: a pod of the chart is named after its Service."""
    service, _, number = host.rpartition("-")
    if not (service and number.isdigit() and namespace):
        return AS_IN_THE_DOCUMENTS
    return f"http://{service}.{namespace}.svc:{port}/webhook"


async def _posts(
    cr: Document, reader: Reader, operator: Operator | None, now: datetime
) -> AsyncIterator[Check]:
    """What has come of the posts: K8sGPT notes in each Result that it was posted."""
    try:
        results = await reader.list("Result", cr.namespace)
    except ClusterError:
        return  # that right is asked for, and named where it lacks
    for check in check_posts(cr, results, now, log=operator.log if operator else ""):
        yield check


async def _target(cr: Document, reader: Reader, settings: Settings) -> Check:
    """What stands behind the sink's URL; with a Secret, behind the one noted beside it."""
    where = f"{cr.namespace}/{cr.name}"
    name = f"sink target {where}"
    url = cr.text("spec", "sink", "webhook")
    secret = cr.text("spec", "sink", "secret", "name")
    found = service_of(url, cr.namespace)
    if found is None:
        if secret:
            return skipped(name, f"posts go to the URL in Secret {secret}, which is not read")
        parts = urlsplit(url)
        host = parts.hostname
        if settings.public_url and host == urlsplit(settings.public_url).hostname:
            return ok(name, f"{host}, as in AEGIS_PUBLIC_URL")
        return skipped(
            name,
            f"{host} is no Service of this cluster: whether it leads here cannot be seen from here",
            f"curl -sS {parts.scheme}://{parts.netloc.rpartition('@')[2]}/healthz",
        )
    try:
        service = await _service_behind(found, reader)
        slices = await reader.list(
            "EndpointSlice", found.namespace, labels=f"kubernetes.io/service-name={found.name}"
        )
    except ClusterError as error:
        return skipped(name, str(error))
    ready = sum(
        len(endpoint.items("addresses"))
        for one in slices
        for endpoint in one.items("endpoints")
        if endpoint.flag("conditions", "ready") is not False
    )
    check = check_service(found, service, ready, where)
    if secret and check.health is Health.FAILED:
        said = f"{check.found}; only the URL in Secret {secret} counts, which is not read"
        return warning(name, said, check.fix)
    return check


async def _service_behind(found: ServiceAddress, reader: Reader) -> Document:
    try:
        return await reader.get(ObjectRef("Service", found.name, found.namespace))
    except ObjectGone:
        return Document()
