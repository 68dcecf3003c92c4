"""Case folders: what is wrong with one is told by file, path and reason."""

from pathlib import Path

import pytest

from aegis_sink.evaluation.folder import CaseError, read_cases

FINDING = """\
kind: Result
spec: {kind: Pod, name: shop/cart-1, error: [{text: it is broken}]}
"""
EXPECTED = "{about: nothing is known, verdicts: [cannot_tell]}\n"
POD = "{apiVersion: v1, kind: Pod, metadata: {name: cart-1, namespace: shop}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    case = tmp_path / "plum"
    (case / "objects").mkdir(parents=True)
    (case / "logs").mkdir()
    (case / "finding.yaml").write_text(FINDING)
    (case / "expected.yaml").write_text(EXPECTED)
    (case / "objects" / "pod.yaml").write_text(POD)
    return case


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("expected.yaml", "{about: a, verdicts: [perhaps]}", "expected.yaml: $.verdicts[0]"),
        ("expected.yaml", "{about: a, cause: [x]}", "'cause' was unexpected"),
        ("expected.yaml", "{about: a}", "expected.yaml: $.causes: is missing"),
        ("expected.yaml", "{about: a, verdicts: [cannot_tell], at: soon}", "$.at: not an RFC 3339"),
        ("expected.yaml", "{about: [", "expected.yaml: not YAML"),
        ("finding.yaml", "hello: world", "finding.yaml: an object with hello"),
        ("objects/pod.yaml", "kind: Pod", "pod.yaml: $[0].metadata: is missing"),
        ("objects/pod.yaml", POD.replace("kind: Pod, ", ""), "pod.yaml: $[0].kind: is missing"),
        ("objects/pod.yaml", POD.replace("Pod", "Secret"), "Secrets are never read"),
        ("logs/cart.log", "x", "NAMESPACE_POD_CONTAINER"),
    ],
)
def test_a_fault_is_named(folder: Path, file: str, text: str, told: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(CaseError) as caught:
        read_cases(folder.parent)
    assert told in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_missing_finding_and_an_empty_folder_are_named(folder: Path, tmp_path: Path) -> None:
    (folder / "finding.yaml").unlink()
    with pytest.raises(CaseError, match=r"finding\.yaml: is missing"):
        read_cases(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(CaseError, match="holds no case folders"):
        read_cases(tmp_path / "none")
    with pytest.raises(CaseError, match="no such folder"):
        read_cases(tmp_path / "nowhere")


def test_all_faults_of_all_cases_are_told_at_once(folder: Path, tmp_path: Path) -> None:
    (folder / "finding.yaml").write_text("hello: world")
    (tmp_path / "fig").mkdir()
    with pytest.raises(CaseError) as caught:
        read_cases(tmp_path)
    assert len(caught.value.problems) == 2


def test_one_case_may_be_named_itself(folder: Path) -> None:
    (case,) = read_cases(folder)
    assert case.name == "plum"
    assert [o["kind"] for o in case.objects] == ["Pod"]
