"""Bytes or text → plain JSON values, hardened against what a parser should not be fed."""

import codecs
import json
import re
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from aegis_sink.dialects.errors import NotReadable

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment]


# Far beyond any Result; libyaml's time grows with the square of the depth.
YAML_DEPTH_LIMIT = 100
# For one request: YAML takes some 10 µs a value, and 2 MiB of Results hold a third of these.
YAML_EVENTS_LIMIT = 200_000

_OTHER_FORMS = {
    b"\x1f\x8b": "compressed with gzip; send it uncompressed",
    codecs.BOM_UTF16_LE: "UTF-16, as PowerShell writes files; send it as UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16; send it as UTF-8",
}
_GAP = re.compile(r"\s*(?:---(?!\S)\s*)*")  # `---`: YAML whose documents are JSON


def parse(body: bytes, *, allow_yaml: bool) -> object:
    """One document; NotReadable says where it breaks."""
    if not body.strip():
        raise NotReadable("the body is empty")
    text = decode(body)
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError) as error:
        if not allow_yaml:
            raise NotReadable(f"not JSON: {_why(error)}") from error
    documents = list(_yaml_documents(text, YAML_EVENTS_LIMIT))
    if not documents:
        raise NotReadable("there is nothing in it but comments and marks")
    if len(documents) > 1:
        raise NotReadable(f"{len(documents)} YAML documents; send one at a time")
    return documents[0]


def parse_stream(text: str) -> Iterator[object]:
    """Every document of a JSON file, a stream of them (NDJSON, or with `---` between), or YAML."""
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
        gap = _GAP.match(start, end)
        position = gap.end() if gap else end


class _PlainLoader(SafeLoader):
    """YAML that stands for JSON: keys are text, numbers are JSON's, and all else is text.

    YAML 1.1 would make a timestamp of `2026-03-01T10:21:07Z` and a number of `1:59:59`, whose cost
    grows with the square of its length; number keys can be chosen to collide in a dict.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key that is no text", key.start_mark
                )
            key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: kept
    for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
    if (kept := [one for one in resolvers if one[0].endswith((":null", ":bool"))])
}
for _tag, _form in (
    ("int", r"-?(?:0|[1-9][0-9]*)"),
    ("float", r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"),
):
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"{_form}\Z"), list("-0123456789")
    )


def _yaml_documents(text: str, limit: int = sys.maxsize) -> Iterator[object]:
    try:
        _refuse_hostile(text, limit)
        for document in yaml.load_all(text, Loader=_PlainLoader):
            if document is not None:
                json.dumps(document, allow_nan=False)
                yield document
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotReadable(f"neither JSON nor YAML: {_why(error)}") from error


def _refuse_hostile(text: str, limit: int) -> None:
    """What no dialect needs and what a parser can be hurt with."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=SafeLoader)):
        # A few anchors that name each other can stand for terabytes.
        if isinstance(event, yaml.AliasEvent):
            raise NotReadable("YAML aliases (*name) are not accepted; write the value out")
        # `!!bool maybe` breaks PyYAML's constructors with KeyError, IndexError and the like.
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) is not None:
            raise NotReadable("YAML tags (!name) are not accepted; write the plain value")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > YAML_DEPTH_LIMIT:
            raise NotReadable(f"YAML nested deeper than {YAML_DEPTH_LIMIT}; send JSON")
        if number > limit:
            raise NotReadable(f"YAML of more than {limit} values; send JSON")


def _flow_style(text: str) -> list[object]:
    """YAML may begin with a brace too; [] when it is no YAML either."""
    try:
        return list(_yaml_documents(text))
    except NotReadable:
        return []


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def decode(body: bytes) -> str:
    """UTF-8 with or without its mark; NotReadable says what else it is."""
    try:
        return body.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        known = (what for mark, what in _OTHER_FORMS.items() if body.startswith(mark))
        raise NotReadable(next(known, f"not UTF-8 at byte {error.start}")) from error


def _why(error: BaseException) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno} column {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, yaml.reader.ReaderError):
        return f"{error.reason} at character {error.position}"
    if "integer string conversion" in str(error):
        return "a number of more than 4300 digits"
    mark: Any = getattr(error, "problem_mark", None)
    if mark is not None:
        problem = getattr(error, "problem", None) or "cannot be read"
        return f"{str(problem)[:200]} at line {mark.line + 1} column {mark.column + 1}"
    return str(error)[:200]
