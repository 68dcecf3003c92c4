"""One case through the parts that a real incident goes through."""

import time
from collections.abc import Callable
from dataclasses import replace

from aegis_sink.cluster.client import KubernetesCluster
from aegis_sink.diagnosis.assess import Assessment, assess
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.diagnoser import Diagnoser, unanswered
from aegis_sink.diagnosis.errors import LLMError
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.diagnosis.redaction import redact
from aegis_sink.evaluation.folder import EvalCase
from aegis_sink.evaluation.recording import Recording
from aegis_sink.evaluation.score import Score, score
from aegis_sink.model import Finding
from aegis_sink.triage.subject import subject_from_name


async def evaluate(
    case: EvalCase,
    playbooks: Playbooks,
    diagnoser: Diagnoser | None = None,
    *,
    always_ask: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Score:
    """Collect, assess and, with a diagnoser, ask; then compare with what is expected.

    A model that does not answer leaves the playbooks' answer, as in the service.
    """
    started = clock()
    seen, assessment = await investigate(case, playbooks, always_ask=always_ask)
    diagnosis = assessment.diagnosis
    if diagnoser is not None and assessment.ask:
        try:
            diagnosis = await diagnoser.ask(seen, assessment)
        except LLMError as error:
            diagnosis = unanswered(assessment, error)
    return score(
        case.name,
        case.expected,
        diagnosis,
        seen.collected.evidence,
        settled=not assessment.ask,
        seconds=clock() - started,
    )


async def investigate(
    case: EvalCase, playbooks: Playbooks, *, always_ask: bool = False
) -> tuple[Case, Assessment]:
    """The case as diagnosis sees it, and the playbooks' assessment of it."""
    if case.collected is not None and case.collected.owners is not None:
        owners, found = case.collected.owners, tuple(map(_redacted, case.findings))
        seen = Case(found[0].cluster, owners.subject, found, case.collected)
        return seen, assess(seen, playbooks, always_ask=always_ask)
    recording = Recording(case.objects, case.logs)
    cluster = KubernetesCluster(recording, redact=redact, now=lambda: case.now)
    findings = [_redacted(await cluster.complete(f)) for f in case.findings]
    owners = await cluster.owners(findings[0], subject_from_name)
    collected = await cluster.collect(findings[0], owners)
    await cluster.close()
    seen = Case(findings[0].cluster, owners.subject, tuple(findings), collected)
    return seen, assess(seen, playbooks, always_ask=always_ask)


def _redacted(finding: Finding) -> Finding:
    return replace(
        finding,
        errors=tuple(redact(error) for error in finding.errors),
        details=redact(finding.details),
    )
