"""Case folders (docs/evals.md): one recorded incident each, read and checked. Faults name the file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from aegis_sink.cluster.resources import NEVER_READ
from aegis_sink.dialects.errors import DialectError
from aegis_sink.dialects.table import read_document, read_documents
from aegis_sink.model import Collected, Finding, FixAction, ObjectRef, OwnerChain, Verdict
from aegis_sink.model.codec import evidence_from_json

SAID = frozenset({Verdict.CAUSE_FOUND, Verdict.LIKELY})
CLUSTER = "evaluation"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Log = tuple[str, str, str, bool]
"""Namespace, pod, container, previous."""


class CaseError(ValueError):
    """Cases that cannot be run. `problems` holds one line for each fault: file, path, reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Proof:
    """Evidence that must be cited: parts of its source and text, without regard to case."""

    source: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Remedy:
    """An acceptable fix: its action, and a part of its title, command or patch."""

    action: FixAction
    contains: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is true of the incident. `fixes` and `cites` are () where none is asked for."""

    causes: frozenset[str]
    verdicts: frozenset[Verdict]
    cites: tuple[Proof, ...] = ()
    must_not_claim: tuple[str, ...] = ()
    fixes: tuple[Remedy, ...] = ()
    about: str = ""
    red_herring: str = ""


@dataclass(frozen=True, slots=True)
class EvalCase:
    """One recorded incident. `now` is the moment it is looked at. `collected` is its evidence where
    that was recorded instead of the objects, and has `owners`."""

    name: str
    findings: tuple[Finding, ...]
    objects: tuple[Mapping[str, Any], ...]
    logs: Mapping[Log, bytes]
    expected: Expected
    now: datetime
    collected: Collected | None = None


def read_cases(folder: Path) -> tuple[EvalCase, ...]:
    """The cases in a folder, by name; the folder may be one case itself. Raises CaseError."""
    if not folder.is_dir():
        raise CaseError((f"{folder}: there is no such folder",))
    folders = (
        [folder]
        if (folder / "expected.yaml").is_file()
        else sorted(f for f in folder.iterdir() if f.is_dir())
    )
    cases: list[EvalCase] = []
    problems: list[str] = []
    for one in folders:
        try:
            cases.append(read_case(one))
        except CaseError as error:
            problems.extend(error.problems)
    if not cases and not problems:
        problems.append(f"{folder}: holds no case folders (docs/evals.md says how one looks)")
    if problems:
        raise CaseError(tuple(problems))
    return tuple(cases)


def read_case(folder: Path) -> EvalCase:
    """One case. Raises CaseError."""
    raw, at = _expected(folder / "expected.yaml")
    objects = tuple(o for path in _object_files(folder) for o in _objects(path))
    logs = dict(_log(path) for path in sorted((folder / "logs").glob("*.log")))
    return EvalCase(
        name=folder.name,
        findings=_findings(folder),
        objects=objects,
        logs=logs,
        expected=raw,
        now=at or _newest(objects) or datetime(2026, 1, 1, tzinfo=UTC),
        collected=_collected(folder / "evidence.json"),
    )


def _findings(folder: Path) -> tuple[Finding, ...]:
    path = next(
        (p for p in (folder / "finding.yaml", folder / "finding.json") if p.is_file()), None
    )
    if path is None:
        raise CaseError((f"{folder / 'finding.yaml'}: is missing: what K8sGPT said",))
    try:
        found = tuple(
            finding
            for document in read_documents(_text(path))
            for finding in read_document(document, cluster=CLUSTER).findings
        )
    except DialectError as error:
        raise CaseError((f"{path}: {error}",)) from error
    if not found:
        raise CaseError((f"{path}: holds no finding",))
    return found


def _collected(path: Path) -> Collected | None:
    """As `evaluation.export` writes it: subject, evidence, missing."""
    if not path.is_file():
        return None
    try:
        raw = json.loads(_text(path))
        subject = ObjectRef(**raw["subject"])
        evidence = tuple(evidence_from_json(one) for one in raw["evidence"])
        return Collected(
            evidence, tuple(map(str, raw["missing"])), OwnerChain((subject,), "as recorded")
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CaseError((f"{path}: is not recorded evidence: {error}",)) from error


def _object_files(folder: Path) -> list[Path]:
    beside = [folder / "objects.yaml", folder / "events.yaml"]
    return [p for p in beside if p.is_file()] + sorted((folder / "objects").glob("*.y*ml"))


def _objects(path: Path) -> Iterator[Mapping[str, Any]]:
    """As `kubectl get -o yaml` writes them, many documents or a List. Times are read as text."""
    try:
        documents = list(yaml.load_all(_text(path), Loader=_Text))
    except yaml.YAMLError as error:
        raise CaseError((f"{path}: not YAML: {error}",)) from error
    for number, document in enumerate(d for d in documents if d is not None):
        where = f"{path}: $[{number}]"
        if not isinstance(document, dict):
            raise CaseError((f"{where}: must be an object of Kubernetes",))
        listed = document.get("items") if str(document.get("kind", "")).endswith("List") else None
        for place, one in enumerate([document] if listed is None else listed):
            inside = where if listed is None else f"{where}.items[{place}]"
            _check_object(one, inside)
            yield one


def _check_object(one: object, where: str) -> None:
    if not isinstance(one, dict) or not isinstance(one.get("metadata"), dict):
        raise CaseError((f"{where}.metadata: is missing",))
    if not isinstance(one.get("kind"), str):
        raise CaseError((f"{where}.kind: is missing",))
    if not isinstance(one.get("apiVersion"), str):
        raise CaseError((f"{where}.apiVersion: is missing",))
    if not isinstance(one["metadata"].get("name"), str):
        raise CaseError((f"{where}.metadata.name: is missing",))
    if one["kind"] in NEVER_READ:
        raise CaseError((f"{where}: Secrets are never read; leave it out",))


def _log(path: Path) -> tuple[Log, bytes]:
    stem = path.name.removesuffix(".log")
    previous = stem.endswith(".previous")
    parts = stem.removesuffix(".previous").split("_")
    if len(parts) != 3:
        raise CaseError((f"{path}: its name must be NAMESPACE_POD_CONTAINER[.previous].log",))
    return (parts[0], parts[1], parts[2], previous), path.read_bytes()


def _expected(path: Path) -> tuple[Expected, datetime | None]:
    try:
        raw = yaml.load(_text(path), Loader=_Text)  # noqa: S506 -- a safe loader
    except yaml.YAMLError as error:
        raise CaseError((f"{path}: not YAML: {error}",)) from error
    faults = tuple(
        f"{path}: {_path(e.absolute_path)}: {e.message[:200]}"
        for e in _validator().iter_errors(raw)
    )
    if faults:
        raise CaseError(faults)
    expected = Expected(
        causes=frozenset(raw.get("causes", ())),
        verdicts=frozenset(Verdict(v) for v in raw.get("verdicts", ())) or SAID,
        cites=tuple(Proof(p.get("source", ""), p.get("text", "")) for p in raw.get("cites", ())),
        must_not_claim=tuple(raw.get("must_not_claim", ())),
        fixes=tuple(
            Remedy(FixAction(f["action"]), f.get("contains", "")) for f in raw.get("fixes", ())
        ),
        about=raw.get("about", ""),
        red_herring=raw.get("red_herring", ""),
    )
    if not expected.causes and not expected.must_not_claim and expected.verdicts & SAID:
        raise CaseError(
            (
                f"{path}: $.causes: is missing; only cannot_tell, not_a_problem and cases that say "
                "what must not be claimed do without",
            )
        )
    return expected, _time(path, raw.get("at"))


def _time(path: Path, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CaseError((f"{path}: $.at: not an RFC 3339 time: {text!r}",)) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _newest(objects: tuple[Mapping[str, Any], ...]) -> datetime | None:
    """The newest time in the recording: it was taken then."""
    return max((at for one in objects for at in _times(one)), default=None)


def _times(value: object) -> Iterator[datetime]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _times(item)
    elif isinstance(value, list):
        for item in value:
            yield from _times(item)
    elif isinstance(value, str) and value[4:5] == "-" and value.endswith("Z"):
        try:
            yield datetime.fromisoformat(value)
        except ValueError:
            return


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise CaseError((f"{path}: is missing",)) from error
    except (OSError, UnicodeError) as error:
        raise CaseError((f"{path}: cannot be read: {error}",)) from error


def _path(path: Any) -> str:
    return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)


@cache
def _validator() -> Draft202012Validator:
    text = (files("aegis_sink.evaluation") / "expected.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


class _Text(_LOADER):  # type: ignore[misc, valid-type]
    """YAML as JSON knows it: a time stays the text it is."""


_Text.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _LOADER.yaml_implicit_resolvers.items()
}
