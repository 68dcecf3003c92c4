"""Pressed buttons: is it Slack that says so, and who pressed what. Pure functions.

Sources: docs.slack.dev, "Verifying requests from Slack" and "block_actions payload".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs

from slack_sdk.signature import Clock, SignatureVerifier

from aegis_sink.notify.buttons import ActionKind

BODY_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Action:
    """One press of one button. `channel` and `ts` say below which message; "" where unknown."""

    kind: ActionKind
    incident_id: str
    user_id: str
    user_name: str
    channel: str
    ts: str
    response_url: str


class NotAnAction(ValueError):
    """The payload is not a button press that is known here.

    `response_url` is where the person who pressed can be told so; "" when it is not known.
    """

    def __init__(self, message: str, *, response_url: str = "") -> None:
        super().__init__(message)
        self.response_url = response_url


class _At(Clock):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> float:
        return self._now.timestamp()


def is_from_slack(
    body: bytes, *, timestamp: str, signature: str, signing_secret: str, now: datetime
) -> bool:
    """Whether the `v0` signature is right and not more than five minutes old.

    `timestamp` and `signature` are the headers X-Slack-Request-Timestamp and X-Slack-Signature.
    """
    # The SDK raises on what is not a number or not ASCII; for us that is a wrong signature.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        return False
    if not signature.isascii() or len(body) > BODY_LIMIT_BYTES:
        return False
    try:
        return SignatureVerifier(signing_secret, _At(now)).is_valid(body, timestamp, signature)
    except UnicodeDecodeError:
        return False


def payload_of_form(body: bytes) -> Mapping[str, object]:
    """The JSON in the field `payload` of the form that Slack posts. Raises NotAnAction."""
    try:
        fields = parse_qs(body.decode(), strict_parsing=True, max_num_fields=20)
        payload = json.loads(fields["payload"][0])
    except (ValueError, KeyError, RecursionError) as error:
        raise NotAnAction(f"not Slack's form with a JSON payload: {type(error).__name__}") from None
    return _dict(payload)


def actions_of(payload: Mapping[str, object]) -> tuple[Action, ...]:
    """The buttons pressed, almost always one. Raises NotAnAction for anything else."""
    response_url = _text(payload, "response_url")
    if payload.get("type") != "block_actions":
        raise NotAnAction("not a button press", response_url=response_url)
    pressed = payload.get("actions")
    if not isinstance(pressed, list) or not pressed:
        raise NotAnAction("no button in it", response_url=response_url)
    user = _dict(payload.get("user"))
    container = _dict(payload.get("container"))
    return tuple(
        Action(
            kind=_kind(_dict(item), response_url),
            incident_id=_incident_id(_dict(item), response_url),
            user_id=_text(user, "id"),
            user_name=_text(user, "username") or _text(user, "name") or _text(user, "id"),
            channel=_text(container, "channel_id") or _text(_dict(payload.get("channel")), "id"),
            ts=_text(container, "message_ts"),
            response_url=response_url,
        )
        for item in pressed
    )


def _kind(item: Mapping[str, object], response_url: str) -> ActionKind:
    try:
        return ActionKind(_text(item, "action_id"))
    except ValueError:
        raise NotAnAction(
            "a button this version does not know", response_url=response_url
        ) from None


def _incident_id(item: Mapping[str, object], response_url: str) -> str:
    value = _text(item, "value")
    if not value:
        raise NotAnAction("a button without an incident", response_url=response_url)
    return value


def _text(value: Mapping[str, object], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
