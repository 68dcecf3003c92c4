"""Rule: one kind of secret, and the mark that stands in its place."""

import re
from collections.abc import Callable
from dataclasses import dataclass

MARK = "[redacted:"
# Only what this room writes counts as done: text from outside may hold the mark too, and must not
# switch a rule off. The names are those of the rules.
DONE = re.compile(
    r"(?:\[redacted:(?:pem|base64|webhook|url|database|header|cookie|jwt|cloud-key|git-key|chat-key"
    r"|vendor-key|hash|command|key-value|env|flag|email):[0-9a-f]{4}\])"
)
_ALL_DONE = re.compile(rf"(?:{DONE.pattern})+[\s\"',;.:!?&}}\])>]*")
_LONGEST_DONE = 40

Replace = Callable[[str, str], str]
"""(rule, secret) → placeholder."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret. `apply` runs when a hint is in the lower-cased text."""

    name: str
    hints: tuple[str, ...]
    apply: Callable[[str, Replace], str]


def is_done(secret: str) -> bool:
    """Nothing but placeholders: a second pass leaves it."""
    return _ALL_DONE.fullmatch(secret) is not None


def pattern(name: str, hints: tuple[str, ...], regex: str, flags: int = 0) -> Rule:
    """A rule that replaces the first group of a pattern."""
    compiled = re.compile(regex, flags)

    def apply(text: str, replace: Replace) -> str:
        def swap(found: re.Match[str]) -> str:
            start, end = max(found.start(1), _end_of_done(found)), found.end(1)
            secret = found.string[start:end]
            if not secret or is_done(secret):
                return found[0]
            before, after = start - found.start(), end - found.start()
            return found[0][:before] + replace(name, secret) + found[0][after:]

        return compiled.sub(swap, text)

    return Rule(name, hints, apply)


def _end_of_done(found: re.Match[str]) -> int:
    """Where the placeholder ends that the group begins in, whose name and digits may look like a
    secret; 0 when it begins in none."""
    at = found.start(1)
    start = found.string.rfind(MARK, max(0, at - _LONGEST_DONE), at + len(MARK))
    done = DONE.match(found.string, start) if start >= 0 else None
    return done.end() if done is not None and at < done.end() else 0
