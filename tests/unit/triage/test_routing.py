"""Which route an incident takes."""

from datetime import timedelta

import pytest

from aegis_sink.model import Audience
from aegis_sink.triage.matchers import parse
from aegis_sink.triage.routing import Route, Routes, unreachable

HOUR = timedelta(hours=1)
PAYMENTS = Route(parse('namespace="payments", severity="down"'), Audience("C1"), HOUR)
NODES = Route(parse('kind="Node"'), Audience("", ("here",)), HOUR / 2)
REST = Route((), Audience(), 4 * HOUR)
ROUTES = Routes((PAYMENTS, NODES), REST)


def test_the_first_route_that_fits_counts() -> None:
    both = {"namespace": "payments", "severity": "down", "kind": "Node"}
    assert ROUTES.of(both) is PAYMENTS
    assert ROUTES.of({"kind": "Node", "namespace": ""}) is NODES


def test_what_fits_no_route_goes_the_usual_way() -> None:
    assert ROUTES.of({"namespace": "payments", "severity": "risk", "kind": "Pod"}) is REST
    assert Routes((), REST).of({}) is REST


def test_each_route_before_the_one_that_is_taken_says_which_matcher_did_not_fit() -> None:
    tried = ROUTES.tried({"namespace": "payments", "severity": "risk", "kind": "Node"})
    assert [(one.route, str(one.unfit)) for one in tried] == [
        (PAYMENTS, 'severity="down"'),
        (NODES, "None"),
    ]


def test_the_shortest_interval_is_that_of_any_route() -> None:
    assert ROUTES.shortest_interval == HOUR / 2


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (('kind="Pod"', 'namespace="a"'), None),
        (('namespace="a", kind="Pod"', 'namespace="a"'), None),
        (('namespace="a"', 'kind="Pod", namespace="a"'), (1, 0)),
        (('kind="Job"', 'kind="Pod"', 'kind="Pod"'), (2, 1)),
    ],
)
def test_a_route_behind_one_that_takes_all_of_it_is_found(
    texts: tuple[str, ...], found: tuple[int, int] | None
) -> None:
    assert unreachable(tuple(map(parse, texts))) == found
