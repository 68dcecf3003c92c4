"""What the k8sgpt program itself writes: `analyze -o json` and the answer of `serve --http`
(facts/k8sgpt.md §4). The CLI capitalises the keys inside `error`, the server does not."""

from typing import Any

from aegis_sink.dialects.result import spec_finding
from aegis_sink.model import Finding


def parse_analyze(document: Any, cluster: str) -> tuple[Finding, ...]:
    """`{provider, status, problems, results}`; `results` is null when all is well."""
    return _findings(document, cluster, "analyze")


def parse_serve(document: Any, cluster: str) -> tuple[Finding, ...]:
    """`{error, errors, status, problems, results}`."""
    return _findings(document, cluster, "serve")


def _findings(document: Any, cluster: str, dialect: str) -> tuple[Finding, ...]:
    return tuple(
        spec_finding(entry, cluster, dialect=dialect, path=f"$.results[{number}]")
        for number, entry in enumerate(document["results"] or ())
    )
