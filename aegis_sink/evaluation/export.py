"""Cases of one's own: incidents whose diagnosis somebody judged, as case folders (docs/evals.md).

The evidence is written as it was stored, so it is redacted, and no cluster is needed to run it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from aegis_sink.evaluation.folder import SAID
from aegis_sink.model import Diagnosis, Feedback, Finding, Incident, Verdict
from aegis_sink.model.codec import evidence_to_json, object_to_json, rfc3339


def case_files(incident: Incident, findings: Iterable[Finding]) -> Mapping[str, str]:
    """File name → text, for an incident with at least one `feedback`; the last word counts."""
    evidence = {
        "subject": object_to_json(incident.subject),
        "evidence": [evidence_to_json(one) for one in incident.evidence],
        "missing": list(incident.missing),
    }
    return {
        "finding.yaml": yaml.safe_dump_all(map(_result, findings), sort_keys=False),
        "evidence.json": json.dumps(evidence, indent=2, ensure_ascii=False) + "\n",
        "expected.yaml": yaml.safe_dump(
            _expected(incident, incident.feedback[-1]), sort_keys=False, allow_unicode=True
        ),
    }


def write_case(folder: Path, files: Mapping[str, str]) -> bool:
    """Write a case unless there is one; whether it was written. OSError when it cannot be."""
    if (folder / "expected.yaml").exists():
        return False  # somebody may have set it right
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return True


def _result(finding: Finding) -> dict[str, Any]:
    parts = (finding.object.namespace, finding.object.name, finding.container)
    return {
        "apiVersion": "core.k8sgpt.ai/v1alpha1",
        "kind": "Result",
        "metadata": {"name": "exported", "namespace": "k8sgpt"},
        "spec": {
            "kind": finding.object.kind,
            "name": "/".join(part for part in parts if part),
            "error": [{"text": error} for error in finding.errors],
            "details": finding.details,
        },
    }


def _expected(incident: Incident, said: Feedback) -> dict[str, Any]:
    judged = said.diagnosis
    told = judged.cause_id or judged.root_cause or str(judged.verdict)
    expected: dict[str, Any] = {
        "about": f"{incident.title}. {said.by} says of {told!r}: "
        + (
            "right."
            if said.right
            else "wrong. What is true is not known: write it here and under causes."
        ),
        "at": rfc3339(max((e.read_at for e in incident.evidence), default=incident.last_seen)),
    }
    if said.right:
        expected["verdicts"] = [str(judged.verdict)]
        if judged.cause_id or judged.verdict in SAID:
            # The model's own idea has no cause id yet: whoever runs the case gives it one.
            expected["causes"] = [judged.cause_id or "to-be-named"]
        expected["cites"] = _cites(incident, judged)
    else:
        told_a_cause = judged.verdict in SAID
        expected["verdicts"] = [str(v) for v in Verdict if told_a_cause or v is not judged.verdict]
        expected["must_not_claim"] = _claims(judged)
    return {name: value for name, value in expected.items() if value}


def _claims(judged: Diagnosis) -> Sequence[str]:
    return [claim for claim in (judged.cause_id or judged.root_cause,) if claim]


def _cites(incident: Incident, judged: Diagnosis) -> list[dict[str, str]]:
    """By their sources; the evidence may have been read again since, then its ids mean others."""
    if incident.diagnosis is None or incident.diagnosis.cites != judged.cites:
        return []
    return [{"source": e.source} for e in incident.evidence if e.id in judged.cites and e.source]
