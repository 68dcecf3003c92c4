"""Durations as people write them: `30s`, `10m`, `4h`, `14d`, `1h30m`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS = ("days", "hours", "minutes", "seconds", "milliseconds")


def parse_duration(text: object) -> timedelta:
    """`30s`, `10m`, `4h`, `14d`, `1h30m`, `500ms`, `0` → timedelta. ValueError otherwise."""
    if isinstance(text, timedelta):
        return text
    if text in ("0", 0):
        return timedelta(0)
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not any(match.groups()):
        raise ValueError("is not a duration; write it like 30s, 10m, 4h or 14d")
    try:
        return timedelta(
            **{unit: int(n) for unit, n in zip(_UNITS, match.groups(), strict=True) if n}
        )
    except OverflowError:
        raise ValueError("is longer than can be reckoned with") from None


def format_duration(value: timedelta) -> str:
    """The inverse of `parse_duration`, in the shortest form."""
    milliseconds = round(value.total_seconds() * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _some_time(value: timedelta) -> timedelta:
    if not value:
        raise ValueError(
            "would never end at 0; write how long to wait in between, like 10m or 365d"
        )
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Interval = Annotated[Duration, AfterValidator(_some_time)]
"""The time between what is done again and again."""
