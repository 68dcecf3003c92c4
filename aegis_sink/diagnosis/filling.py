"""Templates of playbooks: "{container.memory_limit|memory}" filled from a view.

A value that is not known makes the template unusable (`fill` returns None) or, where a person has
to decide, becomes a placeholder in angle brackets (`fill_or_ask`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aegis_sink.diagnosis.cleaning import clean
from aegis_sink.diagnosis.quantities import cpu, duration, memory

if TYPE_CHECKING:
    from aegis_sink.diagnosis.observations import Value, View

_NAME = re.compile(r"\{([a-z_]+(?:\.[a-z_]+)?)((?:\|[a-z_]+)*)\}")
_LONGEST_VALUE = 200
_ANGLES = str.maketrans("<>", "‹›")
_PING = re.compile(r"@(here|channel|everyone)\b", re.IGNORECASE)


def _number(value: Value, render: Callable[[int], str]) -> str:
    return render(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _items(value: Value) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    if isinstance(value, Mapping):
        return tuple(f"{k}={v}" for k, v in value.items())
    return () if value is None or value == "" else (str(value),)


FILTERS: Mapping[str, Callable[[Value], str]] = {
    "memory": lambda v: _number(v, memory),
    "half_more_memory": lambda v: _number(v, lambda n: memory(-(-n * 3 // 2 // 2**20) * 2**20)),
    "double_memory": lambda v: _number(v, lambda n: memory(n * 2)),
    "cpu": lambda v: _number(v, cpu),
    "duration": lambda v: _number(v, duration),
    "first": lambda v: next(iter(_items(v)), ""),
    "last": lambda v: next(reversed(_items(v)), ""),
    "bare": lambda v: next(iter(_items(v)), "").rpartition("/")[2],
    "label_key": lambda v: next(iter(_items(v)), "").partition("=")[0],
    "label_value": lambda v: next(iter(_items(v)), "").partition("=")[2],
}


@dataclass(frozen=True, slots=True)
class Values:
    """What a template may name: fields of a view, captures, and a few simple words."""

    view: View
    words: Mapping[str, str]

    def get(self, name: str, filters: tuple[str, ...]) -> str:
        """The text of a value, "" when it is not known."""
        value: Value = None
        if name in self.words:
            value = self.words[name]
        elif "." in name:
            known = (v for _, v in self.view.values(name))
            value = next((v for v in known if v not in (None, "", ())), None)
        for item in filters:
            value = FILTERS[item](value)
        return _shown(", ".join(_items(value)))


def fill(template: str, values: Values) -> str | None:
    """The filled template; None when a value in it is not known."""
    filled, asked = _fill(template, values)
    return None if asked else filled


def fill_or_ask(template: str, values: Values) -> tuple[str, bool]:
    """The filled template, with `<name>` for what is not known, and whether there was any."""
    return _fill(template, values)


def names_in(template: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, filters) for each value a template asks."""
    for found in _NAME.finditer(template):
        yield found[1], tuple(f for f in found[2].split("|") if f)


def _fill(template: str, values: Values) -> tuple[str, bool]:
    asked = bool(re.search(r"<[a-z][a-z -]*>", template))

    def replace(found: re.Match[str]) -> str:
        nonlocal asked
        text = values.get(found[1], tuple(f for f in found[2].split("|") if f))
        if not text:
            asked = True
            return f"<{found[1].rpartition('.')[2].replace('_', '-')}>"
        return text

    return _NAME.sub(replace, template), asked


def _shown(text: str) -> str:
    """On one line, short, and without what Slack would take for a mention or a link."""
    text = " ".join(clean(text).split()).translate(_ANGLES)
    text = _PING.sub(r"@ \1", text)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
