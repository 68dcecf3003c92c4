"""Completion: a finding whose body carried no error texts gets them from its Result object.

The Result is in the API before the operator posts (facts/k8sgpt.md §0.13).
"""

from collections.abc import Callable
from dataclasses import replace

from aegis_sink.cluster.document import Document
from aegis_sink.cluster.errors import ObjectGone
from aegis_sink.cluster.reader import Reader
from aegis_sink.dialects.text import ERROR_LIMIT, ERRORS_LIMIT, clean, clean_details
from aegis_sink.model import Finding, ResultRef

BY_CR = "k8sgpts.k8sgpt.ai/name"


async def complete(
    finding: Finding, reader: Reader, redact: Callable[[str], str], namespace: str
) -> Finding:
    """The finding with the Result's error texts; unchanged when there is no such Result.

    `metadata.name` narrows the search to the few Results that share it (K8sGPT drops "-" and "/"
    from the name, and leaves the kind out, so it collides); kind and name decide.
    """
    names = _spec_names(finding)
    stored_as = {name.replace("-", "").replace("/", "") for name in names}
    label = f"{BY_CR}={finding.k8sgpt}" if finding.k8sgpt else ""
    for name in sorted(stored_as):
        found = await _find(finding, names, reader, namespace, name, label)
        if found is None and label:
            # Operators before 0.0.24 put no labels on Results.
            found = await _find(finding, names, reader, namespace, name, "")
        if found is not None:
            return _filled(finding, found, redact)
    return finding


async def _find(
    finding: Finding,
    names: frozenset[str],
    reader: Reader,
    namespace: str,
    stored_as: str,
    label: str,
) -> Document | None:
    try:
        results = await reader.list(
            "Result", namespace, labels=label, fields=f"metadata.name={stored_as}"
        )
    except ObjectGone:
        return None  # no K8sGPT operator on this cluster: its CRD is not installed
    for result in results:
        spec = result.at("spec")
        if spec.text("kind") == finding.object.kind and spec.text("name") in names:
            return result
    return None


def _spec_names(finding: Finding) -> frozenset[str]:
    """How `spec.name` may be written for this object (facts/k8sgpt.md §2.4)."""
    ref = finding.object
    if ref.kind == "OperatorGroup":
        return frozenset({ref.namespace})  # K8sGPT does not say which of its groups is meant
    if ref.namespace and finding.container:
        return frozenset({f"{ref.namespace}/{ref.name}/{finding.container}"})
    if ref.namespace:
        return frozenset({f"{ref.namespace}/{ref.name}"})
    return frozenset({ref.name, f"/{ref.name}"})


def _filled(finding: Finding, result: Document, redact: Callable[[str], str]) -> Finding:
    # Cleaned first: a character that nobody sees would hide a secret from redaction.
    texts = (
        clean(error.text("text"), ERROR_LIMIT).strip()
        for error in result.items("spec", "error")[:ERRORS_LIMIT]
    )
    return replace(
        finding,
        errors=tuple(redact(text) for text in texts if text),
        details=finding.details or redact(clean_details(result.text("spec", "details"))),
        result=ResultRef(
            result.namespace, result.name, result.uid, result.text("metadata", "resourceVersion")
        ),
        completed=True,
    )
