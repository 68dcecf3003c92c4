"""Conditions: what a playbook asks of the facts, with three answers: yes, no, not known.

A condition is evaluated in a `View` of the observations. "Not known" is kept apart from "no",
because what is not known is what a person has to look at next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from aegis_sink.diagnosis.quantities import parse_quantity

if TYPE_CHECKING:
    from aegis_sink.diagnosis.observations import Value, View


@dataclass(frozen=True, slots=True)
class Held:
    """The answer to a condition: `truth` None is "not known".

    `cites` are ids of the evidence that decided it, () when K8sGPT's texts alone did.
    `captures` are the named groups of the regular expressions that matched.
    """

    truth: bool | None
    cites: tuple[str, ...] = ()
    captures: Mapping[str, str] = field(default_factory=dict)
    mild: bool = False
    """Only lines of a log decided it which the program itself does not call an error."""


UNKNOWN = Held(None)

_MILD = re.compile(
    r"\b(?:WARN(?:ING)?|INFO|NOTICE|DEBUG|TRACE)\b|\b(?:lvl|level|severity)[\"']?\s?[:=]\s?[\"']?(?:warn|info|debug)"
    r"|^[IW]\d{4} |\b(?:ignoring|ignored|disabled|skipping|non-fatal|(?:will|going to) retry|retrying|falling back)\b"
)
_GRAVE = re.compile(r"\b(?:ERROR|FATAL|CRITICAL|PANIC|SEVERE)\b|panic:")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number, or another field times a factor."""

    number: float | None = None
    field: str = ""
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class FieldIs:
    """One field against one operator. Exactly one of the operators is set."""

    field: str
    key: str = ""
    one_of: tuple[str | int | bool, ...] = ()
    matches: re.Pattern[str] | None = None
    contains: str = ""
    above: Threshold | None = None
    below: Threshold | None = None
    absent_from: str = ""
    known: bool | None = None
    empty: bool | None = None


@dataclass(frozen=True, slots=True)
class Says:
    """A text, in any of the named places: "errors" are K8sGPT's texts, the others are fields."""

    pattern: re.Pattern[str]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogSays:
    """A line of the log of the container in focus."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of them."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of them."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Not one of them is known to hold: what is not known does not stand in the way."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = FieldIs | Says | LogSays | AllOf | AnyOf | NoneOf


def holds(condition: Condition, view: View) -> Held:
    """Evaluate a condition."""
    match condition:
        case FieldIs():
            return _field(condition, view)
        case Says():
            return _says(condition, view)
        case LogSays():
            return _log(condition, view)
        case AllOf(parts):
            return _all([holds(part, view) for part in parts])
        case AnyOf(parts):
            return _any([holds(part, view) for part in parts])
        case NoneOf(parts):
            held = _any([holds(part, view) for part in parts])
            return Held(not held.truth, held.cites)


@lru_cache(maxsize=4096)
def topics_of(condition: Condition) -> frozenset[str]:
    """The topics a condition asks, to know which things it has to be tried on one by one."""
    return frozenset(name.partition(".")[0] for name in fields_of(condition) if "." in name)


def fields_of(condition: Condition) -> frozenset[str]:
    """The fields a condition asks, "topic.field" each."""
    match condition:
        case FieldIs():
            others = [t.field for t in (condition.above, condition.below) if t and t.field]
            absent = [condition.absent_from] if condition.absent_from else []
            return frozenset([condition.field, *others, *absent])
        case Says():
            return frozenset(place for place in condition.places if place != "errors")
        case LogSays():
            return frozenset(["log.error_lines"])
        case AllOf(parts) | AnyOf(parts) | NoneOf(parts):
            return frozenset().union(*(fields_of(part) for part in parts))


def _field(condition: FieldIs, view: View) -> Held:
    held = _decide(
        (identity, _compare(condition, value, view))
        for identity, value in view.values(condition.field)
    )
    if condition.known is False and held.truth is None:
        return Held(True)  # nothing speaks of the topic at all
    return held


def _says(condition: Says, view: View) -> Held:
    answers: list[Held] = []
    for place in condition.places:
        sources: Iterable[tuple[str, Value]] = (
            [("", view.errors)] if place == "errors" else view.values(place)
        )
        answers.append(
            _decide((identity, _match(condition.pattern, value)) for identity, value in sources)
        )
    return _any(answers)


def _log(condition: LogSays, view: View) -> Held:
    return _decide(
        (identity, _match_lines(condition.pattern, lines)) for identity, lines in view.log_lines()
    )


def _match_lines(pattern: re.Pattern[str], lines: tuple[str, ...]) -> Held:
    grave = _match(pattern, tuple(line for line in lines if not is_mild(line)))
    return grave if grave.truth else replace(_match(pattern, lines), mild=True)


def is_mild(line: str) -> bool:
    """Does the program itself say that this line is no error, or that it goes on after it?

    By the words of the usual loggers: WARN, level=info, {"level":"debug"}, klog's "W0512 …".
    """
    return _MILD.search(line) is not None and _GRAVE.search(line) is None


def _decide(answers: Iterable[tuple[str, Held]]) -> Held:
    """Any instance that says yes decides; else any that says no."""
    yes: list[Held] = []
    no: list[Held] = []
    for identity, held in answers:
        if held.truth is None:
            continue
        cited = replace(held, cites=(identity,) if identity else ())
        (yes if held.truth else no).append(cited)
    decided = yes or no
    return _joined(bool(yes), decided) if decided else UNKNOWN


def _all(answers: list[Held]) -> Held:
    if any(a.truth is False for a in answers):
        return _joined(False, [a for a in answers if a.truth is False])
    if any(a.truth is None for a in answers):
        return UNKNOWN
    return _joined(True, answers)


def _any(answers: list[Held]) -> Held:
    if any(a.truth for a in answers):
        return _joined(True, [a for a in answers if a.truth])
    if any(a.truth is None for a in answers):
        return UNKNOWN
    return _joined(False, answers)


def _joined(truth: bool, answers: list[Held]) -> Held:
    cites = tuple(dict.fromkeys(i for a in answers for i in a.cites))
    captures: dict[str, str] = {}
    for answer in answers:
        for name, value in answer.captures.items():
            captures.setdefault(name, value)
    return Held(truth, cites, captures, any(a.mild for a in answers))


def _compare(condition: FieldIs, value: Value, view: View) -> Held:
    if condition.known is not None:
        return Held(_is_filled(value) is condition.known)
    if value is None:
        return UNKNOWN
    if condition.key:
        if not isinstance(value, Mapping):
            return UNKNOWN
        value = value.get(condition.key, "")
    if condition.empty is not None:
        return Held((not _is_filled(value)) is condition.empty)
    if condition.one_of:
        items = value if isinstance(value, tuple) else (value,)
        return Held(any(item in condition.one_of for item in items))
    if condition.contains:
        return Held(_contains(value, condition.contains))
    if condition.matches is not None:
        return _match(condition.matches, value)
    if condition.absent_from:
        return _absent(value, condition.absent_from, view)
    return _number(condition, value, view)


def _absent(value: Value, other: str, view: View) -> Held:
    """Is an item of the value a word of no item of the other field? Unknown while one is empty."""
    there = [text for _, v in view.values(other) if v is not None for text in _texts(v)]
    items = _texts(value) if value is not None else ()
    if not there or not items:
        return UNKNOWN
    return Held(
        any(not any(re.search(rf"\b{re.escape(i)}\b", text) for text in there) for i in items)
    )


def _is_filled(value: Value) -> bool:
    return value is not None and value != "" and value != () and value != {}


def _contains(value: Value, wanted: str) -> bool:
    if isinstance(value, str):
        return wanted in value
    if isinstance(value, tuple | Mapping):
        return wanted in value
    return False


def _match(pattern: re.Pattern[str], value: Value) -> Held:
    if value is None:
        return UNKNOWN
    for text in _texts(value):
        found = pattern.search(text)
        if found is not None:
            groups = {k: v for k, v in found.groupdict().items() if v is not None}
            return Held(True, captures=groups)
    return Held(False)


def _texts(value: Value) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    if isinstance(value, Mapping):
        return tuple(f"{k}={v}" for k, v in value.items())
    return (str(value),)


def _number(condition: FieldIs, value: Value, view: View) -> Held:
    number = _as_number(value)
    threshold = condition.above or condition.below
    if number is None or threshold is None:
        return UNKNOWN
    limits = [threshold.number]
    if threshold.field:
        limits = [_as_number(v) for _, v in view.values(threshold.field)]
    for limit in limits:
        if limit is not None:
            edge = limit * threshold.times
            return Held(number > edge if condition.above else number < edge)
    return UNKNOWN


def _as_number(value: Value) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return float(value)
    if isinstance(value, str) and value:
        try:
            return parse_quantity(value)
        except ValueError:
            return None
    return None
