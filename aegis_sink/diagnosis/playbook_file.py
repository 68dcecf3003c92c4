"""A playbook's YAML, read into a `Playbook`. Faults are told with file, line, path and reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator

from aegis_sink.diagnosis.conditions import (
    AllOf,
    AnyOf,
    Condition,
    FieldIs,
    LogSays,
    NoneOf,
    Says,
    Threshold,
    fields_of,
    topics_of,
)
from aegis_sink.diagnosis.filling import FILTERS, names_in
from aegis_sink.diagnosis.playbook import (
    Cause,
    Example,
    FixPlan,
    Playbook,
    PlaybookError,
    Weighed,
    Weight,
)
from aegis_sink.diagnosis.quantities import parse_quantity
from aegis_sink.model import FixAction, Risk
from aegis_sink.model.facts import TOPICS, field_names

SIMPLE_NAMES = frozenset({"subject", "object", "namespace", "name"})
"""What a template may always say, besides fields and named groups of its own conditions."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: the playbooks are read at every start."""


@lru_cache(maxsize=64)  # some commands read the built-in ones more than once, 20 ms a file
def read_playbook(text: str, source: str) -> Playbook:
    """Parse one file. Raises PlaybookError with every fault found."""
    try:
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 -- a safe loader
    except yaml.YAMLError as error:
        raise PlaybookError((f"{source}: not YAML: {error}",)) from error
    errors = list(_validator().iter_errors(document))
    if errors:
        lines = _Lines(text)
        raise PlaybookError(
            tuple(
                f"{source}:{lines.of(e.absolute_path)}: {_path(e.absolute_path)}: {_reason(e)}"
                for e in errors
            )
        )
    try:
        playbook = _playbook(document, source)
    except re.error as error:
        raise PlaybookError((f"{source}: a regular expression is wrong: {error}",)) from error
    problems = tuple(f"{source}: {problem}" for problem in _name_problems(playbook))
    if problems:
        raise PlaybookError(problems)
    return playbook


def relation_problems(playbooks: Sequence[Playbook]) -> tuple[str, ...]:
    """Faults between playbooks: ids given twice, relations to causes that do not exist."""
    causes = [(p, c) for p in playbooks for c in p.causes]
    counts = Counter(c.id for _, c in causes)
    problems = [
        f"{p.source}: cause {c.id}: this id is used {counts[c.id]} times; give each its own"
        for p, c in causes
        if counts[c.id] > 1
    ]
    for playbook, cause in causes:
        own = {c.id for c in playbook.causes}
        if cause.part_of and cause.part_of not in own:
            problems.append(
                f"{playbook.source}: cause {cause.id}: part_of {cause.part_of!r} is no cause of "
                "this playbook"
            )
        problems.extend(
            f"{playbook.source}: cause {cause.id}: outranks {other!r}, which no playbook has"
            for other in cause.outranks
            if other not in counts
        )
    return tuple(problems)


class _Lines:
    """Line numbers of a YAML document's paths."""

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(text, Loader=_LOADER)

    def of(self, path: Iterable[str | int]) -> int:
        node = self._root
        for step in path:
            below = _below(node, step)
            if below is None:
                break
            node = below
        return int(node.start_mark.line) + 1 if node is not None else 1


def _below(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return cast("yaml.Node", node.value[step])
    return None


def _path(path: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)


def _reason(error: Any) -> str:
    if error.validator == "oneOf" and isinstance(error.instance, Mapping):
        return f"is none of the known forms, or two at once (it has: {', '.join(error.instance)})"
    return str(error.message)[:300]


@cache
def _validator() -> Draft202012Validator:
    text = (files("aegis_sink.diagnosis") / "playbook.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _playbook(document: Mapping[str, Any], source: str) -> Playbook:
    return Playbook(
        id=document["id"],
        title=document["title"],
        when=_condition(document["when"]),
        causes=tuple(
            _cause({"runbook": document.get("runbook", ""), **cause})
            for cause in document["causes"]
        ),
        examples=tuple(_example(example) for example in document.get("examples", ())),
        source=source,
    )


def _cause(raw: Mapping[str, Any]) -> Cause:
    cause = _read_cause(raw)
    return replace(cause, topics=_topics(cause))


def _topics(cause: Cause) -> frozenset[str]:
    weighed = (*cause.speaks_for, *cause.speaks_against)
    conditions = [w.condition for w in weighed] + ([cause.certain] if cause.certain else [])
    named = (name for text in cause.root_cause for name, _ in names_in(text) if "." in name)
    said = frozenset(name.partition(".")[0] for name in named)
    return said.union(*(topics_of(condition) for condition in conditions))


def _read_cause(raw: Mapping[str, Any]) -> Cause:
    return Cause(
        id=raw["id"],
        title=raw["title"],
        root_cause=tuple(raw["root_cause"]),
        part_of=raw.get("part_of", ""),
        open=raw.get("open", False),
        harmless=raw.get("harmless", False),
        general=raw.get("general", False),
        certain=_condition(raw["certain"]) if "certain" in raw else None,
        speaks_for=tuple(w for item in raw.get("for", ()) for w in _weighed(item)),
        speaks_against=tuple(w for item in raw.get("against", ()) for w in _weighed(item)),
        outranks=tuple(raw.get("outranks", ())),
        missing=tuple(raw.get("missing", ())),
        fixes=tuple(_fix(fix) for fix in raw.get("fixes", ())),
        runbook=raw["runbook"],
    )


def _weighed(raw: Mapping[str, Any]) -> Iterator[Weighed]:
    for name, condition in raw.items():
        if name != "why":
            yield Weighed(_condition(condition), Weight[name.upper()], raw.get("why", ""))


def _fix(raw: Mapping[str, Any]) -> FixPlan:
    target = raw.get("target", "subject")
    return FixPlan(
        title=raw["title"],
        action=FixAction(raw["action"]),
        risk=Risk(raw.get("risk", "none")),
        target=target if isinstance(target, str) else f"{target['kind']}/{target['name']}",
        condition=_condition(raw["if"]) if "if" in raw else None,
        parameters=raw.get("with", {}),
        patch=raw.get("patch"),
    )


def _example(raw: Mapping[str, Any]) -> Example:
    return Example(
        expect=raw["expect"],
        kind=raw.get("kind", "Pod"),
        errors=tuple(raw.get("errors", ())),
        facts=tuple(raw.get("facts", ())),
        verdict=raw.get("verdict", ""),
    )


def _condition(raw: Mapping[str, Any]) -> Condition:
    if "errors" in raw:
        return Says(_regex(raw["errors"]), ("errors",))
    if "says" in raw:
        return Says(_regex(raw["says"]), tuple(raw["in"]))
    if "log" in raw:
        return LogSays(_regex(raw["log"]))
    if "all" in raw:
        return AllOf(tuple(_condition(part) for part in raw["all"]))
    if "any" in raw:
        return AnyOf(tuple(_condition(part) for part in raw["any"]))
    if "none" in raw:
        return NoneOf(tuple(_condition(part) for part in raw["none"]))
    return FieldIs(
        field=raw["field"],
        key=raw.get("key", ""),
        one_of=(raw["is"],) if "is" in raw else tuple(raw.get("in", ())),
        matches=_regex(raw["matches"]) if "matches" in raw else None,
        contains=raw.get("contains", ""),
        above=_threshold(raw.get("above")),
        below=_threshold(raw.get("below")),
        absent_from=raw.get("absent_from", ""),
        known=raw.get("known"),
        empty=raw.get("empty"),
    )


def _regex(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _threshold(raw: Any) -> Threshold | None:
    if raw is None:
        return None
    if isinstance(raw, Mapping):
        return Threshold(field=raw["field"], times=raw.get("times", 1.0))
    if isinstance(raw, str):
        return Threshold(number=parse_quantity(raw))
    return Threshold(number=float(raw))


def _conditions_of(cause: Cause) -> Iterator[Condition]:
    if cause.certain is not None:
        yield cause.certain
    yield from (w.condition for w in (*cause.speaks_for, *cause.speaks_against))
    yield from (fix.condition for fix in cause.fixes if fix.condition is not None)


def _groups(condition: Condition) -> frozenset[str]:
    match condition:
        case Says(pattern=pattern) | LogSays(pattern=pattern):
            return frozenset(pattern.groupindex)
        case FieldIs(matches=matches):
            return frozenset(matches.groupindex) if matches else frozenset()
        case AllOf(parts) | AnyOf(parts) | NoneOf(parts):
            return frozenset().union(*(_groups(part) for part in parts))


def _name_problems(playbook: Playbook) -> Iterator[str]:
    known = field_names()
    for name in sorted(fields_of(playbook.when) - known):
        yield f"when: there is no field {name!r}"
    for cause in playbook.causes:
        conditions = [playbook.when, *_conditions_of(cause)]
        asked: frozenset[str] = frozenset().union(*(fields_of(c) for c in conditions))
        for name in sorted(asked - known):
            yield f"cause {cause.id}: there is no field {name!r}"
        allowed = known | SIMPLE_NAMES | frozenset().union(*(_groups(c) for c in conditions))
        for template in _templates(cause):
            for name, filters in names_in(template):
                if name not in allowed:
                    yield f"cause {cause.id}: the template {template!r} names unknown {name!r}"
                for unknown in [f for f in filters if f not in FILTERS]:
                    yield f"cause {cause.id}: there is no filter {unknown!r} ({template!r})"
        if not _reachable(cause):
            yield (
                f"cause {cause.id}: nothing can lead to it; give it certain, or for with more than "
                "one weak condition, or open: true"
            )
        if any(name not in SIMPLE_NAMES for name, _ in names_in(cause.root_cause[-1])):
            yield (
                f"cause {cause.id}: its last root_cause must do without values, for when "
                "they are not known"
            )
    for example in playbook.examples:
        for topic in (t for fact in example.facts for t in fact):
            if topic not in TOPICS:
                yield f"example for {example.expect}: there is no topic {topic!r}"


def _reachable(cause: Cause) -> bool:
    most = sum(w.weight for w in cause.speaks_for)
    return cause.open or cause.certain is not None or most >= Weight.MEDIUM


def _templates(cause: Cause) -> Iterator[str]:
    yield from cause.root_cause
    yield from cause.missing
    for weighed in cause.speaks_against:
        yield weighed.why
    for fix in cause.fixes:
        yield fix.title
        yield fix.target
        yield from (fix.parameters or {}).values()
        yield from strings_in(fix.patch)


def strings_in(value: object) -> Iterator[str]:
    """Every string inside a structure, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strings_in(key)
            yield from strings_in(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from strings_in(item)
