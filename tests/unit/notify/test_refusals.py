"""Slack's codes as errors that say what to do."""

import pytest

from aegis_sink.notify.errors import MessageFrozen, MessageGone, MessageRefused, NotifyRefused
from aegis_sink.notify.refusals import refusal
from aegis_sink.notify.slack_api import retry_after_seconds


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("invalid_auth", NotifyRefused, "AEGIS_SLACK_BOT_TOKEN"),
        ("not_authed", NotifyRefused, "AEGIS_SLACK_BOT_TOKEN"),
        ("token_revoked", NotifyRefused, "install the app again"),
        ("token_expired", NotifyRefused, "install the app again"),
        ("account_inactive", NotifyRefused, "install it again"),
        ("is_archived", NotifyRefused, "unarchive"),
        ("msg_too_long", MessageRefused, "msg_too_long"),
        ("msg_blocks_too_long", MessageRefused, "msg_blocks_too_long"),
        ("metadata_too_large", MessageRefused, "metadata_too_large"),
        ("not_in_channel", NotifyRefused, "/invite"),
        ("channel_not_found", NotifyRefused, "AEGIS_SLACK_CHANNEL"),
        ("invalid_blocks", MessageRefused, "invalid_blocks"),
        ("message_not_found", MessageGone, "not there any more"),
        ("edit_window_closed", MessageFrozen, "cannot be changed"),
        ("cant_update_message", MessageFrozen, "cannot be changed"),
        ("something_new", NotifyRefused, "docs.slack.dev"),
    ],
)
def test_a_code_becomes_advice(code: str, kind: type[NotifyRefused], says: str) -> None:
    error = refusal(code, doing="posting to #ops")
    assert type(error) is kind
    assert says in str(error)
    assert "posting to #ops" in str(error)


def test_a_missing_scope_is_named_with_where_to_add_it() -> None:
    error = refusal("missing_scope", doing="reading", needed="channels:history,groups:history")
    assert "channels:history or groups:history" in str(error)
    assert "OAuth & Permissions" in str(error)


def test_what_slack_dislikes_in_a_message_is_repeated() -> None:
    error = refusal("invalid_blocks", doing="posting", messages=["must be less [/blocks/0]"])
    assert "must be less [/blocks/0]" in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12),
        ({"retry-after": "0"}, 1),
        ({}, 30),
        ({"Retry-After": "soon"}, 30),
    ],
)
def test_retry_after_in_seconds(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_seconds(headers) == seconds
