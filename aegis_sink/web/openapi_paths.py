"""The routes of the OpenAPI document, written by hand so that they read well; tests hold the routes
to them."""

from aegis_sink.dialects.table import schemas
from aegis_sink.model import State
from aegis_sink.web.openapi_words import (
    JSON,
    NUMBER,
    TEXT,
    TIME,
    YES_NO,
    Json,
    answer,
    array,
    dialect,
    parameter,
    problems,
    record,
    ref,
)

ID = parameter("id", TEXT, "As a list or a receipt gave it.", "path")
LIMIT = parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, "Most to list."
)
MADE = record("incidents", incidents=array(ref("Made")))
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
                    "matchers": {"anyOf": [TEXT, array(TEXT)]},
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


def paths() -> Json:
    """All paths."""
    people = [dialect(name) for name in schemas()]
    token = parameter("token", TEXT, "AEGIS_WEBHOOK_TOKEN.", "path")
    return {
        "/webhook": {"post": _webhook([])},
        "/webhook/{token}": {"post": _webhook([token])},
        "/v1/findings": {
            "post": {
                "summary": "A person's or a script's door: any dialect",
                "parameters": [
                    parameter("force", YES_NO, "Treat known problems as new."),
                    parameter(
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
                    "200": answer("They are on disk.", MADE),
                    **problems(400, 401, 405, 408, 413, 415, 422, 503),
                },
            }
        },
        "/v1/reconcile": {
            "post": {
                "summary": "List the cluster's Results now",
                "responses": {
                    "200": answer(
                        "How many Results were new problems, had a changed text, were known, "
                        "are gone, or could not be understood.",
                        record(
                            "new changed known gone unreadable",
                            new=NUMBER,
                            changed=NUMBER,
                            known=NUMBER,
                            gone=NUMBER,
                            unreadable=NUMBER,
                        ),
                    ),
                    **problems(401, 405, 409, 503),
                },
            }
        },
        "/v1/incidents": {
            "get": {
                "summary": "Incidents, last seen first",
                "parameters": [
                    parameter("state", {"enum": [*State]}, "Only in this state."),
                    parameter("namespace", TEXT, "Only with a subject in this namespace."),
                    parameter("q", TEXT, "Looked for in title, subject and failure class."),
                    LIMIT,
                    parameter("cursor", TEXT, "`next_cursor` of the page before."),
                ],
                "responses": {
                    "200": answer(
                        "A page.",
                        record(
                            "incidents next_cursor",
                            incidents=array(ref("Summary")),
                            next_cursor={"type": ["string", "null"]},
                        ),
                    ),
                    **problems(400, 401, 503),
                },
            }
        },
        "/v1/incidents/{id}": {
            "get": {
                "summary": "An incident, whole",
                "parameters": [ID],
                "responses": {
                    "200": answer("The incident.", ref("Incident")),
                    **problems(401, 404, 503),
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
                    "200": answer("The new incidents.", MADE),
                    **problems(401, 404, 410, 503),
                },
            }
        },
        "/v1/silences": {
            "get": {
                "summary": "Silences, those that end last first",
                "parameters": [LIMIT],
                "responses": {
                    "200": answer(
                        "All, ended ones too.",
                        record("silences", silences=array(ref("Silence"))),
                    ),
                    **problems(400, 401, 503),
                },
            },
            "post": {
                "summary": "Mute what all matchers fit",
                "requestBody": SILENCE,
                "responses": {
                    "200": answer("It mutes; `incidents` is how many now.", ref("Silence")),
                    **problems(400, 401, 503),
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
                    "200": answer(
                        "What it would hide, and the command that makes it.",
                        record(
                            "matchers count incidents command",
                            matchers=array(TEXT),
                            count=NUMBER,
                            incidents=array(ref("Summary")),
                            command=TEXT,
                        ),
                    ),
                    **problems(401, 404, 503),
                },
            },
            "post": {
                "summary": "Which open incidents matchers fit; nothing is muted",
                "requestBody": SILENCE,
                "responses": {
                    "200": answer(
                        "How many, and the oldest of them.",
                        record("count incidents", count=NUMBER, incidents=array(ref("Summary"))),
                    ),
                    **problems(400, 401, 503),
                },
            },
        },
        "/v1/silences/{id}": {
            "delete": {
                "summary": "End a silence now",
                "parameters": [ID],
                "responses": {
                    "200": answer("It ended.", record("id status", id=TEXT, status=TEXT)),
                    **problems(401, 404, 503),
                },
            }
        },
        "/v1/quarantine": {
            "get": {
                "summary": "Bodies that were read but not understood",
                "parameters": [LIMIT],
                "responses": {
                    "200": answer(
                        "The newest first.",
                        record(
                            "quarantine count stored_bytes",
                            quarantine=array(ref("Quarantined")),
                            count=NUMBER,
                            stored_bytes=NUMBER,
                        ),
                    ),
                    **problems(400, 401, 503),
                },
            }
        },
        "/v1/quarantine/{id}/retry": {
            "post": {
                "summary": "Try a body again, for example after an upgrade",
                "parameters": [ID],
                "responses": {
                    "200": answer("What became of it.", ref("Receipt")),
                    **problems(401, 404, 503),
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
                            "schema": record("payload", payload=TEXT)
                        }
                    },
                },
                "responses": {
                    "200": {"description": "The press is on disk, or was none to keep."},
                    **problems(400, 401, 404, 405, 413, 503),
                },
            }
        },
        "/healthz": {"get": _plain("The process lives.", "text/plain")},
        "/readyz": {
            "get": {
                "summary": "Ready to store and work; each dependency's state in the body",
                "security": [],
                "responses": {
                    "200": answer("Ready.", ref("Readiness")),
                    "503": answer("Not ready.", ref("Readiness")),
                },
            }
        },
        "/metrics": {"get": _plain("Prometheus' numbers.", "text/plain")},
        "/openapi.json": {"get": _plain("This document.", JSON)},
        "/schemas/{name}.json": {
            "get": {
                "summary": "A dialect's JSON Schema",
                "security": [],
                "parameters": [parameter("name", {"enum": [*schemas()]}, "Dialect.", "path")],
                "responses": {
                    "200": answer(
                        "JSON Schema 2020-12.", {"type": "object"}, "application/schema+json"
                    ),
                    **problems(404),
                },
            }
        },
    }


def _webhook(parameters: list[Json]) -> Json:
    error = record("error", error=TEXT)
    return {
        "summary": "The K8sGPT operator's sink",
        "description": "Any body that can be read gets 200: K8sGPT blocks every Result behind one "
        "that gets anything else. What is not understood is quarantined.",
        "parameters": parameters,
        "security": [{}, {"webhookBasic": []}],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"anyOf": [dialect("slack"), dialect("mattermost")]}},
                "application/cloudevents+json": {"schema": dialect("cloudevents")},
            },
        },
        "responses": {
            "200": answer("It is on disk.", ref("Receipt")),
            "401": answer("Wrong or missing token.", error),
            "405": answer("Another method.", error),
            "408": answer("The body came too slowly.", error),
            "413": answer("The body is over 2 MiB.", error),
            "503": answer("Nothing was stored; try again after `Retry-After`.", error),
        },
    }


def _act(summary: str, body: Json | None = ACT) -> Json:
    return {
        "summary": summary,
        "parameters": [ID],
        **({"requestBody": body} if body else {}),
        "responses": {
            "200": answer("The incident as it stands now.", ref("Incident")),
            **problems(400, 401, 404, 409, 503),
        },
    }


def _plain(summary: str, media: str) -> Json:
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": summary, "content": {media: {}}}},
    }
