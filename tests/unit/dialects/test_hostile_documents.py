"""Bodies made to crash a parser, to hold it up, or to fill a log: refused shortly, in plain words.

Nothing here measures time: what was quadratic would run into the timeout of the whole run.
"""

import contextlib
import json
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aegis_sink.dialects import table
from aegis_sink.dialects.document import YAML_DEPTH_LIMIT, YAML_EVENTS_LIMIT
from aegis_sink.dialects.errors import DialectError, InvalidBody, NotReadable
from aegis_sink.dialects.table import TABLE, read, read_document, read_documents, schemas
from aegis_sink.model import ObjectRef

BODY_LIMIT = 2 * 1024 * 1024
RESULT = "kind: Result\nspec: {kind: Pod, name: ns/a}\n"
TITLE = ">*[cr] K8sGPT analysis of the Pod ns/a*"


def details_of(text: str) -> str:
    body = {"text": TITLE, "attachments": [{"type": "mrkdwn", "text": text}]}
    return read(json.dumps(body).encode(), cluster="c").findings[0].details


@pytest.mark.parametrize(
    "value",
    ["!!bool maybe", "!!timestamp x", '!!int ""', "!!binary a", "!!set {a}", f"!{'x' * 5000} b"],
)
def test_yaml_tags_are_refused_before_a_constructor_sees_them(value: str) -> None:
    with pytest.raises(NotReadable, match="tags") as refused:
        read(f"{RESULT}x: {value}\n".encode(), cluster="c", yaml=True)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("value", ["1" + ":59" * 400_000, "1" + ":59" * 400 + ".5", "0x1F", "1_0"])
def test_only_numbers_of_json_are_numbers_in_yaml(value: str) -> None:
    text = f"kind: Result\nspec: {{kind: Pod, name: ns/a, details: {value}}}\n"
    (finding,) = read(text.encode(), cluster="c", yaml=True).findings
    assert finding.details.startswith(value[:100])


def test_keys_of_yaml_are_text() -> None:
    text = "kind: Result\nspec: {kind: Pod, name: ns/a, error: [{1: x, ~: y, on: z, text: t}]}\n"
    assert read(text.encode(), cluster="c", yaml=True).findings[0].errors == ("t",)
    with pytest.raises(NotReadable, match="a key that is no text"):
        read(b"? {a: b}\n: c\n", cluster="c", yaml=True)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000 + "]" * 500_000,
        "{a: " * 300_000 + "}" * 300_000,
        "- " * 500_000 + "x",
        "a: " + "[" * (YAML_DEPTH_LIMIT + 1) + "]" * (YAML_DEPTH_LIMIT + 1),
    ],
)
def test_deep_yaml_is_refused_at_the_limit(text: str) -> None:
    with pytest.raises(NotReadable, match="deeper"):
        read(text.encode(), cluster="c", yaml=True)


def test_a_request_of_too_many_yaml_values_is_refused_and_a_file_of_them_is_read() -> None:
    text = "- a\n" * (YAML_EVENTS_LIMIT + 1)
    with pytest.raises(NotReadable, match="send JSON"):
        read(text.encode(), cluster="c", yaml=True)
    (document,) = read_documents(text)
    assert isinstance(document, list)
    assert len(document) == YAML_EVENTS_LIMIT + 1


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf", b"# nothing\n", b"---\n"])
def test_a_body_without_a_document_says_so(body: bytes) -> None:
    with pytest.raises(NotReadable, match="nothing in it"):
        read(body, cluster="c", yaml=True)


def test_a_long_stream_of_documents_is_read_in_one_pass() -> None:
    assert sum(1 for _ in read_documents('{"a": 1}\n' * 1_000_000)) == 1_000_000


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"items":[' + "1," * 500_000 + "1]}", "$.items[0]"),
        ('{"items":[' + "{}," * 600_000 + "1]}", "$.items[600000]"),
        (
            '{"spec":{"kind":"P","name":"n","error":[' + '"",' * 600_000 + "7]}}",
            "$.spec.error[600000]",
        ),
        ('{"x":"\\ud800","items":[' + "{}," * 600_000 + "1]}", "$.items[600000]"),
    ],
)
def test_saying_why_costs_no_more_than_reading(body: str, path: str) -> None:
    assert len(body) < BODY_LIMIT
    with pytest.raises(InvalidBody) as refused:
        read(body.encode(), cluster="c")
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"spec": {"kind": "Pod", "name": ""}}, "result: $.spec.name is empty"),
        ({"spec": {"kind": 7, "name": "a"}}, "result: $.spec.kind is number, must be string"),
        ({"spec": {"name": "a"}}, "result: $.spec.kind is missing"),
        (
            {"type": "X" * 5000, "object": {}},
            f"watch_event: $.type is '{'X' * 40}', must be one of "
            "ADDED, MODIFIED, DELETED, BOOKMARK, ERROR",
        ),
        (
            {"type": "ERROR", "object": {}},
            "watch_event: $.type is ERROR: the watch broke off (no reason given)",
        ),
        (
            {"items": [{"spec": {"kind": "P", "name": "n"}}, {"spec": {"kind": "P"}}]},
            "result_list: $.items[1].spec.name is missing or empty",
        ),
        (
            {"results": [{"kind": "P", "name": "n", "error": [{"text": 7}]}]},
            "serve: $.results[0].error[0].text is no text",
        ),
    ],
)
def test_a_refusal_reads_well(document: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        read_document(document, cluster="c")
    assert str(refused.value) == words


@pytest.mark.parametrize(
    "document",
    [
        {letter * 5000: 1 for letter in "abcdefghijkl"},
        {"type": "ERROR", "object": {"message": "a" * 5000}},
        {"type": "a" * 5000, "object": {}},
        {"text": "a" * 5000},
    ],
)
def test_a_refusal_quotes_little_of_the_body(document: dict[str, object]) -> None:
    with pytest.raises(DialectError) as refused:
        read_document(document, cluster="c")
    quoted = max(str(refused.value).count(letter) for letter in "abcdefghijkl")
    assert quoted < 200
    assert len(str(refused.value)) < 320


@pytest.mark.parametrize("name", ["ns/", "//a", "ns//a", "ns/p/", "/"])
def test_a_name_with_an_empty_part_is_refused(name: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        read_document({"spec": {"kind": "Pod", "name": name}}, cluster="c")
    assert refused.value.path == "$.spec.name"


def test_invisible_marks_do_not_hide_a_thought_or_a_mention() -> None:
    assert details_of("<th\u200bink>secret</think>x") == "x"
    assert details_of("<!chan\u2060nel>") == "[!channel]"
    assert details_of(f"<!subteam^S1|{'x' * 300}>").startswith("[!subteam")


@pytest.mark.parametrize("mark", ["\U000e0041", "\u180e", "\ufff9", "\u2066", "\u00ad", "\u061c"])
def test_marks_that_a_model_reads_and_a_person_does_not_are_taken_out(mark: str) -> None:
    assert details_of(f"a{mark}b") == "ab"


@given(
    st.lists(
        st.sampled_from(
            [
                "kind: Result\n",
                "spec:\n",
                "  kind: Pod\n",
                "  name: ns/a\n",
                "  error:\n",
                "  - text: x\n",
                "  - ",
                "{",
                "}",
                "[",
                "]",
                "? ",
                ": ",
                "!!int ",
                "!!bool ",
                "&a ",
                "*a ",
                "1:59",
                ".inf",
                "0o7",
                "'",
                '"',
                "|\n",
                "---\n",
                "<<: ",
                "=",
                "~",
                "\t",
                "%",
            ]
        ),
        max_size=14,
    )
)
@settings(max_examples=400)
def test_any_yaml_is_findings_or_refused(parts: list[str]) -> None:
    body = "".join(parts).encode()
    with contextlib.suppress(DialectError):
        read(body, cluster="c", yaml=True)
    with contextlib.suppress(DialectError):
        for document in read_documents(body.decode()):
            json.dumps(document, allow_nan=False)


def test_each_schema_is_valid_and_packaged() -> None:
    folder = files("aegis_sink.dialects") / "schemas"
    stored = {path.name for path in folder.iterdir()}
    assert stored == {f"{dialect.name}.json" for dialect in TABLE}
    for schema in schemas().values():
        Draft202012Validator.check_schema(schema)


def test_a_line_in_the_table_without_a_schema_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "TABLE", (*TABLE, replace(TABLE[0], name="new")))
    with pytest.raises(FileNotFoundError):
        schemas.__wrapped__()


def test_the_last_of_two_equal_keys_counts() -> None:
    body = f'{{"text": "x", "text": "{TITLE}", "attachments": null}}'
    assert read(body.encode(), cluster="c").findings[0].object == ObjectRef("Pod", "a", "ns")
