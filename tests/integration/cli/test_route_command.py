"""`aegis-sink route` shows where incidents are told."""

from typing import Any

from tests.integration.cli.conftest import Run

ROUTES = """
- match: namespace="payments", severity="down"
  channel: C0PAYMENTS
  repeat_interval: 30m
  mention: S0ONCALL01
- match: kind="Node"
  channel: "#nodes"
"""
SETTINGS: Any = {"routes": ROUTES, "slack_bot_token": "xoxb-1", "slack_channel": "C0FALLBACK"}


def test_the_list_ends_with_what_is_done_with_everything_else(run: Run) -> None:
    ended = run("route", "--json", **SETTINGS)
    assert [
        (route["channel"], route["repeat_interval"], route["mention"])
        for route in ended.json["routes"]
    ] == [
        ("C0PAYMENTS", "30m", ["S0ONCALL01"]),
        ("#nodes", "4h", []),
        ("C0FALLBACK", "4h", []),
    ]
    assert "everything else" in run("route", **SETTINGS).out


def test_labels_take_the_first_route_that_fits_and_what_passed_them_over_is_said(run: Run) -> None:
    ended = run("route", "test", "namespace=payments", "severity=risk", "kind=Node", **SETTINGS)
    assert ended.code == 0
    assert ended.out.splitlines() == [
        '1  no   severity="down", but severity is "risk"',
        '2  yes  kind="Node"',
        "        told in #nodes, again every 4h, calls nobody",
    ]
    asked = run("route", "test", "--json", "kind=Pod", **SETTINGS).json
    assert asked["route"] == {
        "number": 3,
        "match": [],
        "channel": "C0FALLBACK",
        "repeat_interval": "4h",
        "mention": [],
    }
    assert asked["passed_over"] == [
        {"number": 1, "unfit": 'namespace="payments"'},
        {"number": 2, "unfit": 'kind="Node"'},
    ]


def test_what_is_neither_a_label_nor_an_incident_is_one_line(run: Run) -> None:
    wrong = run("route", "test", "namspace=payments", **SETTINGS)
    assert wrong.code == 2
    assert "namspace=payments is no label" in wrong.err
    run("migrate", **SETTINGS)
    unknown = run("route", "test", "nobody", **SETTINGS)
    assert unknown.code == 1
    assert unknown.err.startswith("aegis-sink: no incident nobody")


def test_a_route_that_cannot_be_followed_prevents_the_start(run: Run) -> None:
    ended = run("serve", routes="- {match: 'kind=\"Pod\"', repeat_interval: soon}")
    assert ended.code == 1
    assert "AEGIS_ROUTES (environment): route 1, repeat_interval: is not a duration" in ended.err
