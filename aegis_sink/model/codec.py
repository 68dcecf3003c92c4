"""The model as JSON and back: what the store keeps and what the outside interface shows."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import TypeAdapter

from aegis_sink.model.diagnosis import Diagnosis, Fix
from aegis_sink.model.evidence import Evidence
from aegis_sink.model.facts import TOPICS, Facts
from aegis_sink.model.feedback import Feedback
from aegis_sink.model.finding import Finding
from aegis_sink.model.incident import Incident, Mute
from aegis_sink.model.notice import Notice
from aegis_sink.model.objects import ObjectRef

_finding = TypeAdapter(Finding)
_diagnosis = TypeAdapter(Diagnosis)
_evidence = TypeAdapter(Evidence)
_notice = TypeAdapter(Notice)
_facts: Mapping[str, TypeAdapter[Facts]] = {
    topic: TypeAdapter(cls) for topic, cls in TOPICS.items()
}

Json = dict[str, object]


def rfc3339(at: datetime) -> str:
    """UTC with `Z` and milliseconds: 2026-03-01T10:21:07.000Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finding_to_json(finding: Finding) -> Json:
    """A finding as plain JSON, whole."""
    data: Json = _finding.dump_python(finding, mode="json")
    return data


def finding_from_json(data: object) -> Finding:
    """The inverse of `finding_to_json`."""
    return _finding.validate_python(data)


def diagnosis_to_json(diagnosis: Diagnosis) -> Json:
    """A diagnosis as plain JSON, whole."""
    data: Json = _diagnosis.dump_python(diagnosis, mode="json")
    return data


def diagnosis_from_json(data: object) -> Diagnosis:
    """The inverse of `diagnosis_to_json`."""
    return _diagnosis.validate_python(data)


def notice_to_json(notice: Notice) -> Json:
    """A notice as plain JSON, whole."""
    data: Json = _notice.dump_python(notice, mode="json")
    return data


def notice_from_json(data: object) -> Notice:
    """The inverse of `notice_to_json`."""
    return _notice.validate_python(data)


def evidence_to_json(evidence: Evidence) -> Json:
    """Evidence as plain JSON; its facts carry their topic so that they can be read back."""
    data: Json = _evidence.dump_python(replace(evidence, facts=None), mode="json")
    if evidence.facts is not None:
        topic = evidence.facts.topic
        data["facts"] = {"topic": topic, **_facts[topic].dump_python(evidence.facts, mode="json")}
    return data


def evidence_from_json(data: Mapping[str, object]) -> Evidence:
    """The inverse of `evidence_to_json`. Facts of a topic this version does not know are dropped."""
    facts = data.get("facts")
    evidence = _evidence.validate_python({**data, "facts": None})
    if not isinstance(facts, Mapping):
        return evidence
    adapter = _facts.get(str(facts.get("topic")))
    if adapter is None:
        return evidence
    fields = {key: value for key, value in facts.items() if key != "topic"}
    return replace(evidence, facts=adapter.validate_python(fields))


def object_to_json(ref: ObjectRef) -> Json:
    """`{kind, namespace, name}`; namespace is "" for cluster-scoped objects."""
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


def incident_to_json(incident: Incident) -> Json:
    """An incident as the outside interface shows it (docs/http.md)."""
    return {
        **incident_summary(incident),
        "details": incident.details,
        "diagnosis": _diagnosis_outside(incident.diagnosis),
        "evidence": [
            {
                "id": e.id,
                "source": e.source,
                "text": e.text,
                "read_at": rfc3339(e.read_at),
                "cut": e.cut,
            }
            for e in incident.evidence
        ],
        "missing": list(incident.missing),
        "followers": [{"id": one.id, "title": one.title} for one in incident.followers],
        "notices": [
            {"reason": n.reason, "at": rfc3339(n.at), "channel": n.channel, "ts": n.ts}
            for n in incident.notices
        ],
        "history": [
            {"at": rfc3339(h.at), "what": h.what, "reason": h.reason} for h in incident.history
        ],
        "feedback": [feedback_to_json(f) for f in incident.feedback],
    }


def feedback_to_json(feedback: Feedback) -> Json:
    """What a person said, with what is needed to know of what."""
    judged = feedback.diagnosis
    return {
        "at": rfc3339(feedback.at),
        "by": feedback.by,
        "right": feedback.right,
        "verdict": judged.verdict,
        "cause_id": judged.cause_id,
        "root_cause": judged.root_cause,
        "model": judged.model,
    }


def incident_summary(incident: Incident) -> Json:
    """The members of an incident that a list shows."""
    return {
        "id": incident.id,
        "url": incident.url,
        "cluster": incident.cluster,
        "state": incident.shown_state,
        "severity": incident.severity,
        "title": incident.title,
        "subject": object_to_json(incident.subject),
        "objects": [object_to_json(ref) for ref in incident.objects],
        "errors": list(incident.errors),
        "failure_class": incident.failure_class,
        "fingerprint": incident.fingerprint,
        "occurrences": incident.occurrences,
        "first_seen": rfc3339(incident.first_seen),
        "last_seen": rfc3339(incident.last_seen),
        "resolved_at": _time_or_none(incident.resolved_at),
        "gone_at": _time_or_none(incident.gone_at),
        "acknowledged_by": incident.acknowledged_by,
        "acknowledged_at": _time_or_none(incident.acknowledged_at),
        "silenced_by": incident.silenced_by,
        "silenced_until": _time_or_none(incident.silenced_until),
        "superseded_by": incident.superseded_by,
        "muted": _mute_outside(incident.mute),
        "diagnosing": incident.diagnosing,
    }


def _time_or_none(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _mute_outside(mute: Mute | None) -> Json | None:
    if mute is None:
        return None
    return {
        "kind": mute.kind,
        "by": mute.by,
        "because": mute.because,
        "until": _time_or_none(mute.until),
    }


def _diagnosis_outside(diagnosis: Diagnosis | None) -> Json | None:
    if diagnosis is None:
        return None
    data = diagnosis_to_json(diagnosis)
    data["confidence_words"] = diagnosis.confidence_words
    data["fixes"] = [_fix_outside(fix) for fix in diagnosis.fixes]
    return data


def _fix_outside(fix: Fix) -> Json:
    return {
        "title": fix.title,
        "action": fix.action,
        "target": object_to_json(fix.target),
        "risk": fix.risk,
        "command": fix.command,
        "runnable": fix.runnable,
        "patch": fix.patch,
        "check": {"status": fix.check.status, "reason": fix.check.reason},
    }
