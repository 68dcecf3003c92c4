"""The checks on a model's answer: shape first, then every word that would be shown as fact.

A cited id must exist and contain what is quoted. What of the prose may be shown stands in
`prose.py`; what may not is dropped and counted.
"""

import json
from dataclasses import dataclass
from functools import cache

from jsonschema import Draft202012Validator

from aegis_sink.diagnosis.assess import Assessment
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.cleaning import clean
from aegis_sink.diagnosis.errors import AnswerInvalid
from aegis_sink.diagnosis.prose import sentences
from aegis_sink.diagnosis.wire import read_json

SHORTEST_QUOTE = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What is left of a model's answer after the checks. `dropped` counts what was not."""

    cause: str
    explanation: str
    cites: tuple[str, ...]
    objection: str
    own_cause: str
    dropped: int


def read_answer(text: str, schema_text: str) -> dict[str, object]:
    """The JSON object in the answer, valid by the schema. Raises AnswerInvalid with the reason."""
    start, end = text.find("{"), text.rfind("}")
    if not 0 <= start < end:
        raise AnswerInvalid("there is no JSON object in the answer")
    try:
        parsed = read_json(text[start : end + 1])
    except ValueError as error:
        raise AnswerInvalid(f"the JSON is broken: {error}") from error
    fault = next(iter(_validator(schema_text).iter_errors(parsed)), None)
    if fault is not None:
        where = "/".join(str(p) for p in fault.absolute_path) or "the object"
        raise AnswerInvalid(f"{where}: {fault.message[:160]}")
    return dict(parsed)


def checked(raw: dict[str, object], case: Case, assessment: Assessment) -> Answer:
    """The answer with everything that cannot be shown taken out."""
    known = known_text(case, assessment)
    ids = {e.id for e in case.collected.evidence}
    explanation, lost_here = sentences(str(raw["explanation"]), known, ids)
    objection, lost_there = sentences(str(raw["objection"]), known, ids)
    own_cause, lost_own = sentences(str(raw["own_cause"]), known, ids)
    quotes = raw["quotes"]
    given = [str(q) for q in quotes] if isinstance(quotes, list) else []
    cites = tuple(dict.fromkeys(i for q in given if (i := _verified(q, case))))
    unproved = sum(1 for q in given if not _verified(q, case))
    return Answer(
        cause=str(raw["cause"]),
        explanation=explanation,
        cites=cites,
        objection=""
        if objection.strip(" .").lower() in {"none", "no", "n/a", "null"}
        else objection,
        own_cause=own_cause,
        dropped=lost_here + lost_there + lost_own + unproved,
    )


def known_text(case: Case, assessment: Assessment) -> str:
    """Everything a model may name: the evidence, K8sGPT's texts, and the playbooks' own words."""
    parts = [str(case.subject), *case.errors]
    for finding in case.findings:
        parts.append(str(finding.object))
    for evidence in case.collected.evidence:
        parts += [evidence.source, evidence.text]
    for candidate in assessment.candidates:
        parts += [candidate.id, candidate.cause.title, candidate.root_cause, *candidate.missing]
    return " ".join(" ".join(parts).split()).lower()


@cache
def _validator(schema_text: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema_text))


def _verified(quote: str, case: Case) -> str:
    """The evidence id of a quote whose words stand there; "" when they do not."""
    evidence_id, _, words = quote.partition(":")
    evidence_id = evidence_id.strip().strip("[]()")
    wanted = _flat(words)
    if len(wanted) < SHORTEST_QUOTE:
        return ""
    for evidence in case.collected.evidence:
        if evidence.id == evidence_id and wanted in _flat(evidence.text):
            return evidence.id
    return ""


def _flat(text: str) -> str:
    return " ".join(clean(text).split()).strip(" \"'“”…").lower()
