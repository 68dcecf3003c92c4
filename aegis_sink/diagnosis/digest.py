"""The digest of a case: equal for the same problem with the same evidence.

Uids, times, restart counters and generated names change all the time and change nothing about a
cause; limits, images and exit codes do. A second model call for an equal digest is waste.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aegis_sink.diagnosis.case import Case
    from aegis_sink.model import Evidence
    from aegis_sink.model.facts import Facts

VOLATILE = frozenset(
    {
        "age_seconds",
        "restarts",
        "running_seconds",
        "lived_seconds",
        "warnings",
        "lease_age_seconds",
        "last_schedule_age_seconds",
        "last_success_age_seconds",
        "changed_seconds_before_failure",
        "failed",
        "requested_cpu",
        "requested_memory",
        "largest_free_cpu",
        "largest_free_memory",
        "pods",
        "last_line",
        "error_lines",
        "error_count",
        "node",
    }
)
"""Fields that move while the cause stays. Log lines are digested with their numbers removed."""

_NOISE = tuple(
    (re.compile(pattern), mark)
    for pattern, mark in (
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uid>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "<ip>"),
        (r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b", "<hash>"),
        (r"-[a-z0-9]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-<pod>"),
        (r"-(?=[a-z]*\d)[bcdfghjklmnpqrstvwxz2456789]{5,10}\b", "-<pod>"),
        (r"\b\d+(?:\.\d+)?(?:ms|h|m|s)(?:\d+(?:\.\d+)?(?:ms|m|s))*\b", "<duration>"),
    )
)
_NUMBER = re.compile(r"\d+")
DIGEST_CHARACTERS = 32


def digest(case: Case, playbook_version: str) -> str:
    """A short hex digest of the case's content and the playbooks' version."""
    content = {
        "playbooks": playbook_version,
        "subject": [case.cluster, str(case.subject)],
        "errors": sorted({quiet(text) for text in case.errors}),
        "evidence": sorted({_evidence(e) for e in case.collected.evidence}),
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]


def quiet(text: str) -> str:
    """A text without uids, times, addresses, hashes and generated name parts."""
    for pattern, mark in _NOISE:
        text = pattern.sub(mark, text)
    return text


def _evidence(evidence: Evidence) -> str:
    if evidence.facts is None:
        return f"{quiet(evidence.source)}|{_NUMBER.sub('#', quiet(evidence.text))}"
    body = [f"{f.name}={_value(evidence.facts, f.name)}" for f in fields(evidence.facts)]
    if evidence.facts.topic == "log":
        lines = {_NUMBER.sub("#", quiet(t)) for t in getattr(evidence.facts, "error_lines", ())}
        body.extend(sorted(lines))
    return f"{evidence.facts.topic}|{'|'.join(body)}"


def _value(facts: Facts, name: str) -> str:
    if name in VOLATILE:
        return ""
    value = getattr(facts, name)
    if isinstance(value, Mapping):
        return ",".join(sorted(f"{k}:{quiet(str(v))}" for k, v in value.items()))
    if isinstance(value, tuple):
        return ",".join(sorted({quiet(str(item)) for item in value}))
    return quiet(str(value))
