"""Log lines leave the program: no secret in them, one line a record, JSON that parses."""

import json
import logging
from collections.abc import Iterator

import pytest

from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.logs import set_up


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """`set_up` changes the root logger of this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = False


def write(capsys: pytest.CaptureFixture[str], form: str, text: str) -> str:
    """One line and one traceback through the set-up; what stands on standard error."""
    set_up(form=form, level="debug", redact=Redactor(b"k"), secrets={'pl"anted/1', "abc"})
    log = logging.getLogger("aegis_sink.test")
    log.info("%s", text, extra={"what": text})
    try:
        int(text)
    except ValueError:
        log.exception("it failed")
    return capsys.readouterr().err


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "text", ['token pl"anted/1!', "GET /webhook/pl%22anted%2F1", "password=hunter2hunter2"]
)
def test_no_secret_stands_in_a_line_a_field_or_a_traceback(
    capsys: pytest.CaptureFixture[str], form: str, text: str
) -> None:
    err = write(capsys, form, text)
    for part in ("anted", "hunter2"):
        assert part not in err
    assert "it failed" in err


def test_json_is_one_object_a_line_whatever_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    err = write(capsys, "json", 'a "quote"\nand\u2028 a \x1b[31mline pl"anted/1')
    first, second = [json.loads(line) for line in err.rstrip("\n").split("\n")]
    assert first["level"] == "INFO"
    assert first["logger"] == "aegis_sink.test"
    assert first["message"].startswith('a "quote"\nand')
    assert first["time"].endswith("Z")
    assert "ValueError" in second["exc_info"]


def test_text_of_others_cannot_look_like_a_line_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up(form="text", level="info", redact=lambda text: text, secrets=())
    logging.getLogger("x").info("name\n12:00:00 ERROR forged \x1b[2J\u2028")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert r"name\n12:00:00" in err


def test_short_secrets_leave_words_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert "abcdef" in write(capsys, "text", "abcdef")


def test_access_lines_are_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    write(capsys, "text", "x")
    logging.getLogger("uvicorn.access").info("GET /webhook/token")
    assert capsys.readouterr().err == ""
