"""Base64 runs, and the values of Secret objects."""

import re
from collections.abc import Callable, Iterator

from aegis_sink.diagnosis.redaction.rule import Replace, is_done

_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/=_.:@-])[A-Za-z0-9+/]{40,}={0,2}(?![A-Za-z0-9+/_.-])"
    # A file is wrapped after 64 or 76 characters; its last line may be short.
    r"(?:(?<=[A-Za-z0-9+/]{60})(?:\r?\n|\\n)[ \t]{0,20}[A-Za-z0-9+/]{1,76}={0,2}(?![^\s\"'\\])){0,400}"
)
_SECRET_OBJECT = re.compile(r"\bkind\\{0,3}[\"']?[ \t]{0,3}:[ \t]{0,3}\\{0,3}[\"']?Secret\b")
_JSON_DATA = re.compile(
    r"(\\{0,3}\"(?:data|stringData)\\{0,3}\"\s{0,4}:\s{0,4}\{)([^{}]{1,1000000})\}"
)
_JSON_MEMBER = re.compile(r"(\\{0,3}\"\s{0,4}:\s{0,4}\\{0,3}\")([^\"\\]{1,1000000})")
_YAML_DATA = re.compile(r"^([ \t]{0,40})(?:data|stringData):[ \t]*$", re.M)
_YAML_MEMBER = re.compile(r"([ \t]{0,40}[\w.-]{1,253}:[ \t]{1,4})(\S[^\n]*)")


def base64_runs(text: str, replace: Replace) -> str:
    def swap(found: re.Match[str]) -> str:
        run = found[0]
        mixed = (
            any(c.isupper() for c in run)
            and any(c.islower() for c in run)
            and any(c.isdigit() or c == "+" for c in run)
        )
        # File paths have runs of letters between slashes; hashes are hexadecimal and not mixed.
        path = run.startswith("/") or run.count("/") > len(run) // 12
        return replace("base64", run) if mixed and not path else run

    return _BASE64.sub(swap, text)


def secret_objects(text: str, replace: Replace) -> str:
    """The values under data and stringData where the text holds a Secret."""
    if not _SECRET_OBJECT.search(text):
        return text

    def member(found: re.Match[str]) -> str:
        done = is_done(found[2])
        return found[0] if done else found[1] + replace("base64", found[2])

    def data(found: re.Match[str]) -> str:
        return f"{found[1]}{_JSON_MEMBER.sub(member, found[2])}}}"

    return "\n".join(_yaml_members(_JSON_DATA.sub(data, text).split("\n"), member))


def _yaml_members(lines: list[str], member: Callable[[re.Match[str]], str]) -> Iterator[str]:
    inside: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and indent <= inside:
            inside = None
        if inside is not None:
            found = _YAML_MEMBER.fullmatch(line)
            yield member(found) if found else line
            continue
        begin = _YAML_DATA.fullmatch(line)
        if begin:
            inside = len(begin[1])
        yield line
