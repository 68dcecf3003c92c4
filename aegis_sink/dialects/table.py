"""The table of dialects, and reading a body with it. A new dialect is a file and a line here.

A dialect is recognised by content, never by User-Agent or Content-Type, and only its own schema is
asked: this is on the request path.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import jsonschema_rs

from aegis_sink.dialects.analyze import parse_analyze, parse_serve
from aegis_sink.dialects.document import parse, parse_stream
from aegis_sink.dialects.errors import InvalidBody, NotReadable, UnknownShape
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


REMEMBERED_BYTES = 16 * 1024


def _parse_kept(document: Any, cluster: str) -> tuple[Finding, ...]:
    """An item of quarantine, as `aegis-sink quarantine show --json` writes it: the body in it."""
    inner = parse(document["body"].encode("utf-8", "replace"), allow_yaml=False)
    if isinstance(inner, dict) and _is_kept(inner):
        raise InvalidBody("quarantine", "$.body", "is an item of quarantine itself")
    return read_document(inner, cluster=cluster).findings


def _is_kept(document: Document) -> bool:
    return {"body", "door", "reason"} <= document.keys()


TABLE: tuple[Dialect, ...] = (
    Dialect("quarantine", _is_kept, _parse_kept),
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
    if len(body) <= REMEMBERED_BYTES and not yaml:
        return _remembered(body, cluster)
    return read_document(parse(body, allow_yaml=yaml), cluster=cluster)


@lru_cache(maxsize=256)
def _remembered(body: bytes, cluster: str) -> Recognised:
    # The operator posts each new problem twice (facts/k8sgpt.md §0.7) and an old one again and
    # again, and what the door read is read once more when an incident is made of it.
    return read_document(parse(body, allow_yaml=False), cluster=cluster)


def read_document(document: object, *, cluster: str) -> Recognised:
    """A parsed document → its findings; DialectError says why not."""
    if not isinstance(document, dict):
        raise UnknownShape(f"a JSON {_type(document)}, not an object; {_known()}")
    for dialect in TABLE:
        if dialect.recognises(document):
            break
    else:
        if "apiVersion" in document and "kind" in document:
            kind = str(document["kind"])[:60]
            raise UnknownShape(f"a {kind}, not K8sGPT's finding about it; {_known()}")
        members = ", ".join(sorted(str(key)[:30] for key in document)[:6]) or "nothing"
        raise UnknownShape(f"an object with {members}; {_known()}")
    _check(dialect.name, document)
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


def _check(name: str, document: Document) -> None:
    """InvalidBody names the first rule that is broken; the cost grows with the body alone."""
    try:
        _validate(name, document)
    except ValueError:  # a lone surrogate, which JSON may hold
        try:
            text = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
            _validate(name, json.loads(text))
        except (ValueError, RecursionError) as error:
            raise NotReadable("JSON that is nested too deeply to be checked") from error


def _validate(name: str, document: Document) -> None:
    try:
        _validator(name).validate(document)
    except jsonschema_rs.ValidationError as broken:
        raise _invalid(name, document, broken) from None


@cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(dict(schemas()[name]))


def _invalid(
    dialect: str, document: Document, broken: jsonschema_rs.ValidationError
) -> InvalidBody:
    rule = broken.schema_path[-1]
    wanted: Any = _at(schemas()[dialect], broken.schema_path)
    found: Any = _at(document, broken.instance_path)
    path = "$" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in broken.instance_path
    )
    if rule == "required":
        missing = next(key for key in wanted if key not in found)
        return InvalidBody(dialect, f"{path}.{missing}", "is missing")
    if rule == "type":
        kinds = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return InvalidBody(dialect, path, f"is {_type(found)}, must be {kinds}")
    if rule == "minLength":
        return InvalidBody(dialect, path, "is empty")
    if rule == "enum":
        words = ", ".join(wanted)
        return InvalidBody(dialect, path, f"is {str(found)[:40]!r}, must be one of {words}")
    return InvalidBody(dialect, path, f"does not fit: {rule} {str(wanted)[:100]}")


def _at(document: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        document = document[part]
    return document


def _type(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _known() -> str:
    return "known are " + ", ".join(dialect.name for dialect in TABLE)
