"""The OpenAPI 3.1 document, written by hand so that it reads well; tests hold the routes to it."""

from functools import cache
from typing import Any

from aegis_sink import __version__
from aegis_sink.dialects.table import schemas
from aegis_sink.model import MuteKind, NoticeReason, Severity, State, Verdict

Json = dict[str, Any]

JSON = "application/json"
PROBLEM = "application/problem+json"


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: str, **properties: Json) -> Json:
    return {"type": "object", "required": required.split(), "properties": properties}


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer", "minimum": 0}
YES_NO: Json = {"type": "boolean"}
TIME: Json = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Json = {"type": ["string", "null"], "format": "date-time"}


def _answer(description: str, schema: Json, media: str = JSON) -> Json:
    return {"description": description, "content": {media: {"schema": schema}}}


def _problems(*statuses: int) -> Json:
    words = {
        400: "Not JSON, or a parameter that cannot be used.",
        401: "A token is needed.",
        404: "There is none of this id.",
        405: "Another method.",
        408: "The body came too slowly.",
        409: "It makes no sense as things stand; `detail` says why.",
        410: "What would be replayed is no longer kept.",
        413: "The body is over 2 MiB.",
        415: "Neither JSON nor YAML.",
        422: "Readable, but not a finding: `path` and `reason` say where and why.",
        503: "Nothing was stored; try again after `Retry-After`.",
    }
    return {str(status): _answer(words[status], _ref("Problem"), PROBLEM) for status in statuses}


def _parameter(name: str, schema: Json, text: str, place: str = "query") -> Json:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": text,
    }


ID = _parameter("id", TEXT, "As a list or a receipt gave it.", "path")
LIMIT = _parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most to list."
)
MADE = _object("incidents", incidents=_array(_ref("Made")))
ACT = {
    "required": False,
    "content": {JSON: {"schema": {"type": "object", "properties": {"by": TEXT, "reason": TEXT}}}},
}


HUSH = {
    "required": False,
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "properties": {"duration": TEXT, "by": TEXT, "reason": TEXT},
            }
        }
    },
}
SILENCE = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["matchers"],
                "properties": {
                    "matchers": {"anyOf": [TEXT, _array(TEXT)]},
                    "duration": TEXT,
                    "starts_at": TIME,
                    "ends_at": TIME,
                    "author": TEXT,
                    "comment": TEXT,
                },
                "additionalProperties": False,
            }
        }
    },
}


def _webhook(parameters: list[Json]) -> Json:
    error = _object("error", error=TEXT)
    return {
        "summary": "The K8sGPT operator's sink",
        "description": "Any body that can be read gets 200: K8sGPT blocks every Result behind one "
        "that gets anything else. What is not understood is quarantined.",
        "parameters": parameters,
        "security": [{}, {"webhookBasic": []}],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"anyOf": [_dialect("slack"), _dialect("mattermost")]}},
                "application/cloudevents+json": {"schema": _dialect("cloudevents")},
            },
        },
        "responses": {
            "200": _answer("It is on disk.", _ref("Receipt")),
            "401": _answer("Wrong or missing token.", error),
            "405": _answer("Another method.", error),
            "408": _answer("The body came too slowly.", error),
            "413": _answer("The body is over 2 MiB.", error),
            "503": _answer("Nothing was stored; try again after `Retry-After`.", error),
        },
    }


def _dialect(name: str) -> Json:
    return {"$ref": f"#/components/schemas/dialect_{name}"}


def _act(summary: str, body: Json | None = ACT) -> Json:
    return {
        "summary": summary,
        "parameters": [ID],
        **({"requestBody": body} if body else {}),
        "responses": {
            "200": _answer("The incident as it stands now.", _ref("Incident")),
            **_problems(400, 401, 404, 409, 503),
        },
    }


def _paths() -> Json:
    people = [_dialect(name) for name in schemas()]
    token = _parameter("token", TEXT, "AEGIS_WEBHOOK_TOKEN.", "path")
    return {
        "/webhook": {"post": _webhook([])},
        "/webhook/{token}": {"post": _webhook([token])},
        "/v1/findings": {
            "post": {
                "summary": "A person's or a script's door: any dialect",
                "parameters": [
                    _parameter("force", YES_NO, "Treat known problems as new."),
                    _parameter(
                        "wait",
                        {"type": "number", "minimum": 0, "maximum": 600},
                        "Seconds to wait for the diagnosis; the answer then holds all of it.",
                    ),
                ],
                "security": [{}, {"bearer": []}, {"signature": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        JSON: {"schema": {"anyOf": people}},
                        "application/yaml": {"schema": {"anyOf": people}},
                    },
                },
                "responses": {
                    "200": _answer("They are on disk.", MADE),
                    **_problems(400, 401, 405, 408, 413, 415, 422, 503),
                },
            }
        },
        "/v1/reconcile": {
            "post": {
                "summary": "List the cluster's Results now",
                "responses": {
                    "200": _answer(
                        "How many Results were new problems, had a changed text, were known, "
                        "are gone, or could not be understood.",
                        _object(
                            "new changed known gone unreadable",
                            new=NUMBER,
                            changed=NUMBER,
                            known=NUMBER,
                            gone=NUMBER,
                            unreadable=NUMBER,
                        ),
                    ),
                    **_problems(401, 405, 409, 503),
                },
            }
        },
        "/v1/incidents": {
            "get": {
                "summary": "Incidents, last seen first",
                "parameters": [
                    _parameter("state", {"enum": [*State]}, "Only in this state."),
                    _parameter("namespace", TEXT, "Only with a subject in this namespace."),
                    _parameter("q", TEXT, "Looked for in title, subject and failure class."),
                    LIMIT,
                    _parameter("cursor", TEXT, "`next_cursor` of the page before."),
                ],
                "responses": {
                    "200": _answer(
                        "A page.",
                        _object(
                            "incidents next_cursor",
                            incidents=_array(_ref("Summary")),
                            next_cursor={"type": ["string", "null"]},
                        ),
                    ),
                    **_problems(400, 401, 503),
                },
            }
        },
        "/v1/incidents/{id}": {
            "get": {
                "summary": "An incident, whole",
                "parameters": [ID],
                "responses": {
                    "200": _answer("The incident.", _ref("Incident")),
                    **_problems(401, 404, 503),
                },
            }
        },
        "/v1/incidents/{id}/ack": {"post": _act("Acknowledge: repeats stop")},
        "/v1/incidents/{id}/resolve": {"post": _act("Resolve by hand")},
        "/v1/incidents/{id}/silence": {
            "post": _act("Tell nothing of this one until it is resolved, or for a while", HUSH),
            "delete": _act("End the silence of this one", None),
        },
        "/v1/incidents/{id}/replay": {
            "post": {
                "summary": "Put the raw bodies behind an incident through the door again",
                "parameters": [ID],
                "responses": {
                    "200": _answer("The new incidents.", MADE),
                    **_problems(401, 404, 410, 503),
                },
            }
        },
        "/v1/silences": {
            "get": {
                "summary": "Silences, those that end last first",
                "parameters": [LIMIT],
                "responses": {
                    "200": _answer(
                        "All, ended ones too.",
                        _object("silences", silences=_array(_ref("Silence"))),
                    ),
                    **_problems(400, 401, 503),
                },
            },
            "post": {
                "summary": "Mute what all matchers fit",
                "requestBody": SILENCE,
                "responses": {
                    "200": _answer("It mutes; `incidents` is how many now.", _ref("Silence")),
                    **_problems(400, 401, 503),
                },
            },
        },
        "/v1/silences/preview": {
            "get": {
                "summary": "A silence for what an incident is about, and how to make it",
                "parameters": [
                    {
                        "name": "incident",
                        "in": "query",
                        "required": True,
                        "schema": TEXT,
                        "description": "An incident's id.",
                    }
                ],
                "responses": {
                    "200": _answer(
                        "What it would hide, and the command that makes it.",
                        _object(
                            "matchers count incidents command",
                            matchers=_array(TEXT),
                            count=NUMBER,
                            incidents=_array(_ref("Summary")),
                            command=TEXT,
                        ),
                    ),
                    **_problems(401, 404, 503),
                },
            },
            "post": {
                "summary": "Which open incidents matchers fit; nothing is muted",
                "requestBody": SILENCE,
                "responses": {
                    "200": _answer(
                        "How many, and the oldest of them.",
                        _object("count incidents", count=NUMBER, incidents=_array(_ref("Summary"))),
                    ),
                    **_problems(400, 401, 503),
                },
            },
        },
        "/v1/silences/{id}": {
            "delete": {
                "summary": "End a silence now",
                "parameters": [ID],
                "responses": {
                    "200": _answer("It ended.", _object("id status", id=TEXT, status=TEXT)),
                    **_problems(401, 404, 503),
                },
            }
        },
        "/v1/quarantine": {
            "get": {
                "summary": "Bodies that were read but not understood",
                "parameters": [LIMIT],
                "responses": {
                    "200": _answer(
                        "The newest first.",
                        _object(
                            "quarantine count stored_bytes",
                            quarantine=_array(_ref("Quarantined")),
                            count=NUMBER,
                            stored_bytes=NUMBER,
                        ),
                    ),
                    **_problems(400, 401, 503),
                },
            }
        },
        "/v1/quarantine/{id}/retry": {
            "post": {
                "summary": "Try a body again, for example after an upgrade",
                "parameters": [ID],
                "responses": {
                    "200": _answer("What became of it.", _ref("Receipt")),
                    **_problems(401, 404, 503),
                },
            }
        },
        "/slack/actions": {
            "post": {
                "summary": "Slack's presses of buttons, signed (`AEGIS_SLACK_SIGNING_SECRET`)",
                "security": [{"slack": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": _object("payload", payload=TEXT)
                        }
                    },
                },
                "responses": {
                    "200": {"description": "The press is on disk, or was none to keep."},
                    **_problems(400, 401, 404, 405, 413, 503),
                },
            }
        },
        "/healthz": {"get": _plain("The process lives.", "text/plain")},
        "/readyz": {
            "get": {
                "summary": "Ready to store and work; each dependency's state in the body",
                "security": [],
                "responses": {
                    "200": _answer("Ready.", _ref("Readiness")),
                    "503": _answer("Not ready.", _ref("Readiness")),
                },
            }
        },
        "/metrics": {"get": _plain("Prometheus' numbers.", "text/plain")},
        "/openapi.json": {"get": _plain("This document.", JSON)},
        "/schemas/{name}.json": {
            "get": {
                "summary": "A dialect's JSON Schema",
                "security": [],
                "parameters": [_parameter("name", {"enum": [*schemas()]}, "Dialect.", "path")],
                "responses": {
                    "200": _answer(
                        "JSON Schema 2020-12.", {"type": "object"}, "application/schema+json"
                    ),
                    **_problems(404),
                },
            }
        },
    }


def _plain(summary: str, media: str) -> Json:
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": summary, "content": {media: {}}}},
    }


def _components() -> Json:
    ref = _object("kind namespace name", kind=TEXT, namespace=TEXT, name=TEXT)
    summary = {
        "id": TEXT,
        "url": TEXT,
        "cluster": TEXT,
        "state": {"enum": [*State]},
        "severity": {"enum": [*Severity]},
        "title": TEXT,
        "subject": ref,
        "objects": _array(ref),
        "errors": _array(TEXT),
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
                _object(
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
        "diagnosis": {"anyOf": [_ref("Diagnosis"), {"type": "null"}]},
        "evidence": _array(
            _object(
                "id source text read_at cut",
                id=TEXT,
                source=TEXT,
                text=TEXT,
                read_at=TIME,
                cut=NUMBER,
            )
        ),
        "missing": _array(TEXT),
        "followers": _array(_object("id title", id=TEXT, title=TEXT)),
        "notices": _array(
            _object(
                "reason at channel ts",
                reason={"enum": [*NoticeReason]},
                at=TIME,
                channel=TEXT,
                ts=TEXT,
            )
        ),
        "history": _array(_object("at what reason", at=TIME, what=TEXT, reason=TEXT)),
        "feedback": _array(
            _object(
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
        "Receipt": _object(
            "status id", status={"enum": ["accepted", "duplicate", "quarantined"]}, id=TEXT
        ),
        "Made": _object("id url created", id=TEXT, url=TEXT, created=YES_NO),
        "Summary": {"type": "object", "required": [*summary], "properties": summary},
        "Incident": {
            "type": "object",
            "required": [*summary, *whole],
            "properties": {**summary, **whole},
        },
        "Diagnosis": _object(
            "verdict root_cause confidence cause_id ruled_out cites missing fixes model "
            "prompt_tokens answer_tokens seconds",
            verdict={"enum": [*Verdict]},
            root_cause=TEXT,
            confidence={"type": "number", "minimum": 0, "maximum": 1},
            cause_id=TEXT,
            ruled_out=_array({"type": "object"}),
            cites=_array(TEXT),
            missing=_array(TEXT),
            fixes=_array(
                _object(
                    "title risk command patch check",
                    title=TEXT,
                    risk=TEXT,
                    command=TEXT,
                    patch={"type": ["string", "null"]},
                    check=_object("status reason", status=TEXT, reason=TEXT),
                )
            ),
            model=TEXT,
            prompt_tokens=NUMBER,
            answer_tokens=NUMBER,
            seconds={"type": "number", "minimum": 0},
        ),
        "Silence": _object(
            "id status matchers starts_at ends_at author comment",
            id=TEXT,
            status={"enum": ["pending", "active", "ended"]},
            matchers=_array(TEXT),
            starts_at=TIME,
            ends_at=TIME,
            author=TEXT,
            comment=TEXT,
            incidents=NUMBER,
        ),
        "Quarantined": _object(
            "id received_at door reason size first retries",
            id=TEXT,
            received_at=TIME,
            door=TEXT,
            reason=TEXT,
            size=NUMBER,
            first=TEXT,
            retries=NUMBER,
        ),
        "Readiness": _object("ready database worker", ready=YES_NO, database=TEXT, worker=TEXT),
        "Problem": _object(
            "type title status detail", type=TEXT, title=TEXT, status=NUMBER, detail=TEXT
        ),
    }


@cache
def document() -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AEGIS Sink",
            "version": __version__,
            "description": "The receiver behind K8sGPT's webhook.",
        },
        "security": [{}, {"bearer": []}],
        "paths": _paths(),
        "components": {
            "schemas": _components(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "webhookBasic": {"type": "http", "scheme": "basic"},
                "slack": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-slack-signature",
                    "description": "Slack's `v0` signature of x-slack-request-timestamp and body.",
                },
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "webhook-signature",
                    "description": "Standard Webhooks: webhook-id, webhook-timestamp, "
                    "webhook-signature over the raw body.",
                },
            },
        },
    }
