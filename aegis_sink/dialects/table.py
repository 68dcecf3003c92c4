"""The table of dialects, and reading a body with it. A new dialect is a file and a line here.

A dialect is recognised by content, never by User-Agent or Content-Type, and only its own schema is
asked: this is on the request path.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from aegis_sink.dialects.analyze import parse_analyze, parse_serve
from aegis_sink.dialects.document import parse, parse_stream
from aegis_sink.dialects.errors import InvalidBody, UnknownShape
from aegis_sink.dialects.operator import parse_cloudevents, parse_mattermost, parse_slack
from aegis_sink.dialects.result import parse_result, parse_result_list, parse_watch_event
from aegis_sink.model import Finding

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect: how it is recognised among those after it in the table, and how it is read."""

    name: str
    recognises: Callable[[Document], bool]
    parse: Callable[[Any, str], tuple[Finding, ...]]


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a body was. No findings is an answer too: k8sgpt found nothing wrong."""

    dialect: str
    findings: tuple[Finding, ...]


def _first_attachment(document: Document) -> object:
    attachments = document.get("attachments")
    return attachments[0] if isinstance(attachments, list) and attachments else None


def _is_slack(document: Document) -> bool:
    attachment = _first_attachment(document)
    return "text" in document and isinstance(attachment, dict) and "type" in attachment


def _is_result(document: Document) -> bool:
    return document.get("kind", "Result") == "Result" and "spec" in document


def _is_list(document: Document) -> bool:
    return "items" in document and str(document.get("kind", "List")).endswith("List")


TABLE: tuple[Dialect, ...] = (
    Dialect("cloudevents", lambda d: "specversion" in d, parse_cloudevents),
    Dialect("slack", _is_slack, parse_slack),
    Dialect("watch_event", lambda d: "type" in d and "object" in d, parse_watch_event),
    Dialect("result", _is_result, parse_result),
    Dialect("result_list", _is_list, parse_result_list),
    Dialect("analyze", lambda d: "results" in d and "provider" in d, parse_analyze),
    Dialect("serve", lambda d: "results" in d, parse_serve),
    Dialect("mattermost", lambda d: "text" in d, parse_mattermost),
)


def read(body: bytes, *, cluster: str, yaml: bool = False) -> Recognised:
    """A body → its findings; DialectError says why not. YAML only with `yaml`."""
    return read_document(parse(body, allow_yaml=yaml), cluster=cluster)


def read_document(document: object, *, cluster: str) -> Recognised:
    """A parsed document → its findings; DialectError says why not."""
    if not isinstance(document, dict):
        raise UnknownShape(f"a JSON {_type(document)}, not an object; {_known()}")
    for dialect in TABLE:
        if dialect.recognises(document):
            break
    else:
        members = ", ".join(sorted(str(key)[:40] for key in document)[:8]) or "nothing"
        raise UnknownShape(f"an object with {members}; {_known()}")
    if not _is_valid(dialect.name, document):
        raise _invalid(dialect.name, best_match(_explainer(dialect.name).iter_errors(document)))
    return Recognised(dialect.name, dialect.parse(document, cluster))


def read_documents(text: str) -> Iterator[object]:
    """Every document of a file: JSON, NDJSON or YAML; NotReadable says where it breaks."""
    return parse_stream(text)


@cache
def schemas() -> Mapping[str, Mapping[str, Any]]:
    """Dialect → JSON Schema, in the order of the table."""
    folder = files("aegis_sink.dialects") / "schemas"
    return {
        dialect.name: json.loads((folder / f"{dialect.name}.json").read_text("utf-8"))
        for dialect in TABLE
    }


def _is_valid(name: str, document: object) -> bool:
    try:
        return _validator(name).is_valid(document)
    except ValueError:  # what JSON allows and it does not take, such as a lone surrogate
        return _explainer(name).is_valid(document)


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """Says yes or no, on the request path."""
    return jsonschema_rs.Draft202012Validator(dict(schemas()[name]))


@cache
def _explainer(name: str) -> Draft202012Validator:
    """Says why not, in the standard's own terms."""
    return Draft202012Validator(schemas()[name])


def _invalid(dialect: str, error: ValidationError | None) -> InvalidBody:
    assert error is not None
    if error.validator == "type":
        wanted: Any = error.validator_value
        kinds = wanted if isinstance(wanted, str) else " or ".join(wanted)
        reason = f"is {_type(error.instance)}, must be {kinds}"
    elif error.validator == "required":
        required, instance = (
            cast("list[str]", error.validator_value),
            cast("Document", error.instance),
        )
        missing = next(key for key in required if key not in instance)
        return InvalidBody(dialect, f"{error.json_path}.{missing}", "is missing")
    else:
        reason = f"does not fit: {error.validator} {str(error.validator_value)[:100]}"
    return InvalidBody(dialect, error.json_path, reason)


def _type(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _known() -> str:
    return "known are " + ", ".join(dialect.name for dialect in TABLE)
