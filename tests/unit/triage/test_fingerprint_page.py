"""docs/fingerprint.md is true: each of its examples is run."""

import re
from pathlib import Path

import pytest

from aegis_sink.model import ObjectRef
from aegis_sink.triage.fingerprint import failure_class, fingerprint
from aegis_sink.triage.subject import subject_from_name

PAGE = (Path(__file__).parents[3] / "docs" / "fingerprint.md").read_text()
BLOCKS = [
    (what, kind, body.splitlines())
    for what, kind, body in re.findall(r"^```(\w+) ?(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.M)
]


def blocks(what: str) -> list[tuple[str, list[str]]]:
    found = [(kind, lines) for named, kind, lines in BLOCKS if named == what]
    assert found, f"the page has no example of {what}"
    return found


def ref(text: str) -> ObjectRef:
    kind, _, path = text.partition(" ")
    namespace, _, name = path.rpartition("/")
    return ObjectRef(kind, name, namespace)


def test_all_examples_of_the_page_are_of_a_kind_that_is_run() -> None:
    known = {"subject", "class", "classes", "apart", "fingerprint"}
    assert {what for what, _, _ in BLOCKS} == known


@pytest.mark.parametrize("line", [line for _, lines in blocks("subject") for line in lines])
def test_the_subject_is_as_the_page_says(line: str) -> None:
    seen, _, subject = line.partition(" → ")
    assert subject_from_name(ref(seen)).subject == ref(subject)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (kind, text, lines[-1].removeprefix("→ "))
        for kind, lines in blocks("class")
        for text in lines[:-1]
    ],
)
def test_the_class_is_as_the_page_says(kind: str, text: str, expected: str) -> None:
    assert failure_class(kind, (text,)) == expected


def test_several_texts_make_one_class_as_the_page_says() -> None:
    for kind, lines in blocks("classes"):
        assert failure_class(kind, lines[:-1]) == lines[-1].removeprefix("→ ")


def test_what_the_page_calls_apart_is_apart() -> None:
    for kind, lines in blocks("apart"):
        assert len({failure_class(kind, (text,)) for text in lines}) == len(lines)


def test_the_fingerprints_are_as_the_page_says() -> None:
    for _, lines in blocks("fingerprint"):
        for line in lines:
            told, _, expected = line.partition(" → ")
            cluster, subject, what = told.split(", ", 2)
            assert fingerprint(cluster, ref(subject), what) == expected
