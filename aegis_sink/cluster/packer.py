"""Packer: drafts → evidence, redacted, in order of worth, within a token budget.

Deterministic: the same drafts give the same bytes and the same ids. Every draft keeps its facts
and at least one line: a predicate needs the facts, a reader the proof.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime

from aegis_sink.cluster.visit import Draft
from aegis_sink.model import Evidence
from aegis_sink.model.facts import ContainerFacts, Facts

CHARACTERS_PER_TOKEN = 2
DEFAULT_TOKENS = 6000
LARGEST_SHARE = 0.4
"""Of the budget, for one piece: a long log must not push out everything else."""
SHORTEST_PART = 160
"""Below it, a part of a text is not worth reading: one line stands for it."""


def pack(
    drafts: Iterable[Draft],
    *,
    redact: Callable[[str], str],
    read_at: datetime,
    tokens: int = DEFAULT_TOKENS,
) -> tuple[Evidence, ...]:
    """Evidence E1, E2, … by falling worth. `cut` counts the characters left out of a text."""
    budget = tokens * CHARACTERS_PER_TOKEN
    largest = int(budget * LARGEST_SHARE)
    left = budget
    evidence = []
    for number, draft in enumerate(_ordered(_redacted(d, redact) for d in drafts), start=1):
        room = min(largest, left)
        text = _fit(draft, room if room >= SHORTEST_PART else SHORTEST_PART)
        left -= len(text) + len(draft.source)
        evidence.append(
            Evidence(
                id=f"E{number}",
                source=draft.source,
                text=text,
                read_at=read_at,
                cut=draft.cut + len(draft.text) - len(text),
                object=draft.object,
                facts=draft.facts,
                worth=draft.worth,
            )
        )
    return tuple(evidence)


def _ordered(drafts: Iterable[Draft]) -> list[Draft]:
    return sorted(drafts, key=lambda d: (-d.worth, d.source, d.text))


def _fit(draft: Draft, room: int) -> str:
    """At most `room` characters of the text, in whole lines where lines are short enough."""
    text = draft.text
    if len(text) <= room:
        return text
    if draft.keep == "end":
        part = text[-room:]
        start = part.find("\n") + 1
        return part[start:] if 0 < start < room // 2 else part
    part = text[:room]
    end = part.rfind("\n")
    return part[:end] if end > room // 2 else part


def _redacted(draft: Draft, redact: Callable[[str], str]) -> Draft:
    """The one boundary: no text and no field leaves this room without passing here."""
    return replace(
        draft,
        source=redact(draft.source),
        text=redact(draft.text),
        facts=redacted_facts(draft.facts, redact) if draft.facts else None,
    )


def redacted_facts(facts: Facts, redact: Callable[[str], str]) -> Facts:
    """The facts with every string in them redacted.

    A mapping's value is redacted together with its name, so that a name like "password" counts.
    """
    changes: dict[str, object] = {}
    if isinstance(facts, ContainerFacts):
        # A secret among arguments may show only by the program they are for: `curl -u a:b`.
        words = (*facts.command, *facts.args)
        together = redact(" ".join(words))
        if together != " ".join(redact(word) for word in words):
            facts = replace(facts, command=(together,), args=())
    for item in fields(facts):
        value = getattr(facts, item.name)
        if isinstance(value, str) and value:
            changes[item.name] = redact(value)
        elif isinstance(value, tuple) and value:
            changes[item.name] = tuple(redact(text) for text in value)
        elif isinstance(value, Mapping) and value:
            changes[item.name] = {
                name: redact(f"{name}={text}").removeprefix(f"{name}=")
                for name, text in value.items()
            }
    return replace(facts, **changes)
