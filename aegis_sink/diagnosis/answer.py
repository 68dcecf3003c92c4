"""The checks on a model's answer: shape first, then every word that would be shown as fact.

A cited id must exist and contain what is quoted. A sentence with a command, a link, a mention, an
order, or a name or number which occurs nowhere in the case is dropped and counted.
"""

import json
import re
from dataclasses import dataclass
from functools import cache

from jsonschema import Draft202012Validator

from aegis_sink.diagnosis.assess import Assessment
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.cleaning import clean
from aegis_sink.diagnosis.errors import AnswerInvalid

SHORTEST_QUOTE = 4

_COMMAND = re.compile(
    r"\b(?:kubectl|kubeadm|helm|docker|podman|crictl|nerdctl|sudo|curl|wget|bash|systemctl|eksctl|"
    r"gcloud|chmod|chown|ssh|rm\s+-)\b|`|\$\(|\$\{|&&|\|\||(?:^|\s)--?[a-z][a-z-]+[= ]",
    re.IGNORECASE,
)
_LINK = re.compile(r"[a-z][a-z0-9+.-]*://|\bwww\.|\]\(|mailto:", re.IGNORECASE)
_MENTION = re.compile(r"<[!@#]|<https?|@(?:here|channel|everyone)\b", re.IGNORECASE)
_ORDER = re.compile(
    r"^(?:please\s+)?(?:delete|remove|drain|cordon|taint|evict|wipe|purge|run|execute|apply|"
    r"ignore|disregard|disable|uninstall|scale|grant|set|patch|exec)\b|"
    r"\b(?:should|must|need to|have to|has to|please|recommend\w*|to fix this)\b.{0,40}"
    r"\b(?:delet|remov|drain|cordon|taint|evict|wip|purg|run|execut|appl|disabl|uninstall|grant|"
    r"scal|patch)|\b(?:previous|above|prior) instructions\b|"
    r"\bdelet\w+ (?:the |this |all )?(?:namespace|cluster|node|volume|pvc|deployment|pod)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_EVIDENCE_ID = re.compile(r"\bE\d+\b")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/:=-]*[A-Za-z0-9])?")
_QUOTED = re.compile(r"[\"“'‘]([^\"”'’]{2,80})[\"”'’]")
_JSON = re.compile(r"\{.*\}", re.DOTALL)

_PLAIN = frozenset(
    [
        "e.g",
        "i.e",
        "and/or",
        "out-of-memory",
        "read-only",
        "non-zero",
        "non-root",
        "non-existent",
        "start-up",
        "back-off",
        "time-out",
        "set-up",
        "cluster-wide",
        "well-known",
        "up-to-date",
        "long-running",
        "high-level",
        "low-level",
        "crash-loop",
        "crash-looping",
        "re-created",
        "pre-existing",
        "per-pod",
        "per-node",
        "one-time",
        "first-time",
        "k8s",
        "kubernetes",
        "so-called",
        "self-signed",
        "in-memory",
        "end-to-end",
        "key/value",
        "multi-arch",
        "container-level",
        "pod-level",
        "node-level",
        "application-level",
    ]
)


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
    found = _JSON.search(text)
    if found is None:
        raise AnswerInvalid("there is no JSON object in the answer")
    try:
        parsed = json.loads(found[0])
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
    explanation, lost_here = _sentences(str(raw["explanation"]), known, ids)
    objection, lost_there = _sentences(str(raw["objection"]), known, ids)
    own_cause, lost_own = _sentences(str(raw["own_cause"]), known, ids)
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


def _sentences(text: str, known: str, ids: set[str]) -> tuple[str, int]:
    kept, dropped = [], 0
    for sentence in _SENTENCE.split(clean(text).strip()):
        if not sentence.strip():
            continue
        if _shown(sentence.strip(), known, ids):
            kept.append(" ".join(sentence.split()))
        else:
            dropped += 1
    return " ".join(kept), dropped


def _shown(sentence: str, known: str, ids: set[str]) -> bool:
    for forbidden in (_COMMAND, _LINK, _MENTION, _ORDER):
        if forbidden.search(sentence):
            return False
    if any(found not in ids for found in _EVIDENCE_ID.findall(sentence)):
        return False
    if any(" ".join(q.split()).lower() not in known for q in _QUOTED.findall(sentence)):
        return False
    return all(_is_known(word, known, ids) for word in _NAME.findall(sentence))


def _is_known(word: str, known: str, ids: set[str]) -> bool:
    """Words with a digit or a joint inside are names or numbers: they must stand in the case."""
    if word in ids or not re.search(r"[0-9._/:=-]", word):
        return True
    lowered = word.lower()
    if lowered in _PLAIN or lowered.rstrip("s") in _PLAIN:
        return True
    return re.search(rf"(?<![a-z0-9]){re.escape(lowered)}(?![a-z0-9])", known) is not None
