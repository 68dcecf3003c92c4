"""Private keys and certificates as PEM blocks, whole or cut."""

import re

from aegis_sink.diagnosis.redaction.rule import Replace

_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")
_PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=:,\s-]|\\[rn])*")
_PEM_LINES_BEFORE_END = re.compile(
    r"(?:^|(?<=\\n))[A-Za-z0-9+/=]{16,}(?:[ \t]*(?:\r?\n|\\n))", re.M
)
LONGEST_PEM = 32_768


def pem(text: str, replace: Replace) -> str:
    """Whole blocks; blocks whose end was cut off; and the rest of blocks whose start was."""
    parts: list[str] = []
    at = 0
    ends = [m.span() for m in _PEM_END.finditer(text)]
    next_end = 0
    for begin in _PEM_BEGIN.finditer(text):
        if begin.start() < at:
            continue
        while next_end < len(ends) and ends[next_end][0] < begin.end():
            next_end += 1
        near = next_end < len(ends) and ends[next_end][1] - begin.start() <= LONGEST_PEM
        body = _PEM_BODY.match(text, begin.end())
        stop = ends[next_end][1] if near else (body.end() if body else begin.end())
        parts += [text[at : begin.start()], replace("pem", text[begin.start() : stop])]
        at = stop
    rest = "".join([*parts, text[at:]])
    return _pem_tails(rest, replace) if _PEM_END.search(rest) else rest


def _pem_tails(text: str, replace: Replace) -> str:
    """Lines of base64 that an END follows without a BEGIN: a log's tail may start in a block."""
    parts: list[str] = []
    at = 0
    for end in _PEM_END.finditer(text):
        start = end.start()
        for line in _PEM_LINES_BEFORE_END.finditer(text, at, end.start()):
            start = min(start, line.start())
        parts += [text[at:start], replace("pem", text[start : end.end()])]
        at = end.end()
    return "".join([*parts, text[at:]])
