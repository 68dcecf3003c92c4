"""Whatever arrives: findings that can be kept, or one of the documented refusals."""

import contextlib
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_sink.dialects.errors import DialectError, InvalidBody, NotReadable, UnknownShape
from aegis_sink.dialects.table import Recognised, read, read_document, read_documents
from aegis_sink.model.codec import finding_from_json, finding_to_json

SAMPLES = Path(__file__).parents[2] / "fixtures" / "k8sgpt"
SLACK = json.loads((SAMPLES / "payloads" / "01-slack-pod-oomkilled.json").read_text())
RESULT = {"kind": "Result", "spec": {"kind": "Pod", "name": "ns/a", "error": [{"text": "x"}]}}
BODIES = [path.read_bytes() for path in sorted((SAMPLES / "payloads").glob("*.json"))]


def details_of(text: str) -> str:
    body = {**SLACK, "attachments": [{"type": "mrkdwn", "text": text}]}
    return read(json.dumps(body).encode(), cluster="c").findings[0].details


def keeps(recognised: Recognised) -> None:
    """Findings can be encoded, hold no NUL, and come back from JSON as they were."""
    for finding in recognised.findings:
        text = json.dumps(finding_to_json(finding), ensure_ascii=False)
        text.encode("utf-8")
        assert "\\u0000" not in text
        assert finding_from_json(json.loads(text)) == finding


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"", NotReadable, "empty"),
        (b"  \n", NotReadable, "empty"),
        (b"hello", NotReadable, "not JSON"),
        (b"{", NotReadable, "line 1"),
        (b'{"a": NaN}', NotReadable, "NaN"),
        (b'{"a": Infinity}', NotReadable, "Infinity"),
        (b"{\xff}", NotReadable, "not UTF-8 at byte 1"),
        (b"\xff\xfe{\x00}\x00", NotReadable, "UTF-16, as PowerShell writes files"),
        (gzip.compress(b"{}", mtime=0), NotReadable, "compressed with gzip; send it uncompressed"),
        (b"[" * 200_000, NotReadable, "not JSON"),
        (b'{"a":' * 100_000, NotReadable, "not JSON"),
        (b"[]", UnknownShape, "array"),
        (b"null", UnknownShape, "null"),
        (b"7", UnknownShape, "number"),
        (b"{}", UnknownShape, "known are"),
        (b'{"a": 1}', UnknownShape, "known are"),
        (b'{"text": "hello"}', InvalidBody, "title"),
        (b'{"text": 7, "attachments": [{"type": "x"}]}', InvalidBody, r"\$\.text"),
        (b'{"specversion": "1.0"}', InvalidBody, r"\$\.data"),
        (b'{"type": "SOMETHING", "object": {}}', InvalidBody, r"\$\.type"),
        (b'{"type": "ADDED", "object": {"kind": "Pod"}}', InvalidBody, r"\$\.object\.kind"),
        (b'{"items": [{"kind": "Pod"}]}', InvalidBody, r"\$\.items"),
    ],
)
def test_a_refusal_says_what_and_where(body: bytes, error: type[DialectError], words: str) -> None:
    with pytest.raises(error, match=words) as refused:
        read(body, cluster="c")
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"kind": "Result", "spec": {"kind": "Pod"}}, "$.spec.name"),
        ({"kind": "Result", "spec": {"name": "a/b"}}, "$.spec.kind"),
        ({"kind": "Result", "spec": {"kind": "Pod", "name": ""}}, "$.spec.name"),
        ({"kind": "Result", "spec": {"kind": "Pod", "name": "/"}}, "$.spec.name"),
        ({"kind": "Result", "spec": "x"}, "$.spec"),
        ({"kind": "Result", "spec": {"kind": "Pod", "name": "a", "error": "x"}}, "$.spec.error"),
        (
            {"kind": "Result", "spec": {"kind": "Pod", "name": "a", "error": [7]}},
            "$.spec.error[0]",
        ),
        (
            {"kind": "Result", "spec": {"kind": "Pod", "name": "a", "error": ["x", {"text": 7}]}},
            "$.spec.error[1].text",
        ),
        ({"items": [RESULT, {"kind": "Result", "spec": {"kind": "Pod"}}]}, "$.items[1].spec.name"),
        ({"provider": "", "results": [{"kind": "Pod"}]}, "$.results[0].name"),
    ],
)
def test_a_wrong_member_is_named_by_its_path(document: dict[str, object], path: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        read_document(document, cluster="c")
    assert refused.value.path == path


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "Pod", "name": "ns/a"},
        {"kind": "Pod", "name": "ns/a", "error": None, "details": None, "parentObject": None},
        {"kind": "Pod", "name": "ns/a", "error": ["plain"]},
        {"kind": "Pod", "name": "ns/a", "error": [{"Text": "x", "Sensitive": None}], "new": {}},
        {"kind": "Pod", "name": "ns/a", "error": [{}], "targetRef": {"kind": "Pod"}},
    ],
)
def test_everything_but_kind_and_name_may_be_missing(spec: dict[str, object]) -> None:
    (finding,) = read_document({"kind": "Result", "spec": spec}, cluster="c").findings
    assert finding.object.path == "ns/a"
    assert finding.result is None


def test_without_labels_the_owner_names_the_k8sgpt_object() -> None:
    metadata = {"name": "nsa", "ownerReferences": [{"kind": "K8sGPT", "name": "cr"}]}
    (finding,) = read_document({**RESULT, "metadata": metadata}, cluster="c").findings
    assert finding.k8sgpt == "cr"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>hm</think>Error: x", "Error: x"),
        ("<THINK>hm</Think>\nError: x", "Error: x"),
        ("a <think>b <think>c</think> d</think> e", "a  e"),
        ("said <think>never ends", "said"),
        ("started before</think>Error: x", "Error: x"),
        ("started <think>before</think> and ended</think>Error: x", "Error: x"),
        ("<thinking>hm</thinking>x", "x"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ],
)
def test_thoughts_are_no_details(text: str, left: str) -> None:
    assert details_of(text) == left


@pytest.mark.parametrize(
    "mention", ["<!channel>", "<!here|x>", "<@U123>", "<#C1|general>", "@here"]
)
def test_mentions_are_neutral(mention: str) -> None:
    assert mention not in details_of(f"look {mention} now")


def test_what_nobody_can_see_is_taken_out() -> None:
    assert details_of("a\x00b\u202ec\u200bd\x1b[31me\ud800f") == "abcd[31mef"


def test_numbered_lists_are_errors_and_prose_is_not() -> None:
    def errors(text: str) -> tuple[str, ...]:
        body = {"text": SLACK["text"], "attachments": [{"text": text}]}
        return read(json.dumps(body).encode(), cluster="c").findings[0].errors

    assert errors("1. a\nstill a\n2. b\n") == ("a\nstill a", "b")
    assert errors("1. a\n2. b") == ()
    assert errors("2. a\n3. b\n") == ()
    assert errors("Error: x\nSolution: 1. a\n") == ()
    assert errors("1. a\n3. not third\n") == ("a\n3. not third",)


def test_yaml_is_read_only_where_allowed_and_never_with_aliases() -> None:
    text = "kind: Result\nspec: {kind: Pod, name: ns/a}\nmetadata: {creationTimestamp: 2026-03-01T10:21:07Z}\n"
    with pytest.raises(NotReadable):
        read(text.encode(), cluster="c")
    assert read(text.encode(), cluster="c", yaml=True).findings[0].object.path == "ns/a"
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    with pytest.raises(NotReadable, match="aliases"):
        read(bomb.encode(), cluster="c", yaml=True)
    with pytest.raises(NotReadable, match="2 YAML documents"):
        read(f"{text}---\n{text}".encode(), cluster="c", yaml=True)


def test_a_file_may_hold_many_documents() -> None:
    one = json.dumps(RESULT)
    assert len(list(read_documents(f"{one}\n{one}\n"))) == 2
    assert len(list(read_documents(f"{json.dumps(RESULT, indent=1)}{one}"))) == 2
    assert len(list(read_documents("kind: Result\n---\nkind: Result\n---\n"))) == 2
    assert len(list(read_documents(f"{one}\n---\n{json.dumps(RESULT, indent=1)}\n---\n"))) == 2
    with pytest.raises(NotReadable):
        list(read_documents(""))


@given(st.binary(max_size=65_536))
def test_any_bytes_are_findings_or_refused(body: bytes) -> None:
    for yaml in (False, True):
        try:
            keeps(read(body, cluster="c", yaml=yaml))
        except DialectError:
            continue


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "text",
                    "attachments",
                    "type",
                    "object",
                    "spec",
                    "kind",
                    "name",
                    "error",
                    "details",
                    "items",
                    "results",
                    "provider",
                    "specversion",
                    "data",
                    "metadata",
                    "labels",
                    "ownerReferences",
                    "parentObject",
                    "Text",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@given(_json)
@settings(max_examples=300)
def test_any_json_is_findings_or_refused(document: object) -> None:
    with contextlib.suppress(DialectError):
        keeps(read_document(document, cluster="c"))


@given(st.sampled_from(BODIES), st.data())
@settings(max_examples=200)
def test_a_damaged_body_is_findings_or_refused(body: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(body)))
    cut = data.draw(st.integers(0, 20))
    extra = data.draw(st.binary(max_size=10))
    with contextlib.suppress(DialectError):
        keeps(read(body[:position] + extra + body[position + cut :], cluster="c"))


@pytest.mark.parametrize("body", BODIES)
def test_the_form_of_the_json_does_not_matter(body: bytes) -> None:
    document = json.loads(body)
    again = json.dumps(dict(reversed(document.items())), indent=3).encode()
    assert read(again, cluster="c") == read(body, cluster="c")
    assert read(b"\xef\xbb\xbf" + body, cluster="c") == read(body, cluster="c")


@pytest.mark.parametrize(
    "text",
    ["<" * 1_000_000, "<think>" * 250_000, "<!" * 700_000, "\u202e" * 600_000, "a@" * 700_000],
)
def test_two_megabytes_of_the_worst_end(text: str) -> None:
    assert len(details_of(text)) < 17_000
