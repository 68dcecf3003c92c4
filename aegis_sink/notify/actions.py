"""Pressed buttons: is it Slack that says so, and who pressed what. Pure functions.

Sources: docs.slack.dev, "Verifying requests from Slack" and "block_actions payload".
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs

from slack_sdk.signature import Clock, SignatureVerifier

from aegis_sink.notify.buttons import ActionKind
from aegis_sink.notify.text import one_line

BODY_LIMIT_BYTES = 1024 * 1024
ID_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Action:
    """One press of one button. `key` is the same when Slack says the same press twice.

    `response_url` is where the person who pressed is answered, for half an hour; "" without one.
    """

    key: str
    kind: ActionKind
    incident_id: str
    user_id: str
    user_name: str
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


def action_of(payload: Mapping[str, object]) -> Action:
    """The button pressed. Raises NotAnAction for anything else."""
    response_url = _text(payload, "response_url")

    def refuse(why: str) -> NotAnAction:
        return NotAnAction(why, response_url=response_url)

    if payload.get("type") != "block_actions":
        raise refuse("not a button press")
    pressed = payload.get("actions")
    # Slack sends one: that of the element which was used.
    item = _dict(pressed[0]) if isinstance(pressed, list) and pressed else {}
    if not item:
        raise refuse("no button in it")
    try:
        kind = ActionKind(_text(item, "action_id"))
    except ValueError:
        raise refuse("a button this version does not know") from None
    incident_id = _text(item, "value")
    user = _dict(payload.get("user"))
    user_id = _text(user, "id")
    if not 0 < len(incident_id) <= ID_CHARACTERS:
        raise refuse("a button without an incident")
    if not 0 < len(user_id) <= ID_CHARACTERS:
        raise refuse("nobody pressed it")
    name = _text(user, "username") or _text(user, "name")
    # The trigger is Slack's name for one interaction; the rest stands in where it is missing.
    unique = (_text(payload, "trigger_id"), user_id, kind, incident_id, _text(item, "action_ts"))
    return Action(
        key=hashlib.sha256("\0".join(unique).encode("utf-8", "replace")).hexdigest(),
        kind=kind,
        incident_id=incident_id,
        user_id=user_id,
        user_name=one_line(name)[:ID_CHARACTERS] or user_id,
        response_url=response_url,
    )


def _text(value: Mapping[str, object], name: str) -> str:
    found = value.get(name)
    # Half of a surrogate pair can be written in JSON, but not stored or sent.
    return found.encode("utf-8", "replace").decode() if isinstance(found, str) else ""


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
