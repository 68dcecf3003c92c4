"""Container logs: the end of the log, and the lines in it that look like a cause."""

import asyncio
import re

from aegis_sink.cluster.errors import ObjectGone
from aegis_sink.cluster.visit import Visit
from aegis_sink.model import ObjectRef
from aegis_sink.model.facts import LogFacts

LINES = 200
FEW_LINES = 20
MOST_BYTES = 256 * 1024
LONG_TEXT = 16 * 1024  # characters; looking through more for secrets would hold up posts
LINES_TOLD = 40
ERROR_LINES = 10
LONGEST_LINE = 500

_CAUSE = re.compile(
    r"error|exception|fatal|panic|fail|refused|denied|cannot|can't|could not|unable|invalid"
    r"|timeout|timed out|killed|traceback|no such|not found|unauthorized|forbidden|missing"
    r"|caused by|out of memory|segfault|bad address|nxdomain|unknown host",
    re.I,
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_BINARY_SHARE = 0.3


async def collect_log(
    visit: Visit, pod: ObjectRef, container: str, *, previous: bool, worth: int
) -> bool:
    """Add a log as evidence. False when there is none to be had (`missing` then says why)."""
    which = "previous log" if previous else "current log"
    what = f"{which} of container {container} of Pod {pod.path}"
    try:
        text = await visit.attempt(what, _read(visit, pod, container, what, previous=previous))
    except ObjectGone:
        text = None
    if text is None:
        return False
    if len(text) < LONG_TEXT:
        lines = readable(visit.redact(text))
    else:
        lines = await asyncio.to_thread(lambda: readable(visit.redact(text)))
    facts = log_facts(container, lines, previous=previous)
    told = lines[-LINES_TOLD:]
    earlier = [line for line in lines[:-LINES_TOLD] if line in facts.error_lines]
    shown = "\n".join([*earlier, *(["…"] if earlier else []), *told]) or "(empty)"
    whole = sum(len(line) + 1 for line in lines)
    visit.add(what, shown, worth, facts, pod, keep="end", cut=max(0, whole - len(shown) - 1))
    return True


async def _read(
    visit: Visit, pod: ObjectRef, container: str, what: str, *, previous: bool
) -> str | None:
    """The end of the log as text, in whole lines; None when there is not one that is whole.

    `limitBytes` keeps the start of the asked-for lines, so where it strikes, fewer are asked for.
    A line that was cut in the middle is dropped: half a secret could not be recognised.
    """
    for lines in (LINES, FEW_LINES):
        body = await visit.reader.log(
            pod, container, previous=previous, lines=lines, most_bytes=MOST_BYTES
        )
        if not (body.cut or len(body.data) >= MOST_BYTES):
            return body.data.decode("utf-8", "replace")
    visit.lacks(f"{what}: its newest lines, they are longer than {MOST_BYTES // 1024} KiB together")
    whole = body.data.decode("utf-8", "replace").rpartition("\n")[0]
    return whole or None


def readable(text: str) -> list[str]:
    """The lines of a log without escapes, each at most so long; one line for a binary log."""
    unreadable = sum(not (c.isprintable() or c in "\n\r\t\x1b") or c == "\ufffd" for c in text)
    if unreadable > len(text) * _BINARY_SHARE:
        return [f"(binary: {len(text)} characters, most of them unreadable)"]
    lines = _ESCAPES.sub("", text.replace("\r\n", "\n")).split("\n")
    return [line.rstrip()[:LONGEST_LINE] for line in lines if line.strip()]


def log_facts(container: str, lines: list[str], *, previous: bool) -> LogFacts:
    """The last line, and the last lines that look like a cause."""
    suspects = [line for line in lines if _CAUSE.search(line)]
    causes = list(dict.fromkeys(suspects))
    return LogFacts(
        container=container,
        previous=previous,
        empty=not lines,
        last_line=lines[-1] if lines else "",
        error_lines=tuple(causes[-ERROR_LINES:]),
        error_count=len(suspects),
    )
