"""The message on a terminal."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from aegis_sink.model import Incident, NoticeReason
from aegis_sink.notify.terminal import COLUMNS, TerminalNotifier, wrap
from tests.fakes.notify_incidents import NOW


async def test_a_telling_is_one_write_of_at_most_100_columns(diagnosed: Incident) -> None:
    written: list[str] = []
    terminal = TerminalNotifier(written.append, now=lambda: NOW)
    wide = replace(diagnosed, errors=("漢字" * 200,), diagnosis=None)
    posted = await terminal.post(wide, NoticeReason.FIRST, nonce="n1")
    assert posted.channel == "terminal"
    assert len(written) == 1
    assert written[0].endswith("\n")
    assert max(map(cell_len, written[0].splitlines())) <= COLUMNS


async def test_text_from_the_cluster_cannot_steer_the_terminal(diagnosed: Incident) -> None:
    written: list[str] = []
    terminal = TerminalNotifier(written.append, now=lambda: NOW)
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b31m\rfake prompt $"
    incident = replace(diagnosed, title=hostile, cluster=hostile, missing=(hostile,))
    await terminal.post(incident, NoticeReason.DIAGNOSED, nonce="n1")
    assert not set(written[0]) & {chr(n) for n in (*range(9), *range(11, 32), *range(127, 160))}


async def test_editing_and_replying_write_nothing(found: Incident) -> None:
    written: list[str] = []
    terminal = TerminalNotifier(written.append)
    posted = await terminal.post(found, NoticeReason.FIRST, nonce="n1")
    await terminal.edit(found, NoticeReason.CHANGED, posted)
    await terminal.reply(found, NoticeReason.RESOLVED, posted)
    assert len(written) == 1
    assert await terminal.find("n1", since=NOW) is None


def test_wrapped_lines_keep_their_indent_and_their_words() -> None:
    line = "    " + "word " * 60
    pieces = wrap(line.rstrip())
    assert all(piece.startswith("    word") for piece in pieces)
    assert " ".join(" ".join(pieces).split()) == " ".join(line.split())


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=400))
def test_no_line_is_too_wide_and_nothing_is_lost(line: str) -> None:
    pieces = wrap(line)
    assert max(map(cell_len, pieces)) <= COLUMNS
    assert "".join(pieces).replace(" ", "") == line.replace(" ", "")
