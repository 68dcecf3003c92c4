"""Check: one thing that was looked at, what was found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """`name` is stable, for programs. `fix` is what to type, "" where nothing has to be done."""

    name: str
    health: Health
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Check:
    """As it should be."""
    return Check(name, Health.OK, found)


def warning(name: str, found: str, fix: str) -> Check:
    """It works, and somebody should know."""
    return Check(name, Health.WARNING, found, fix)


def failed(name: str, found: str, fix: str) -> Check:
    """It does not work."""
    return Check(name, Health.FAILED, found, fix)


def skipped(name: str, found: str, fix: str = "") -> Check:
    """It was not looked at, and why."""
    return Check(name, Health.SKIPPED, found, fix)
