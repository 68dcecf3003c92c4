"""Which version of K8sGPT's operator runs, and what that version does (facts/k8sgpt.md §1)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aegis_sink.cluster.document import Document
from aegis_sink.doctor.check import Check, Health, failed, ok, skipped, warning
from aegis_sink.doctor.k8sgpt import patch

Version = tuple[int, int, int]

NEWEST_KNOWN: Version = (0, 2, 29)
UPGRADE = (
    "helm repo update && helm upgrade k8sgpt-operator k8sgpt/k8sgpt-operator -n {namespace} "
    "--reuse-values   # from 0.2.26 on the CRDs of the new chart are applied by hand"
)
SINKS_BEGIN: dict[str, Version] = {
    "slack": (0, 0, 18),
    "mattermost": (0, 0, 28),
    "cloudevents": (0, 2, 23),
}
SECRETS_BEGIN: Version = (0, 1, 0)
_IMAGE = re.compile(r"k8sgpt-operator[^/]*$")
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Operator:
    """A Deployment that runs K8sGPT's operator. `version` is None when its image does not say."""

    deployment: Document
    image: str
    version: Version | None

    @property
    def name(self) -> str:
        """ "operator NAMESPACE/NAME"."""
        return f"operator {self.deployment.namespace}/{self.deployment.name}"

    @property
    def log(self) -> str:
        """The command that shows its log."""
        where = f"-n {self.deployment.namespace} logs deployment/{self.deployment.name}"
        return f"kubectl {where} --all-containers --tail=500"

    @property
    def upgrade(self) -> str:
        """The command that brings the newest."""
        return UPGRADE.format(namespace=self.deployment.namespace)


@dataclass(frozen=True, slots=True)
class Quirk:
    """What versions `first` to `last`, both included, do."""

    first: Version
    last: Version
    health: Health
    what: str
    without_remediation: bool = False
    """Only where auto-remediation is off."""


QUIRKS = (
    Quirk((0, 0, 0), (0, 0, 17), Health.FAILED, "it has no sinks: nothing is posted"),
    Quirk(
        (0, 0, 18),
        (0, 0, 21),
        Health.WARNING,
        "posts do not name their K8sGPT object, so two of them cannot be told apart",
    ),
    Quirk(
        (0, 0, 18),
        (0, 0, 19),
        Health.WARNING,
        "it posts a finding again whenever the AI says it in other words",
    ),
    Quirk((0, 1, 0), (0, 1, 2), Health.WARNING, "Results come without details"),
    Quirk(
        (0, 1, 4),
        (0, 1, 4),
        Health.FAILED,
        "Results are made in targetNamespace, and none where that is empty",
    ),
    Quirk(
        (0, 2, 7),
        (0, 2, 13),
        Health.FAILED,
        "without auto-remediation it analyses once and then idles",
        without_remediation=True,
    ),
    Quirk(
        (0, 0, 20),
        (0, 2, 22),
        Health.WARNING,
        "a finding whose text changes is not posted again while the number of its texts stays",
    ),
    Quirk((0, 0, 0), (0, 2, 19), Health.WARNING, "`analysis.interval` is not known"),
    Quirk(
        (0, 2, 20),
        (0, 2, 25),
        Health.WARNING,
        "`analysis.interval` counts only with auto-remediation on",
        without_remediation=True,
    ),
)


def operators(deployments: Iterable[Document]) -> Iterator[Operator]:
    """The Deployments among these that run K8sGPT's operator."""
    for deployment in deployments:
        for container in deployment.items("spec", "template", "spec", "containers"):
            image, _, digest = container.text("image").partition("@")
            repository, _, tag = image.rpartition(":")
            if not _IMAGE.search(repository if repository and "/" not in tag else image):
                continue
            # An image by digest or `latest`: the chart still labels what it installs.
            label = deployment.labels.get("app.kubernetes.io/version", "")
            shown = f"{image}@{digest}" if digest else image
            yield Operator(deployment, shown, _version(tag) or _version(label))
            break


def check_operator(operator: Operator, *, remediating: bool = False) -> Iterator[Check]:
    """The version, each of its quirks, its patience with a sink, and whether it runs."""
    name, version = operator.name, operator.version
    if (stopped := _stopped(operator.deployment)) is not None:
        yield failed(name, f"{stopped[0]}: nothing is analysed", stopped[1])
    if version is None:
        yield skipped(name, f"the image {operator.image} does not say which version it is")
    else:
        yield from _quirks(operator, version, remediating=remediating)
    if (wait := _patience(operator.deployment)) is not None and wait < 5:
        yield warning(
            name,
            f"it waits only {wait:g} s for an answer of its sink",
            f"helm upgrade k8sgpt-operator k8sgpt/k8sgpt-operator -n "
            f"{operator.deployment.namespace} "
            "--reuse-values --set controllerManager.manager.sinkWebhookTimeout=30s",
        )


def check_sink_type(cr: Document, operator: Operator | None) -> Iterator[Check]:
    """Does the operator know this type of sink, and a Secret beside it?"""
    name = f"sink type {cr.namespace}/{cr.name}"
    kind = cr.text("spec", "sink", "type")
    if not kind:
        return
    if kind not in SINKS_BEGIN:
        yield failed(
            name,
            f"K8sGPT has no sink type {kind}, and posts in Slack's form",
            patch(cr, sink={"type": "mattermost"}),
        )
        return
    if operator is None or operator.version is None:
        return
    if operator.version < SINKS_BEGIN[kind]:
        # What is not known falls back to slack, which has no text when AI is off.
        empty = cr.flag("spec", "ai", "enabled") is not True
        make = failed if empty else warning
        yield make(
            name,
            f"type {kind} came with operator {_dotted(SINKS_BEGIN[kind])}, this is "
            f"{_dotted(operator.version)}: it posts in Slack's form"
            + (", which is empty with AI off" if empty else ""),
            operator.upgrade,
        )
    if cr.has("spec", "sink", "secret") and operator.version < SECRETS_BEGIN:
        yield failed(
            name,
            f"`secret` came with operator {_dotted(SECRETS_BEGIN)}, this is "
            f"{_dotted(operator.version)}: it posts to `webhook`",
            operator.upgrade,
        )


def check_analyzer(
    cr: Document, deployments: Iterable[Document], operator: Operator | None
) -> Check:
    """The Deployment that the operator makes for an object, under its name (§3)."""
    name = f"analyzer {cr.namespace}/{cr.name}"
    found = next((one for one in deployments if one.name == cr.name), None)
    if found is None:
        return warning(
            name,
            f"the operator has made no Deployment {cr.name}: nothing is analysed",
            operator.log if operator else f"kubectl -n {cr.namespace} get deployments",
        )
    if (stopped := _stopped(found)) is not None:
        return failed(name, f"Deployment {cr.name}: {stopped[0]}: nothing is analysed", stopped[1])
    return ok(name, f"Deployment {cr.name} runs")


def _quirks(operator: Operator, version: Version, *, remediating: bool) -> Iterator[Check]:
    named = _dotted(version)
    found = [
        quirk
        for quirk in QUIRKS
        if quirk.first <= version <= quirk.last and not (remediating and quirk.without_remediation)
    ]
    for quirk in found:
        make = failed if quirk.health is Health.FAILED else warning
        yield make(operator.name, f"{named}: {quirk.what}", operator.upgrade)
    if not found:
        newer = " (newer than what was looked at so far)" if version > NEWEST_KNOWN else ""
        twice = "; it posts each new finding twice, which counts as one here"
        yield ok(operator.name, f"{named}{newer}{twice if version >= (0, 2, 23) else ''}")


def _stopped(deployment: Document) -> tuple[str, str] | None:
    """Why a Deployment does nothing, and what to type; None when a pod of it is ready."""
    where = f"kubectl -n {deployment.namespace}"
    if deployment.number("spec", "replicas") == 0:
        return "scaled to 0", f"{where} scale deployment/{deployment.name} --replicas=1"
    if not deployment.number("status", "readyReplicas"):
        return "no pod of it is ready", f"{where} describe deployment,pods"
    return None


def _version(text: str) -> Version | None:
    if not (found := _VERSION.match(text)):
        return None
    major, minor, patched = map(int, found.groups())
    return major, minor, patched


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _patience(deployment: Document) -> float | None:
    """OPERATOR_SINK_WEBHOOK_TIMEOUT_SECONDS, which is a Go duration in spite of its name."""
    for container in deployment.items("spec", "template", "spec", "containers"):
        for variable in container.items("env"):
            if variable.text("name") == "OPERATOR_SINK_WEBHOOK_TIMEOUT_SECONDS":
                told = re.fullmatch(r"(\d+)(ms|s|m)", variable.text("value"))
                scale = {"ms": 0.001, "s": 1.0, "m": 60.0}
                return int(told[1]) * scale[told[2]] if told else None
    return None
