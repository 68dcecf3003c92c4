"""Pressed buttons: who said so, and what they mean."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_sink.model import Incident, State
from aegis_sink.notify.actions import (
    Action,
    NotAnAction,
    action_of,
    is_from_slack,
    payload_of_form,
)
from aegis_sink.notify.buttons import ActionKind, buttons_for
from tests.fakes.notify_incidents import NOW, make_diagnosed, make_found

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # pragma: allowlist secret
BODY = b"payload=%7B%7D"
STAMP = str(int(NOW.timestamp()))


def sign(body: bytes = BODY, stamp: str = STAMP, secret: str = SECRET) -> str:
    base = b"v0:" + stamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def trusted(body: bytes = BODY, stamp: str = STAMP, signature: str = "") -> bool:
    return is_from_slack(
        body,
        timestamp=stamp,
        signature=signature or sign(body, stamp),
        signing_secret=SECRET,
        now=NOW,
    )


def pressed(**changes: object) -> dict[str, object]:
    return {
        "type": "block_actions",
        "user": {"id": "U1", "username": "ada", "team_id": "T1"},
        "container": {"type": "message", "message_ts": "1.2", "channel_id": "C1"},
        "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [{"type": "button", "action_id": "acknowledge", "value": "inc-1"}],
        **changes,
    }


def test_a_right_signature_is_trusted() -> None:
    assert trusted()


def test_a_body_changed_after_signing_is_not() -> None:
    assert not trusted(b"payload=%7B1%7D", signature=sign(BODY))


def test_another_secret_is_not() -> None:
    assert not trusted(signature=sign(secret="another"))


@pytest.mark.parametrize(("age", "fresh"), [(299, True), (301, False), (-299, True), (-301, False)])
def test_a_signature_lives_five_minutes(age: int, fresh: bool) -> None:
    stamp = str(int((NOW - timedelta(seconds=age)).timestamp()))
    assert trusted(stamp=stamp, signature=sign(stamp=stamp)) is fresh


@given(stamp=st.text(), signature=st.text(), body=st.binary())
def test_nothing_made_up_is_trusted_and_nothing_raises(
    stamp: str, signature: str, body: bytes
) -> None:
    assert not is_from_slack(
        body, timestamp=stamp, signature=signature, signing_secret=SECRET, now=NOW
    )


def test_bytes_that_are_no_text_are_not_trusted() -> None:
    assert not trusted(b"\xff\xfe")


def test_a_press_is_read_from_slacks_form() -> None:
    body = urlencode({"payload": json.dumps(pressed())}).encode()
    action = action_of(payload_of_form(body))
    assert action == Action(
        key=action.key,
        kind=ActionKind.ACKNOWLEDGE,
        incident_id="inc-1",
        user_id="U1",
        user_name="ada",
        response_url="https://hooks.slack.com/actions/T1/1/x",
    )


def test_the_same_press_has_the_same_key_and_another_has_another() -> None:
    first = action_of(pressed(trigger_id="t1"))
    assert action_of(pressed(trigger_id="t1")).key == first.key
    assert action_of(pressed(trigger_id="t2")).key != first.key
    again = [{"action_id": "acknowledge", "value": "inc-1", "action_ts": "2.0"}]
    assert action_of(pressed(actions=again)).key != action_of(pressed()).key


def test_what_cannot_be_stored_is_made_plain() -> None:
    action = action_of(pressed(user={"id": "U1", "username": "a\ud800" * 1000}))
    assert action.user_name.encode()
    assert len(action.user_name) <= 200
    assert action_of(pressed(user={"id": "U1", "name": "a\x1b[31m\nb"})).user_name == "a b"
    assert action_of(pressed(user={"id": "U1", "name": "\x00"})).user_name == "U1"


@pytest.mark.parametrize(
    "body", [b"", b"payload=", b"payload={", b"other=1", b"\xff", b"payload=" + b"[" * 100_000]
)
def test_a_form_that_is_not_slacks_is_named(body: bytes) -> None:
    with pytest.raises(NotAnAction):
        payload_of_form(body)


@pytest.mark.parametrize(
    "payload",
    [
        pressed(type="view_submission"),
        pressed(actions=[]),
        pressed(actions=[{"action_id": "launch_missiles", "value": "inc-1"}]),
        pressed(actions=[{"action_id": "acknowledge"}]),
        pressed(actions=[{"action_id": "acknowledge", "value": "x" * 2000}]),
        pressed(actions=["acknowledge"]),
        pressed(actions={"action_id": "acknowledge"}),
        pressed(user={}),
        pressed(user="U1"),
    ],
)
def test_an_unknown_press_says_where_to_answer(payload: dict[str, object]) -> None:
    with pytest.raises(NotAnAction) as caught:
        action_of(payload)
    assert caught.value.response_url == "https://hooks.slack.com/actions/T1/1/x"


def test_every_button_comes_back_as_the_action_it_promised() -> None:
    diagnosed = make_diagnosed()
    offered = set()
    for incident in (make_found(), diagnosed, replace(diagnosed, state=State.SILENCED)):
        for button in buttons_for(incident):
            action = action_of(
                pressed(actions=[{"action_id": button.action_id, "value": button.value}])
            )
            assert action.kind == button.action_id
            assert action.incident_id == incident.id
            offered.add(action.kind)
    assert offered == set(ActionKind)


def test_a_resolved_incident_offers_only_the_verdict_on_the_diagnosis(diagnosed: Incident) -> None:
    kinds = {b.action_id for b in buttons_for(replace(diagnosed, state=State.RESOLVED))}
    assert kinds == {ActionKind.RIGHT, ActionKind.WRONG}
