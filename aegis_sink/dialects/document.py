"""Bytes or text → plain JSON values, hardened against what a parser should not be fed."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from aegis_sink.dialects.errors import NotReadable

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment]


def parse(body: bytes, *, allow_yaml: bool) -> object:
    """One document; NotReadable says where it breaks."""
    if not body.strip():
        raise NotReadable("the body is empty")
    text = _decode(body)
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError) as error:
        if not allow_yaml:
            raise NotReadable(f"not JSON: {_why(error)}") from error
    documents = list(_yaml_documents(text))
    if len(documents) != 1:
        raise NotReadable(f"{len(documents)} YAML documents; send one at a time")
    return documents[0]


def parse_stream(text: str) -> Iterator[object]:
    """Every document of a JSON file, a stream of JSON documents (NDJSON), or a YAML file."""
    start = text.lstrip("\ufeff \t\r\n")
    if not start:
        raise NotReadable("there is nothing in it")
    if start[0] not in "{[":
        yield from _yaml_documents(text)
        return
    position = 0
    while position < len(start):
        try:
            document, end = _decoder.raw_decode(start, position)
        except (ValueError, RecursionError) as error:
            if position == 0 and (documents := _flow_style(text)):
                yield from documents
                return
            raise NotReadable(f"not JSON: {_why(error)}") from error
        yield document
        position = len(start) - len(start[end:].lstrip())


class _PlainLoader(SafeLoader):
    """YAML without timestamps: `2026-03-01T10:21:07Z` stays the text that Kubernetes wrote."""


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
}


def _yaml_documents(text: str) -> Iterator[object]:
    try:
        # A few anchors that name each other can stand for terabytes; no dialect needs them.
        for event in yaml.parse(text, Loader=SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise NotReadable("YAML aliases (*name) are not accepted; write the value out")
        for document in yaml.load_all(text, Loader=_PlainLoader):
            if document is not None:
                json.dumps(document, allow_nan=False)
                yield document
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise NotReadable(f"neither JSON nor YAML: {_why(error)}") from error


def _flow_style(text: str) -> list[object]:
    """YAML may begin with a brace too; [] when it is no YAML either."""
    try:
        return list(_yaml_documents(text))
    except NotReadable:
        return []


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotReadable(f"not UTF-8 at byte {error.start}") from error


def _why(error: BaseException) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno} column {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    mark: Any = getattr(error, "problem_mark", None)
    if mark is not None:
        problem = getattr(error, "problem", None) or "cannot be read"
        return f"{problem} at line {mark.line + 1} column {mark.column + 1}"
    return str(error)[:200]
