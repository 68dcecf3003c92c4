"""The title of the operator's bodies, and the names in it (facts/k8sgpt.md §1.7, §2.4).

    TITLE := ">*" [ "[" CR "] " ] "K8sGPT analysis of the " KIND " " NAME "*"

KIND may hold anything, also spaces; NAME holds none, so the last space divides them. Nothing here
can be made slow: what stands before KIND can be divided in one way only.
"""

import re
from typing import NamedTuple

from aegis_sink.dialects.text import NAME_LIMIT, clean
from aegis_sink.model import ObjectRef

PHRASE = "K8sGPT analysis of the "
GRAMMAR = ">*[CR] K8sGPT analysis of the KIND NAME*"
TITLE_LIMIT = 2048

_BEGINNING = re.compile(
    r"\s*+>*+\s*+\**+\s*+(?:\[(?P<k8sgpt>[A-Za-z0-9](?:[-A-Za-z0-9._]{0,251}[A-Za-z0-9])?)\]\s*+)?"
    + re.escape(PHRASE)
)
_NAME = re.compile(r"/?[a-z0-9][-a-z0-9./]{0,510}")
_ODD_NAME = re.compile(
    r"/?[A-Za-z0-9][-A-Za-z0-9._:/]{0,510}"
)  # no stored Result has one; a person may


class Title(NamedTuple):
    """What a title says. `k8sgpt` is "" for operators before v0.0.22."""

    k8sgpt: str
    object: ObjectRef
    container: str


def parse_title(text: str) -> Title | None:
    """The title's parts, or None when it is none."""
    beginning = _BEGINNING.match(text)
    if beginning is None:
        return None
    rest = text[beginning.end() : TITLE_LIMIT]
    if len(text) > TITLE_LIMIT and "\n" not in rest:
        return None  # a title that was cut could end within a name
    named = _kind_and_name(rest)
    if named is None:
        return None
    kind, name = named
    ref, container = split_name(kind, name)
    return Title(beginning["k8sgpt"] or "", ref, container)


def split_name(kind: str, name: str) -> tuple[ObjectRef, str]:
    """A K8sGPT name → (object, container).

    One leading "/" or no "/": cluster-scoped. OperatorGroup: the name *is* the namespace; K8sGPT
    does not say which of its groups is meant. "ns/pod/container" comes from the Log analyzer.
    """
    if name.startswith("/"):
        return ObjectRef(kind, name[1:]), ""
    namespace, slash, rest = name.partition("/")
    if not slash:
        return ObjectRef(kind, name, name if kind == "OperatorGroup" else ""), ""
    pod, slash, container = rest.partition("/")
    if slash and kind == "Pod":
        return ObjectRef(kind, pod, namespace), container
    return ObjectRef(kind, rest, namespace), ""


def _kind_and_name(rest: str) -> tuple[str, str] | None:
    line = rest.partition("\n")[0].rstrip()
    if line.endswith("*"):
        line = line[:-1].rstrip()
    elif "*" in line:
        line = line.partition("*")[0].rstrip()  # a fork writes labels and images behind the title
    words = line.split(" ")
    place = len(words) - 1
    if not _is_path(words[place]) and (not _is_name(words[place]) or "=" in line or ":" in line):
        # A fork writes labels and images into the title too: the first word that is namespace/name
        # says where they begin, since the kind before it has no such word but perhaps its first.
        place = next((n for n in range(1, len(words)) if _is_path(words[n])), place)
        if not (_is_name(words[place]) or _is_name(words[place], _ODD_NAME)):
            return None
    kind, name = " ".join(words[:place]), words[place]
    kind = clean(kind, NAME_LIMIT).strip()
    return (kind, name) if kind else None


def _is_path(word: str) -> bool:
    return "/" in word and _is_name(word)


def _is_name(word: str, form: re.Pattern[str] = _NAME) -> bool:
    return form.fullmatch(word) is not None and not word.endswith("/") and "//" not in word
