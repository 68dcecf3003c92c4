"""`aegis-sink eval` and `aegis-sink playbooks`, from outside."""

from pathlib import Path

from tests.integration.cli.conftest import Run

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
