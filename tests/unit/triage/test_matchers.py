import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_sink.triage.matchers import (
    LABELS,
    Matcher,
    MatcherError,
    Operator,
    matches,
    parse,
)

DEV = {"namespace": "dev", "kind": "Pod", "name": "api", "cluster": "prod", "severity": "down"}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('namespace="dev"', True),
        ("namespace=dev", True),
        ('namespace="prod"', False),
        ('namespace!="prod"', True),
        ('kind=~"Pod|Job"', True),
        ('kind!~"Pod|Job"', False),
        ('kind=~"Po"', False),
        ('kind=~"Po.*"', True),
        ('namespace="dev", kind=~"Pod|Job"', True),
        ('namespace="dev",kind="Job"', False),
        ('{namespace="dev", kind="Pod",}', True),
        (' { namespace = "dev" } ', True),
        ('fingerprint=""', True),
        ('fingerprint!=""', False),
        (r'name=~"ap\w"', True),
        (r'name=~"ap\."', False),
        ('name=~"(?i)API"', True),
        ("kind=~Pod|Job", True),
        ("kind=~^P[a-z]+$", True),
        ("kind=~^P[a-z]$", False),
        ("name!=größe", True),
        ('{"namespace"="dev"}', True),
    ],
)
def test_matchers_fit_as_in_alertmanager(text: str, fits: bool) -> None:
    assert matches(parse(text), DEV) is fits


def test_quotes_backslashes_and_newlines_can_be_asked_for() -> None:
    (matcher,) = parse(r'failure_class="a \"b\" \\ \n, kind=c"')
    assert matcher == Matcher("failure_class", Operator.EQUAL, 'a "b" \\ \n, kind=c')


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 1, "no matcher"),
        ("{}", 3, "no matcher"),
        ("namspace=dev", 1, "did you mean namespace?"),
        ('namespace="dev", zzz="x"', 18, "there is no label zzz; there are cluster, "),
        ("namespace", 10, "one of = != =~ !~"),
        ("namespace==dev", 11, "a value is missing"),
        ("namespace=", 11, "a value is missing"),
        ('namespace="dev', 11, "not closed"),
        ('namespace="dev" kind="Pod"', 17, "a comma is missing"),
        ('{namespace="dev"', 17, "closing }"),
        ('namespace="dev"}', 16, "a comma is missing"),
        ('kind=~"(Pod"', 7, "missing )"),
        ('kind=~"(?=Pod)"', 7, "RE2"),
        ("namespace='dev'", 11, "a value is missing"),
        ("name=a@b c", 10, "a comma is missing"),
        (",", 1, "the name of a label is missing"),
        ('="dev"', 1, "the name of a label is missing"),
        ("namespace=" + "x" * 2000, 2001, "more than 2000"),
    ],
)
def test_an_error_says_where_and_what(text: str, position: int, says: str) -> None:
    with pytest.raises(MatcherError) as caught:
        parse(text)
    assert caught.value.position == position
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"character {position}: ")


def test_no_expression_takes_long() -> None:
    started = time.process_time()
    assert not matches(parse('name=~"(a+)+(a|aa)+b"'), {"name": "a" * 50_000})
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("pattern", ["((a{100}){100}){100}", r"(\pL{200}){200}"])
def test_an_expression_that_would_eat_the_memory_is_refused(pattern: str) -> None:
    with pytest.raises(MatcherError, match="RE2"):
        parse(f'name=~"{pattern}"')


@given(
    st.lists(
        st.builds(
            Matcher,
            st.sampled_from(LABELS),
            st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL]),
            st.text(max_size=30),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_matchers_read_back_what_they_print(matchers: list[Matcher]) -> None:
    assert parse(", ".join(map(str, matchers))) == tuple(matchers)
