"""Cases for the tests of the diagnosis: small, with neutral names."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from aegis_sink.diagnosis.assess import Assessment, assess
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.model import Collected, Evidence, Finding, ObjectRef
from aegis_sink.model.facts import ContainerFacts, Facts, LogFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

READ_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POD = ObjectRef("Pod", "ledger-6f9d7c5b48-x2lqk", "books")
DEPLOYMENT = ObjectRef("Deployment", "ledger", "books")


@cache
def builtin() -> Playbooks:
    """The built-in playbooks, read once."""
    return Playbooks.load()


def evidence(number: int, text: str, facts: Facts | None = None, source: str = "") -> Evidence:
    """One piece of evidence."""
    return Evidence(f"E{number}", source or f"source {number}", text, READ_AT, facts=facts)


def make_case(
    *errors: str,
    seen: tuple[Evidence, ...] = (),
    about: ObjectRef = POD,
    subject: ObjectRef = DEPLOYMENT,
    details: str = "",
    missing: tuple[str, ...] = (),
) -> Case:
    """A case with one finding."""
    finding = Finding("east", about, "result", errors=errors, details=details)
    return Case("east", subject, (finding,), Collected(evidence=seen, missing=missing))


def crashing(*lines: str, exit_code: int = 1) -> tuple[Evidence, ...]:
    """The evidence of a container that ends and what it wrote."""
    return (
        evidence(
            1,
            f"container ledger: CrashLoopBackOff, exit code {exit_code}, image ledger:2.4",
            ContainerFacts(
                name="ledger",
                image="ledger:2.4",
                waiting_reason="CrashLoopBackOff",
                termination_reason="Error",
                exit_code=exit_code,
                ready=False,
            ),
            source="state of container ledger",
        ),
        evidence(
            2,
            "\n".join(lines),
            LogFacts(
                container="ledger",
                previous=True,
                empty=not lines,
                last_line=lines[-1] if lines else "",
                error_lines=lines,
            ),
            source="previous log of container ledger",
        ),
    )


def answer_text(**changes: object) -> str:
    """A valid answer of a model, with changes."""
    answer: Mapping[str, object] = {
        "cause": "cannot_tell",
        "explanation": "",
        "quotes": [],
        "objection": "",
        "own_cause": "",
        **changes,
    }
    return json.dumps(answer)


def assessed(case: Case, *, always_ask: bool = False) -> Assessment:
    """The case assessed with the built-in playbooks."""
    return assess(case, builtin(), always_ask=always_ask)
