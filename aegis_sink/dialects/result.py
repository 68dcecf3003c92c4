"""Result objects, alone, in lists and in watch events (facts/k8sgpt.md §2)."""

from typing import Any

from aegis_sink.dialects.errors import InvalidBody
from aegis_sink.dialects.text import ERROR_LIMIT, ERRORS_LIMIT, NAME_LIMIT, clean, clean_details
from aegis_sink.dialects.title import split_name
from aegis_sink.model import Finding, ResultRef

MESSAGE_LIMIT = 160
NAME_LABEL = "k8sgpts.k8sgpt.ai/name"


def parse_result(document: Any, cluster: str) -> tuple[Finding, ...]:
    """One Result: `{metadata, spec: {kind, name, error, details}}`."""
    return (result_finding(document, cluster, dialect="result"),)


def parse_result_list(document: Any, cluster: str) -> tuple[Finding, ...]:
    """A ResultList or a List; items of other kinds are passed over, unless there is nothing else."""
    items = document["items"] or ()
    results = [(n, i) for n, i in enumerate(items) if i.get("kind", "Result") == "Result"]
    if items and not results:
        raise InvalidBody("result_list", "$.items", "holds no Result")
    return tuple(
        result_finding(item, cluster, dialect="result_list", path=f"$.items[{number}]")
        for number, item in results
    )


def parse_watch_event(document: Any, cluster: str) -> tuple[Finding, ...]:
    """`{type, object}`: DELETED means the problem is gone, BOOKMARK means nothing."""
    kind, item = document["type"], document["object"]
    if kind == "BOOKMARK":
        return ()
    if kind == "ERROR":
        message = clean(str(item.get("message") or "no reason given"), MESSAGE_LIMIT)
        raise InvalidBody("watch_event", "$.type", f"is ERROR: the watch broke off ({message})")
    if item.get("kind", "Result") != "Result":
        raise InvalidBody("watch_event", "$.object.kind", "is not Result")
    return (
        result_finding(
            item, cluster, dialect="watch_event", path="$.object", gone=kind == "DELETED"
        ),
    )


def result_finding(
    item: Any, cluster: str, *, dialect: str, path: str = "$", gone: bool = False
) -> Finding:
    """One Result object → Finding."""
    metadata = item.get("metadata") or {}
    finding = spec_finding(item.get("spec"), cluster, dialect=dialect, path=f"{path}.spec")
    name = _text(metadata.get("name"))
    return Finding(
        cluster=cluster,
        object=finding.object,
        dialect=dialect,
        k8sgpt=_k8sgpt(metadata),
        container=finding.container,
        errors=finding.errors,
        details=finding.details,
        parent=finding.parent,
        result=ResultRef(
            _text(metadata.get("namespace")),
            name,
            _text(metadata.get("uid")),
            _text(metadata.get("resourceVersion")),
        )
        if name
        else None,
        gone=gone,
    )


def spec_finding(spec: Any, cluster: str, *, dialect: str, path: str) -> Finding:
    """`{kind, name, error, details, parentObject}`, a Result's spec or an entry of `results`."""
    if not isinstance(spec, dict):
        raise InvalidBody(dialect, path, "is missing or no object")
    kind, name = _text(spec.get("kind")).strip(), _text(spec.get("name")).strip()
    for key, value in (("kind", kind), ("name", name.strip("/"))):
        if not value:
            raise InvalidBody(dialect, f"{path}.{key}", "is missing or empty")
    if not all(name.removeprefix("/").split("/")):
        raise InvalidBody(dialect, f"{path}.name", "has nothing between or after its slashes")
    ref, container = split_name(kind, name)
    return Finding(
        cluster=cluster,
        object=ref,
        dialect=dialect,
        container=container,
        errors=error_texts(spec.get("error"), dialect=dialect, path=f"{path}.error"),
        details=clean_details(spec.get("details") or ""),
        parent=_text(spec.get("parentObject")),
    )


def error_texts(items: Any, *, dialect: str, path: str) -> tuple[str, ...]:
    """Strings or `{text}` objects, keys in any case (the CLI writes `Text`), null for none."""
    texts: list[str] = []
    for number, item in enumerate(items or ()):
        text = item if isinstance(item, str) else _any_case(item, "text")
        if not isinstance(text, str | None):
            raise InvalidBody(dialect, f"{path}[{number}].text", "is no text")
        if text and (text := clean(text, ERROR_LIMIT).strip()):
            texts.append(text)
    return tuple(texts[:ERRORS_LIMIT])


def _any_case(item: Any, key: str) -> object:
    if key in item:
        return item[key]
    return next((value for name, value in item.items() if name.lower() == key), None)


def _k8sgpt(metadata: Any) -> str:
    labels = metadata.get("labels") or {}
    if name := _text(labels.get(NAME_LABEL)):
        return name
    owners = metadata.get("ownerReferences") or ()
    return next((_text(o.get("name")) for o in owners if o.get("kind") == "K8sGPT"), "")


def _text(value: object) -> str:
    return clean(value, NAME_LIMIT) if isinstance(value, str) else ""
