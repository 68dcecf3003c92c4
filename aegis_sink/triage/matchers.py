"""Matchers in Alertmanager's syntax: `namespace="dev", kind=~"Pod|Job", name!~"test-.*"`.

Several are joined by commas and must all fit; braces around them are allowed. A value is quoted,
with `\\"`, `\\\\` and `\\n` as its escapes, or bare when it has neither spaces nor any of ``{}!=~,\\"'` ``.
Regular expressions are RE2's, as Alertmanager's are, and must fit the whole value: no pattern that
a person types can take more than linear time.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import re2

from aegis_sink.model import Incident

LABELS = ("cluster", "namespace", "kind", "name", "severity", "failure_class", "fingerprint")
TEXT_CHARACTERS = 2000
_REGEX_BYTES = 1 << 20
_RESERVED = frozenset("{}!=~,\\\"'`")
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n"}


class MatcherError(ValueError):
    """The text is not a list of matchers. `position` is 1 for the first character."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(f"character {position}: {what}")
        self.position = position


class Operator(StrEnum):
    """How a label is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of one label. A label that is not there counts as ""."""

    name: str
    operator: Operator
    value: str

    def fits(self, label: str) -> bool:
        """Whether the label's value is one this matcher asks for."""
        match self.operator:
            case Operator.EQUAL:
                return label == self.value
            case Operator.NOT_EQUAL:
                return label != self.value
            case Operator.REGEX:
                return _whole(self.value, label)
            case Operator.NOT_REGEX:
                return not _whole(self.value, label)

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.operator}"{value}"'


def parse(text: str) -> tuple[Matcher, ...]:
    """At least one matcher, or MatcherError which says where and what."""
    if len(text) > TEXT_CHARACTERS:
        raise MatcherError(TEXT_CHARACTERS + 1, f"more than {TEXT_CHARACTERS} characters")
    return _Reader(text).matchers()


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether all of them fit."""
    return all(matcher.fits(labels.get(matcher.name, "")) for matcher in matchers)


def labels(incident: Incident) -> Mapping[str, str]:
    """What matchers can ask of an incident: `LABELS`. Kind, namespace and name are the subject's."""
    subject = incident.subject
    return {
        "cluster": incident.cluster,
        "namespace": subject.namespace,
        "kind": subject.kind,
        "name": subject.name,
        "severity": incident.severity,
        "failure_class": incident.failure_class,
        "fingerprint": incident.fingerprint,
    }


def _whole(pattern: str, value: str) -> bool:
    return _compiled(pattern)(value) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Callable[[str], object]:
    """The function that gives a match or None."""
    options = re2.Options()
    options.max_mem = _REGEX_BYTES
    options.log_errors = False
    options.dot_nl = True
    whole: Callable[[str], object] = re2.compile(pattern, options).fullmatch
    return whole


class _Reader:
    """Reads from left to right; `at` is the index of the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def matchers(self) -> tuple[Matcher, ...]:
        found: list[Matcher] = []
        braced = self._take("{")
        while not self._ended(braced):
            found.append(self._matcher())
            if not self._take(","):
                break
        if braced and not self._take("}"):
            raise self._error("a comma or the closing } is missing here")
        self._space()
        if self.at < len(self.text):
            raise self._error("a comma is missing here")
        if not found:
            raise self._error('no matcher; write one like namespace="dev"')
        return tuple(found)

    def _ended(self, braced: bool) -> bool:
        self._space()
        return self.at == len(self.text) or (braced and self.text[self.at] == "}")

    def _matcher(self) -> Matcher:
        name = self._name()
        operator = self._operator()
        self._space()
        start = self.at
        value = self._quoted() if self._peek() == '"' else self._bare()
        if operator in (Operator.REGEX, Operator.NOT_REGEX):
            try:
                _compiled(value)
            except re2.error as error:
                self.at = start
                raise self._error(f"RE2 does not take this expression: {_words(error)}") from error
        return Matcher(name, operator, value)

    def _name(self) -> str:
        self._space()
        start = self.at
        name = self._quoted() if self._peek() == '"' else self._run()
        if name in LABELS:
            return name
        self.at = start
        if not name:
            raise self._error("the name of a label is missing here")
        near = difflib.get_close_matches(name, LABELS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(LABELS)}"
        # A matcher that asks for a label which never is would silence nothing, or, negated, all.
        raise self._error(f"there is no label {name}; {hint}")

    def _operator(self) -> Operator:
        self._space()
        for text in ("=~", "!~", "!=", "="):
            if self.text.startswith(text, self.at):
                self.at += len(text)
                return Operator(text)
        raise self._error("one of = != =~ !~ is missing here")

    def _bare(self) -> str:
        value = self._run()
        if not value:
            raise self._error("a value is missing here; write it in double quotes")
        return value

    def _quoted(self) -> str:
        start = self.at
        self.at += 1
        value: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return "".join(value)
            if char == "\\":
                self.at += 1
                escaped = self._peek()
                # As in Alertmanager, other escapes stay as they are, so that \. and \d need no
                # second backslash.
                value.append(_ESCAPES.get(escaped, f"\\{escaped}"))
            else:
                value.append(char)
            self.at += 1
        self.at = start
        raise self._error("this quote is not closed")

    def _run(self) -> str:
        start = self.at
        while (char := self._peek()) and not char.isspace() and char not in _RESERVED:
            self.at += 1
        return self.text[start : self.at]

    def _take(self, char: str) -> bool:
        self._space()
        if self._peek() != char:
            return False
        self.at += 1
        return True

    def _space(self) -> None:
        while self._peek().isspace():
            self.at += 1

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _error(self, what: str) -> MatcherError:
        return MatcherError(self.at + 1, what)


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
