"""Which version of K8sGPT's operator runs, and what that version does (facts/k8sgpt.md §1)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aegis_sink.cluster.document import Document
from aegis_sink.doctor.check import Check, Health, failed, ok, warning

Version = tuple[int, int, int]

NEWEST_KNOWN: Version = (0, 2, 29)
UPGRADE = (
    "helm repo update && helm upgrade k8sgpt-operator k8sgpt/k8sgpt-operator -n {namespace} "
    "--reuse-values   # from 0.2.26 on the CRDs of the new chart are applied by hand"
)
_IMAGE = re.compile(r"k8sgpt-operator[^:]*:v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Quirk:
    """What versions `first` to `last`, both included, do."""

    first: Version
    last: Version
    health: Health
    what: str


QUIRKS = (
    Quirk((0, 0, 0), (0, 0, 17), Health.FAILED, "it has no sinks: nothing is posted"),
    Quirk(
        (0, 0, 18),
        (0, 0, 21),
        Health.WARNING,
        "posts do not name their K8sGPT object, so two of them cannot be told apart",
    ),
    Quirk((0, 0, 18), (0, 0, 99), Health.WARNING, "it knows no `secret` in the sink"),
    Quirk((0, 0, 18), (0, 1, 2), Health.WARNING, "Results come without details"),
    Quirk(
        (0, 1, 4),
        (0, 1, 4),
        Health.FAILED,
        "Results are made in targetNamespace, and none where that is empty",
    ),
    Quirk((0, 2, 7), (0, 2, 13), Health.FAILED, "it analyses once and then idles"),
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
    ),
)


def operators(deployments: tuple[Document, ...]) -> Iterator[tuple[Document, Version]]:
    """The Deployments among these that run K8sGPT's operator, with its version."""
    for deployment in deployments:
        for container in deployment.items("spec", "template", "spec", "containers"):
            if found := _IMAGE.search(container.text("image")):
                major, minor, patch = map(int, found.groups())
                yield deployment, (major, minor, patch)
                break


def check_operator(deployment: Document, version: Version) -> Iterator[Check]:
    """The version, each of its quirks, and its patience with a sink."""
    named = ".".join(map(str, version))
    name = f"operator {deployment.namespace}/{deployment.name}"
    fix = UPGRADE.format(namespace=deployment.namespace)
    found = [quirk for quirk in QUIRKS if quirk.first <= version <= quirk.last]
    for quirk in found:
        make = failed if quirk.health is Health.FAILED else warning
        yield make(name, f"{named}: {quirk.what}", fix)
    if not found:
        newer = " (newer than what was looked at so far)" if version > NEWEST_KNOWN else ""
        twice = "; it posts each new finding twice, which counts as one here"
        yield ok(name, f"{named}{newer}{twice if version >= (0, 2, 23) else ''}")
    if (wait := _patience(deployment)) is not None and wait < 5:
        yield warning(
            name,
            f"it waits only {wait:g} s for an answer of its sink",
            f"helm upgrade k8sgpt-operator k8sgpt/k8sgpt-operator -n {deployment.namespace} "
            "--reuse-values --set controllerManager.manager.sinkWebhookTimeout=30s",
        )


def _patience(deployment: Document) -> float | None:
    """OPERATOR_SINK_WEBHOOK_TIMEOUT_SECONDS, which is a Go duration in spite of its name."""
    for container in deployment.items("spec", "template", "spec", "containers"):
        for variable in container.items("env"):
            if variable.text("name") == "OPERATOR_SINK_WEBHOOK_TIMEOUT_SECONDS":
                told = re.fullmatch(r"(\d+)(ms|s|m)", variable.text("value"))
                scale = {"ms": 0.001, "s": 1.0, "m": 60.0}
                return int(told[1]) * scale[told[2]] if told else None
    return None
