"""The schemas of the OpenAPI document: what answers hold."""

from aegis_sink.dialects.table import schemas
from aegis_sink.model import MuteKind, NoticeReason, Severity, State, Verdict
from aegis_sink.web.openapi_words import (
    NUMBER,
    TEXT,
    TIME,
    TIME_OR_NULL,
    YES_NO,
    Json,
    array,
    record,
    ref,
)


def components() -> Json:
    """All schemas by name, those of the dialects among them."""
    place = record("kind namespace name", kind=TEXT, namespace=TEXT, name=TEXT)
    summary = {
        "id": TEXT,
        "url": TEXT,
        "cluster": TEXT,
        "state": {"enum": [*State]},
        "severity": {"enum": [*Severity]},
        "title": TEXT,
        "subject": place,
        "objects": array(place),
        "errors": array(TEXT),
        "failure_class": TEXT,
        "fingerprint": TEXT,
        "occurrences": NUMBER,
        "first_seen": TIME,
        "last_seen": TIME,
        "resolved_at": TIME_OR_NULL,
        "gone_at": TIME_OR_NULL,
        "acknowledged_by": TEXT,
        "acknowledged_at": TIME_OR_NULL,
        "silenced_by": TEXT,
        "silenced_until": TIME_OR_NULL,
        "superseded_by": TEXT,
        "muted": {
            "anyOf": [
                record(
                    "kind by because until",
                    kind={"enum": [*MuteKind]},
                    by=TEXT,
                    because=TEXT,
                    until={"type": ["string", "null"], "format": "date-time"},
                ),
                {"type": "null"},
            ]
        },
        "diagnosing": YES_NO,
    }
    whole = {
        "details": TEXT,
        "diagnosis": {"anyOf": [ref("Diagnosis"), {"type": "null"}]},
        "evidence": array(
            record(
                "id source text read_at cut",
                id=TEXT,
                source=TEXT,
                text=TEXT,
                read_at=TIME,
                cut=NUMBER,
            )
        ),
        "missing": array(TEXT),
        "followers": array(record("id title", id=TEXT, title=TEXT)),
        "notices": array(
            record(
                "reason at channel ts",
                reason={"enum": [*NoticeReason]},
                at=TIME,
                channel=TEXT,
                ts=TEXT,
            )
        ),
        "history": array(record("at what reason", at=TIME, what=TEXT, reason=TEXT)),
        "feedback": array(
            record(
                "at by right verdict cause_id root_cause model",
                at=TIME,
                by=TEXT,
                right=YES_NO,
                verdict={"enum": [*Verdict]},
                cause_id=TEXT,
                root_cause=TEXT,
                model=TEXT,
            )
        ),
    }
    return {
        **{
            # Their own addresses would make each a document of its own, with paths of its own.
            f"dialect_{name}": {
                **{key: part for key, part in schema.items() if key not in ("$schema", "$id")},
                "externalDocs": {"url": f"/schemas/{name}.json"},
            }
            for name, schema in schemas().items()
        },
        "Receipt": record(
            "status id", status={"enum": ["accepted", "duplicate", "quarantined"]}, id=TEXT
        ),
        "Made": record("id url created", id=TEXT, url=TEXT, created=YES_NO),
        "Summary": {"type": "object", "required": [*summary], "properties": summary},
        "Incident": {
            "type": "object",
            "required": [*summary, *whole],
            "properties": {**summary, **whole},
        },
        "Diagnosis": record(
            "verdict root_cause confidence cause_id ruled_out cites missing fixes model "
            "prompt_tokens answer_tokens seconds",
            verdict={"enum": [*Verdict]},
            root_cause=TEXT,
            confidence={"type": "number", "minimum": 0, "maximum": 1},
            cause_id=TEXT,
            ruled_out=array({"type": "object"}),
            cites=array(TEXT),
            missing=array(TEXT),
            fixes=array(
                record(
                    "title risk command patch check",
                    title=TEXT,
                    risk=TEXT,
                    command=TEXT,
                    patch={"type": ["string", "null"]},
                    check=record("status reason", status=TEXT, reason=TEXT),
                )
            ),
            model=TEXT,
            prompt_tokens=NUMBER,
            answer_tokens=NUMBER,
            seconds={"type": "number", "minimum": 0},
        ),
        "Silence": record(
            "id status matchers starts_at ends_at author comment",
            id=TEXT,
            status={"enum": ["pending", "active", "ended"]},
            matchers=array(TEXT),
            starts_at=TIME,
            ends_at=TIME,
            author=TEXT,
            comment=TEXT,
            incidents=NUMBER,
        ),
        "Quarantined": record(
            "id received_at door reason size first retries",
            id=TEXT,
            received_at=TIME,
            door=TEXT,
            reason=TEXT,
            size=NUMBER,
            first=TEXT,
            retries=NUMBER,
        ),
        "Readiness": record("ready database worker", ready=YES_NO, database=TEXT, worker=TEXT),
        "Problem": record(
            "type title status detail", type=TEXT, title=TEXT, status=NUMBER, detail=TEXT
        ),
    }
