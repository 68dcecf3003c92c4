"""A pod template as flat lines, so that two of them can be compared by a person (pure)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from aegis_sink.cluster.collectors.container import flags
from aegis_sink.cluster.document import Document

LONGEST_VALUE = 200
_LEAD = 40
"""Of what two long values have in common, so much is shown before they part."""

# Written by controllers, the same or meaningless in every revision.
_NOISE = ("metadata.labels[pod-template-hash]", "metadata.creationTimestamp")
_LISTS_OF_WORDS = ("command", "args")

# A value of an environment variable is shown only when its name says that it is no secret, or its
# form does. All others are only said to have changed: the name of a secret need not tell that it is one.
_PLAIN_NAME = re.compile(
    r"(?:.*_)?(?:HOST|HOSTNAME|PORT|ADDR|ADDRESS|ENDPOINT|LEVEL|MODE|ENV|ENVIRONMENT|REGION|ZONE"
    r"|NAMESPACE|TIMEOUT|THREADS|WORKERS|VERSION|ENABLED|DEBUG|NAME|PATH|DIR|TZ|LANG)",
    re.I,
)
_PLAIN_VALUE = re.compile(
    r"true|false|yes|no|on|off|-?\d{1,9}(?:\.\d{1,6})?(?:[a-zA-Z]{1,2})?", re.I
)


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: its path, and a line a person can read."""

    path: str
    line: str


@dataclass(frozen=True, slots=True)
class Template:
    """Path → value. Environment values that may be secret are told apart but never shown."""

    values: Mapping[str, str]
    hidden: frozenset[str]
    images: Mapping[str, str]

    def changes_since(self, before: "Template", redact: Callable[[str], str]) -> list[Change]:
        """What differs, by path. Each value is redacted by its own name, and only then cut: the
        new one stands far from the name, and half a URL does not show that it holds a password.
        """
        changes = []
        for path in sorted(self.values.keys() | before.values.keys()):
            old, new = before.values.get(path), self.values.get(path)
            if old == new:
                continue
            hidden = path in self.hidden or path in before.hidden
            old, new = (v and _told(path, v, redact) for v in (old, new))
            changes.append(Change(path, _line(path, old, new, hidden=hidden or old == new)))
        return changes


def template(spec: Document) -> Template:
    """The template's fields by path: `containers[api].resources.limits.memory`."""
    values: dict[str, str] = {}
    hidden: set[str] = set()
    for path, value in _flat(spec, ""):
        short = path.removeprefix("spec.")
        if short in _NOISE or not value:
            continue
        values[short] = value
        name = short.rpartition(".env[")[2].partition("]")[0] if ".env[" in short else ""
        if name and short.endswith("]") and not is_plain(name, value):
            hidden.add(short)
    images = {
        c.text("name"): c.text("image")
        for which in ("initContainers", "containers")
        for c in spec.items("spec", which)
    }
    return Template(values, frozenset(hidden), images)


def is_plain(name: str, value: str) -> bool:
    """May the value of this environment variable be shown? Redaction still looks at it."""
    return bool(_PLAIN_NAME.fullmatch(name) or _PLAIN_VALUE.fullmatch(value))


def _line(path: str, old: str | None, new: str | None, *, hidden: bool) -> str:
    if old is None:
        return f"+ {path}" if hidden else f"+ {path}: {_short(new or '')}"
    if new is None:
        return f"- {path}" if hidden else f"- {path}: {_short(old)}"
    if hidden:
        return f"~ {path}: changed"
    start = 0
    if max(len(old), len(new)) > LONGEST_VALUE:
        both = zip(old, new, strict=False)
        same = next((i for i, (a, b) in enumerate(both) if a != b), min(len(old), len(new)))
        start = max(0, same - _LEAD)
    return f"~ {path}: {_short(old, start)} → {_short(new, start)}"


def _told(path: str, value: str, redact: Callable[[str], str]) -> str:
    """The value without secrets, also where only the last name of its path tells that it is one."""
    name = path.rpartition("[")[2].rstrip("]") if path.endswith("]") else path.rpartition(".")[2]
    return redact(f"{name}: {value}").removeprefix(f"{name}: ")


def _short(text: str, start: int = 0) -> str:
    """So much of the text from where it gets interesting."""
    part = text[start : start + LONGEST_VALUE]
    return f"{'…' if start else ''}{part}{'…' if start + len(part) < len(text) else ''}"


def _flat(document: Document, path: str) -> Iterator[tuple[str, str]]:
    for name, value in document.members():
        at = f"{path}.{name}" if path else name
        if name in ("labels", "annotations", "nodeSelector"):
            for key, text in value.mapping().items():
                yield f"{at}[{key}]", text
        elif name in _LISTS_OF_WORDS:
            yield at, " ".join(flags(value.texts()))
        elif value.items():
            yield from _flat_list(value, at, env=name == "env")
        elif value.names():
            yield from _flat(value, at)
        else:
            yield at, value.text()


def _flat_list(value: Document, path: str, *, env: bool) -> Iterator[tuple[str, str]]:
    for index, item in enumerate(value.items()):
        if not item.names():
            yield f"{path}[{index}]", item.text()
            continue
        at = f"{path}[{item.text('name') or index}]"
        if (env and not item.has("valueFrom")) or item.names() == ("name", "value"):
            yield at, item.text("value") or "(empty)"
            continue
        for inner, text in _flat(item, at):
            if inner != f"{at}.name":
                yield inner, text
