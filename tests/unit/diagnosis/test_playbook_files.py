"""Playbooks as files: the built-in ones are sound, faults in a user's are named."""

import re
from pathlib import Path

import pytest

from aegis_sink.diagnosis.playbook import PlaybookError
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.diagnosis.rehearsal import check
from aegis_sink.model import FixAction
from tests.fakes.diagnosis_cases import builtin

GOOD = """\
id: tape
title: A tape robot does not answer
when: {errors: 'tape robot'}
causes:
  - id: tape-robot-offline
    title: The tape robot is offline
    root_cause: [The tape robot is offline.]
    certain: {errors: 'tape robot \\S+ offline'}
examples:
  - {errors: ["tape robot r2 offline"], expect: tape-robot-offline}
"""


def test_the_builtin_playbooks_lead_their_own_examples_to_the_right_causes() -> None:
    assert check() == ()


def test_there_are_more_than_sixty_causes_and_nearly_all_have_an_example() -> None:
    rehearsed = {e.expect for p in builtin().playbooks for e in p.examples}
    assert len(builtin().causes) >= 60
    assert len(set(builtin().causes) - rehearsed) < 0.1 * len(builtin().causes)


def test_no_playbook_offers_an_action_outside_the_closed_set() -> None:
    actions = {f.action for c in builtin().causes.values() for f in c.fixes}
    assert actions <= set(FixAction)


def test_a_users_folder_adds_playbooks_and_changes_the_version(tmp_path: Path) -> None:
    (tmp_path / "tape.yaml").write_text(GOOD)
    both = Playbooks.load(tmp_path)
    assert "tape-robot-offline" in both.causes
    assert both.version != builtin().version
    assert check(tmp_path) == ()


def test_the_playbook_of_the_page_about_playbooks_can_be_copied(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "playbooks.md").read_text()
    (tmp_path / "yours.yaml").write_text("".join(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)))
    assert check(tmp_path) == ()
    assert len(Playbooks.load(tmp_path).playbooks) == len(builtin().playbooks) + 1


def test_a_cause_that_nothing_can_lead_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "tape.yaml").write_text(
        GOOD.replace("    certain: {", "    for: [{weak: {").replace(
            "offline'}\nexamples", "offline'}}]\nexamples"
        )
    )
    assert [p for p in check(tmp_path) if "nothing can lead to it" in p]


def test_a_users_playbook_replaces_the_builtin_one_of_the_same_id(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace("id: tape\n", "id: hygiene\n"))
    causes = Playbooks.load(tmp_path).causes
    assert "tape-robot-offline" in causes
    assert "config-map-unused" not in causes


@pytest.mark.parametrize(
    ("before", "after", "line", "reason"),
    [
        ("title: A tape robot does not answer", "titel: x", 1, "titel"),
        ("    certain: {errors", "    certain: {error", 8, "none of the known forms"),
        ("{errors: 'tape robot \\\\S+ offline'}", "{errors: '(unclosed'}", 0, "regular expression"),
        ("{errors: 'tape robot'}", "{field: pod.phaze, is: x}", 0, "no field 'pod.phaze'"),
        ("[The tape robot is offline.]", "['{pod.node} is offline.']", 0, "must do without values"),
        ("[The tape robot is offline.]", "['{robot} off.', Off.]", 0, "names unknown 'robot'"),
        ("[The tape robot is offline.]", "['{pod.node|up}.', Off.]", 0, "no filter 'up'"),
        ("id: tape-robot-offline", "id: port-in-use", 0, "used 2 times"),
        ("    certain", "    part_of: nothing\n    certain", 0, "part_of 'nothing'"),
        ("    certain", "    outranks: [nothing]\n    certain", 0, "outranks 'nothing'"),
        ("id: tape\n", "id: [tape\n", 0, "not YAML"),
    ],
)
def test_a_fault_is_told_with_its_place_and_reason(
    tmp_path: Path, before: str, after: str, line: int, reason: str
) -> None:
    text = GOOD.replace(before.replace("\\\\", "\\"), after, 1)
    assert text != GOOD
    (tmp_path / "tape.yaml").write_text(text)
    with pytest.raises(PlaybookError) as error:
        Playbooks.load(tmp_path)
    told = str(error.value)
    assert "tape.yaml" in told
    assert reason in told
    if line:
        assert f"tape.yaml:{line}:" in told
    assert check(tmp_path)


def test_a_wrong_example_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "tape.yaml").write_text(GOOD.replace("r2 offline", "r2 jammed"))
    (problem,) = check(tmp_path)
    assert "leads to no cause" in problem


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match="no such folder"):
        Playbooks.load(tmp_path / "nowhere")


def test_a_runbook_is_the_causes_else_the_playbooks_and_yours_replaces_the_built_in_ones(
    tmp_path: Path,
) -> None:
    own = GOOD.replace("causes:", "runbook: https://tape.test/all\ncauses:", 1)
    (tmp_path / "tape.yaml").write_text(own)
    causes = Playbooks.load(tmp_path).causes
    assert causes["tape-robot-offline"].runbook == "https://tape.test/all"
    assert causes["image-pull-failed"].runbook.startswith("https://kubernetes.io/docs/")
    wiki = Playbooks.load(tmp_path, runbook_url="https://wiki.test/{cause}.html").causes
    assert wiki["tape-robot-offline"].runbook == "https://tape.test/all"
    assert wiki["image-pull-failed"].runbook == "https://wiki.test/image-pull-failed.html"
    (tmp_path / "tape.yaml").write_text(own.replace("https:", "javascript:"))
    with pytest.raises(PlaybookError, match=r"runbook"):
        Playbooks.load(tmp_path)


def test_no_sentence_is_cut_in_two_by_a_comma_of_an_unquoted_list() -> None:
    said = [(c.id, text) for c in builtin().causes.values() for text in c.root_cause]
    whole = re.compile(r"[A-Z{“].*[.}]$", re.DOTALL)
    assert [(cause, text) for cause, text in said if not whole.match(text)] == []


def test_a_file_that_cannot_be_read_is_named_like_any_fault(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes("title: Prüfung".encode("latin-1"))
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(PlaybookError) as found:
        Playbooks.load(tmp_path)
    assert [p.partition(":")[0] for p in found.value.problems] == [
        "empty.yaml",
        "folder.yaml",
        "latin.yaml",
    ]
