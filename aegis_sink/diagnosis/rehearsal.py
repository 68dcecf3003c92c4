"""`aegis-sink playbooks test`: playbooks are well formed, and their own examples come out right."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aegis_sink.diagnosis.assess import assess
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.playbook import Example, Playbook, PlaybookError
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.model import Collected, Evidence, Finding, ObjectRef
from aegis_sink.model.facts import TOPICS, Facts

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Examples have no time of their own."""


def check(*folders: Path) -> tuple[str, ...]:
    """What is wrong with the built-in playbooks and those of the folders; () when nothing is."""
    try:
        playbooks = Playbooks.load(*folders)
    except PlaybookError as error:
        return error.problems
    return tuple(
        problem
        for playbook in playbooks.playbooks
        for example in playbook.examples
        if (problem := _rehearse(example, playbook, playbooks))
    )


def example_case(example: Example) -> Case:
    """The case an example describes. Raises TypeError for a field a topic does not have."""
    about = ObjectRef(example.kind, "example-1", "shop")
    finding = Finding("example", about, "example", errors=example.errors)
    evidence = tuple(
        Evidence(f"E{number}", "example", "", EPOCH, facts=_facts(topic, values))
        for number, (topic, values) in enumerate(
            (pair for fact in example.facts for pair in fact.items()), start=1
        )
    )
    return Case("example", about, (finding,), Collected(evidence=evidence))


def _rehearse(example: Example, playbook: Playbook, playbooks: Playbooks) -> str:
    where = f"{playbook.source}: example for {example.expect}"
    try:
        case = example_case(example)
    except TypeError as error:
        return f"{where}: {error}"
    diagnosis = assess(case, playbooks).diagnosis
    if diagnosis.cause_id != example.expect:
        return f"{where}: it leads to {diagnosis.cause_id or 'no cause'} instead"
    if example.verdict and diagnosis.verdict != example.verdict:
        return f"{where}: its verdict is {diagnosis.verdict}, not {example.verdict}"
    return ""


def _facts(topic: str, values: Mapping[str, Any]) -> Facts:
    known = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return TOPICS[topic](**known)
