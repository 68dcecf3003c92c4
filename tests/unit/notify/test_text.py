"""Text from outside, made safe and short."""

from datetime import timedelta

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from aegis_sink.notify.plain import slack_text
from aegis_sink.notify.text import clamp, clean, disarm, duration_words, one_line, plural, units

FAMILY = "👩‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x07click\x1b]8;;\x07", "click"),
        ("\x9b2Jgone", "gone"),
        ("a\x00b\x08c\x7f", "abc"),
        ("kubectl \u202edelete\u202c", "kubectl delete"),
        ("one\r\ntwo\rthree\tfour", "one\ntwo\nthree\tfour"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_what_could_steer_a_terminal_is_gone(text: str, left: str) -> None:
    assert clean(text) == left


def test_what_nobody_sees_is_gone() -> None:
    assert one_line("\u200b\ufeff \u2060\u00ad\U000e0041") == ""
    assert one_line("pay\u200bments") == "payments"
    assert (
        one_line("\N{WOMAN}\u200d\N{PERSONAL COMPUTER}") == "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}"
    )


def test_a_family_is_kept_whole_or_left_out() -> None:
    text = f"ab{FAMILY}cd"
    assert clamp(text, units(f"ab{FAMILY}…")) == f"ab{FAMILY}…"
    assert clamp(text, units(f"ab{FAMILY}…") - 1) == "ab…"


@given(text=st.text(max_size=200), limit=st.integers(1, 80))
def test_a_cut_text_fits_and_ends_between_graphemes(text: str, limit: int) -> None:
    cut = clamp(text, limit)
    assert units(cut) <= limit
    if cut != text:
        kept = cut.removesuffix("…")
        ends = {m.end() for m in regex.finditer(r"\X", text)} | {0}
        assert any(text[:end].rstrip() == kept for end in ends)


@pytest.mark.parametrize("text", ["<!channel>", "<@U123>", "<#C1|x>", "<https://x|y>", "@here ok"])
def test_mentions_and_links_are_broken_invisibly(text: str) -> None:
    broken = disarm(text)
    assert broken != text
    assert broken.replace("\u2060", "") == text


@pytest.mark.parametrize(
    "text", ["kubectl set image api=<image>", "a < b && c > d", "me@hereford.uk"]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert disarm(text) == text


def test_escaping_never_leaves_half_an_entity() -> None:
    text = slack_text(["&" * 5000])
    assert len(text) <= 3900
    assert text.replace("&amp;", "") == "…"


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "less than a minute"),
        (12, "12 min"),
        (65, "1 h 5 min"),
        (120, "2 h"),
        (3 * 1440 + 60, "3 d 1 h"),
    ],
)
def test_durations_in_words(minutes: int, words: str) -> None:
    assert duration_words(timedelta(minutes=minutes)) == words


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [
        (1, "Pod", "1 Pod"),
        (2, "Pod", "2 Pods"),
        (2, "Ingress", "2 Ingresses"),
        (2, "NetworkPolicy", "2 NetworkPolicies"),
        (2, "fix", "2 fixes"),
        (3, "Gateway", "3 Gateways"),
    ],
)
def test_plurals(count: int, noun: str, words: str) -> None:
    assert plural(count, noun) == words
