"""The bodies of the operator's sinks: slack, mattermost and CloudEvents (facts/k8sgpt.md §1.3).

All three carry the same: a title, and one attachment text, which is K8sGPT's model text, or with AI
off nothing (slack, CloudEvents) or the numbered error texts (mattermost).
"""

import re
from typing import Any

from aegis_sink.dialects.errors import InvalidBody
from aegis_sink.dialects.text import ERROR_LIMIT, ERRORS_LIMIT, clean, clean_details
from aegis_sink.dialects.title import GRAMMAR, Title, parse_title
from aegis_sink.model import Finding

_NUMBER = re.compile(r"(\d{1,4})\. ")
_SOLUTION = re.compile(r"^(\d{1,4}\. )?[*_#\s]{0,8}Solution\b", re.MULTILINE)


def parse_slack(document: Any, cluster: str) -> tuple[Finding, ...]:
    """`{text, attachments: [{type, text, color, title}]}`."""
    return (_finding("slack", document, cluster, path="$"),)


def parse_cloudevents(document: Any, cluster: str) -> tuple[Finding, ...]:
    """A structured CloudEvent whose `data` is the slack body; its id is new on each attempt."""
    return (_finding("cloudevents", document["data"], cluster, path="$.data"),)


def parse_mattermost(document: Any, cluster: str) -> tuple[Finding, ...]:
    """Like slack without `type` in the attachment; with AI off the text is the error texts."""
    title = _title("mattermost", document, "$")
    text = _attachment_text(document)
    errors = numbered_errors(text)
    return (
        Finding(
            cluster=cluster,
            object=title.object,
            dialect="mattermost",
            k8sgpt=title.k8sgpt,
            container=title.container,
            errors=errors,
            details="" if errors else clean_details(text),
        ),
    )


def numbered_errors(text: str) -> tuple[str, ...]:
    """`1. a\\n2. b\\n` → ("a", "b"); () when the text is not such a list.

    The operator writes `"%d. %s\\n"` for each error, from 1, and a text may span lines. A model's
    prose can look the same; it rarely ends with a newline, and K8sGPT asks it for a "Solution:",
    which no error text has. Where it slips through, the Result, when it can be read, has the last
    word.
    """
    if not text.startswith("1. ") or not text.endswith("\n"):
        return ()
    if "Solution" in text and _SOLUTION.search(text):
        return ()
    errors: list[list[str]] = []
    for line in text[:-1].split("\n"):
        number = _NUMBER.match(line)
        if number and int(number[1]) == len(errors) + 1:
            errors.append([line[number.end() :]])
        else:
            errors[-1].append(line)
    texts = (clean("\n".join(lines), ERROR_LIMIT).strip() for lines in errors[:ERRORS_LIMIT])
    return tuple(text for text in texts if text)


def _finding(dialect: str, body: Any, cluster: str, *, path: str) -> Finding:
    title = _title(dialect, body, path)
    return Finding(
        cluster=cluster,
        object=title.object,
        dialect=dialect,
        k8sgpt=title.k8sgpt,
        container=title.container,
        details=clean_details(_attachment_text(body)),
    )


def _title(dialect: str, body: Any, path: str) -> Title:
    title = parse_title(body["text"])
    if title is None:
        raise InvalidBody(dialect, f"{path}.text", f"is not K8sGPT's title {GRAMMAR}")
    return title


def _attachment_text(body: Any) -> str:
    attachments = body.get("attachments") or ()
    return "\n".join(text for one in attachments if (text := one.get("text")))
