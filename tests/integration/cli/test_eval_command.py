"""`aegis-sink eval` and `aegis-sink playbooks`, from outside."""

import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis_sink.model import Feedback, Incident
from aegis_sink.store import incidents
from aegis_sink.store.database import open_engine
from aegis_sink.store.feedback import store_feedback
from tests.integration.cli.conftest import Environment, Run, Running

CASE = Path(__file__).parents[2] / "evals" / "cases" / "grebe"
NO_MODEL = {"AEGIS_LLM_API": "off"}


def test_a_case_is_diagnosed_and_compared(run: Run) -> None:
    found = run("eval", str(CASE), "--json", environment=NO_MODEL)
    assert found.code == 0, found.err
    (case,) = found.json["cases"]
    assert case["cause_id"] == "service-selector-mismatch"
    assert case["cause_right"] is True
    assert found.json["totals"]["confidently_wrong"] == 0


def test_below_the_floor_it_ends_with_one(run: Run, tmp_path: Path) -> None:
    case = tmp_path / "plum"
    (case / "objects").mkdir(parents=True)
    for name in ("finding.yaml", "objects/service.yaml"):
        (case / name).write_bytes((CASE / name).read_bytes())
    (case / "expected.yaml").write_text("{about: all is well, causes: [job-suspended]}")
    found = run("eval", str(tmp_path), environment=NO_MODEL)
    assert found.code == 1
    assert "cause right              0%" in found.out
    assert run("eval", str(tmp_path), "--floor", "0", environment=NO_MODEL).code in (0, 1)


def test_a_folder_that_cannot_be_read_ends_with_two(run: Run, tmp_path: Path) -> None:
    (tmp_path / "plum").mkdir()
    found = run("eval", str(tmp_path), environment=NO_MODEL)
    assert found.code == 2
    assert "expected.yaml: is missing" in " ".join(found.err.split())


def test_asking_a_model_needs_one(run: Run) -> None:
    assert run("eval", str(CASE), "--model", environment=NO_MODEL).code == 2


def test_ones_own_playbooks_are_tested_and_listed(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "tape.yaml"
    mine.write_text(
        "id: tape\ntitle: A tape robot does not answer\nwhen: {errors: 'tape robot'}\n"
        "causes:\n  - id: tape-robot-offline\n    title: The tape robot is offline\n"
        "    root_cause: [The tape robot is offline.]\n"
        "    certain: {errors: 'tape robot \\S+ offline'}\n"
        "examples:\n  - {errors: ['tape robot r2 offline'], expect: tape-robot-offline}\n"
    )
    assert run("playbooks", "test", str(tmp_path)).code == 0
    listed = run("playbooks", "list", str(tmp_path), "--json").json["causes"]
    assert "tape-robot-offline" in [one["cause"] for one in listed]
    mine.write_text(mine.read_text().replace("r2 offline'], expect", "r2 is well'], expect"))
    found = run("playbooks", "test", str(tmp_path))
    assert found.code == 1
    assert "example for tape-robot-offline" in " ".join(found.err.split())


RESULT = {
    "apiVersion": "core.k8sgpt.ai/v1alpha1",
    "kind": "Result",
    "metadata": {"name": "shopapi", "namespace": "k8sgpt"},
    "spec": {
        "kind": "Pod",
        "name": "shop/api-66959989c5-d222p",
        "error": [{"text": 'Back-off pulling image "registry/api:nope"'}],
        "details": "",
    },
}


def judged(running: Running, *, right: bool) -> Incident:
    """An incident that was told, and what ada says of its diagnosis."""
    body = json.dumps(RESULT).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(  # noqa: S310
        f"{running.url}/v1/findings?wait=30", data=body, headers=headers
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        [made] = json.loads(answer.read())["incidents"]
    engine = open_engine(running.environment["AEGIS_DATABASE_URL"])
    with engine.begin() as connection:
        incident = incidents.get(connection, made["id"])
    assert incident is not None
    assert incident.diagnosis is not None
    said = Feedback(datetime(2026, 3, 1, tzinfo=UTC), "ada", "U1", right, incident.diagnosis)
    with engine.begin() as connection:
        store_feedback(connection, incident.id, said)
    engine.dispose()
    return incident


def exported(run: Run, environment: Environment, folder: Path) -> Any:
    ended = run("eval", "export", str(folder), "--json", environment=environment)
    assert ended.code == 0, ended.err
    return ended.json


@pytest.mark.parametrize("right", [True, False])
def test_what_people_judged_becomes_a_case_that_runs(
    run: Run, running: Running, tmp_path: Path, right: bool
) -> None:
    incident = judged(running, right=right)
    assert incident.diagnosis is not None
    folder = tmp_path / "mine"
    assert exported(run, running.environment, folder)["written"] == [incident.id]
    case = folder / incident.id
    expected = yaml.safe_load((case / "expected.yaml").read_text())
    assert "ada says" in expected["about"]
    found = run("eval", str(folder), "--json", environment=NO_MODEL)
    [scored] = found.json["cases"]
    assert scored["cause_id"] == incident.diagnosis.cause_id
    assert scored["verdict"] == incident.diagnosis.verdict
    # The same playbooks say the same again: right where it was right, a claim where it was not.
    assert scored["cause_right"] is right
    assert found.code == (0 if right else 1)
    (case / "expected.yaml").write_text("about: set right by hand\n")
    assert exported(run, running.environment, folder) == {"written": [], "kept": [incident.id]}
    assert "set right by hand" in (case / "expected.yaml").read_text()


def test_evidence_that_cannot_be_read_is_named(run: Run, tmp_path: Path) -> None:
    case = tmp_path / "plum"
    case.mkdir()
    (case / "finding.yaml").write_text(json.dumps(RESULT))
    (case / "expected.yaml").write_text("{about: a, verdicts: [cannot_tell]}")
    (case / "evidence.json").write_text('{"subject": {"kind": "Pod"}}')
    found = run("eval", str(tmp_path), environment=NO_MODEL)
    assert found.code == 2
    assert "evidence.json: is not recorded evidence" in " ".join(found.err.split())
