"""The words of the OpenAPI document: JSON Schema and OpenAPI in as few characters as can be read."""

from typing import Any

Json = dict[str, Any]

JSON = "application/json"
PROBLEM = "application/problem+json"


def ref(name: str) -> Json:
    """A schema of `components`."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: str, **properties: Json) -> Json:
    """`required` are names with spaces between."""
    return {"type": "object", "required": required.split(), "properties": properties}


def array(items: Json) -> Json:
    """A list of these."""
    return {"type": "array", "items": items}


TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer", "minimum": 0}
YES_NO: Json = {"type": "boolean"}
TIME: Json = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Json = {"type": ["string", "null"], "format": "date-time"}


def answer(description: str, schema: Json, media: str = JSON) -> Json:
    """One response."""
    return {"description": description, "content": {media: {"schema": schema}}}


def problems(*statuses: int) -> Json:
    """The refusals of a route, by status."""
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
    return {str(status): answer(words[status], ref("Problem"), PROBLEM) for status in statuses}


def parameter(name: str, schema: Json, text: str, place: str = "query") -> Json:
    """A parameter of the query, or of the path, where it is required."""
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": text,
    }


def dialect(name: str) -> Json:
    """The schema of a dialect."""
    return {"$ref": f"#/components/schemas/dialect_{name}"}
