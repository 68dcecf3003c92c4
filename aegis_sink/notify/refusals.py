"""Slack's error codes as errors of ours that say what to do (docs.slack.dev, method pages)."""

from collections.abc import Sequence

from aegis_sink.notify.errors import (
    MessageFrozen,
    MessageGone,
    MessageRefused,
    NotifyError,
    NotifyRefused,
    NotifyUnavailable,
)

# The rich form was refused; the same incident as plain text may go through.
MESSAGE_CODES = frozenset(
    {
        "invalid_arguments",
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "invalid_payload",
        "markdown_text_conflict",
        "metadata_too_large",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)
GONE_CODES = frozenset({"cannot_reply_to_message", "message_not_found", "thread_not_found"})
# The app was made anew and has another bot, or the workspace lets nobody edit after some minutes.
FROZEN_CODES = frozenset({"cant_update_message", "edit_window_closed"})
# "It's possible some aspect of the operation succeeded before the error was raised."
UNSURE_CODES = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "rollup_error", "service_unavailable"}
)
RATE_CODES = frozenset({"rate_limited", "ratelimited", "message_limit_exceeded"})
# What a wrong app-level token gets (docs.slack.dev, apps.connections.open).
APP_TOKEN_CODES = frozenset(
    {
        "account_inactive",
        "forbidden_team",
        "invalid_auth",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "token_expired",
        "token_revoked",
    }
)

_TOKEN = "set AEGIS_SLACK_BOT_TOKEN to the bot token (xoxb-…) of an installed app"  # noqa: S105
_WEBHOOK = "make a new incoming webhook and set AEGIS_SLACK_WEBHOOK_URL to it"
_ADVICE = {
    "not_authed": _TOKEN,
    "invalid_auth": _TOKEN,
    "account_inactive": f"the app was removed from the workspace: install it again, and {_TOKEN}",
    "token_revoked": f"the token was revoked: install the app again, and {_TOKEN}",
    "token_expired": f"the token has expired: install the app again, and {_TOKEN}",
    "not_allowed_token_type": _TOKEN,
    "channel_not_found": (
        "there is no such channel for this app: set AEGIS_SLACK_CHANNEL to its id (C…), and invite "
        "the app when it is private (/invite in the channel)"
    ),
    "not_in_channel": "invite the app: type /invite in the channel and choose it",
    "no_such_subteam": "there is no such user group: set AEGIS_SLACK_ALLOWED_GROUPS to ids (S…)",
    "is_archived": "the channel is archived: unarchive it or choose another AEGIS_SLACK_CHANNEL",
    "channel_is_archived": f"the channel is archived: unarchive it, or {_WEBHOOK}",
    "restricted_action": "the workspace lets only some members post there: ask its owner",
    "restricted_action_read_only_channel": "the channel is read-only: choose another",
    "team_access_not_granted": "the app is not installed in this workspace: ask its admin",
    "ekm_access_denied": "the workspace's admins have suspended posting",
    "action_prohibited": "the workspace forbids this webhook: ask its admin",
    "posting_to_general_channel_denied": "the app may not post to #general: choose another channel",
    "invalid_token": f"the webhook URL is not valid any more: {_WEBHOOK}",
    "no_service": f"the webhook was disabled or removed: {_WEBHOOK}",
    "no_service_id": f"the webhook URL is incomplete: {_WEBHOOK}",
    "no_active_hooks": f"the webhook was disabled: {_WEBHOOK}",
    "no_team": f"the workspace of the webhook is gone: {_WEBHOOK}",
    "team_disabled": f"the workspace of the webhook is disabled: {_WEBHOOK}",
}


def refusal(
    code: str, *, doing: str, needed: str = "", messages: Sequence[str] = ()
) -> NotifyRefused:
    """The error for Slack's `code`. `doing` is "posting to #ops"; `needed` are missing scopes."""
    if code in MESSAGE_CODES:
        details = f" ({'; '.join(messages)})" if messages else ""
        return MessageRefused(f"Slack refused the message when {doing}: {code}{details}", code=code)
    if code in GONE_CODES:
        return MessageGone(f"Slack said {code} when {doing}: the message is not there any more")
    if code in FROZEN_CODES:
        return MessageFrozen(
            f"Slack said {code} when {doing}: the message cannot be changed any more"
        )
    if code == "missing_scope":
        scopes = " or ".join(sorted(filter(None, needed.replace(" ", "").split(",")))) or "a scope"
        return NotifyRefused(
            f"Slack said missing_scope when {doing}: give the app {scopes} under "
            '"OAuth & Permissions" and install it again (k8sgpt/slack-app-manifest.yaml names each)'
        )
    advice = _ADVICE.get(code, "see the page of the method on docs.slack.dev")
    return NotifyRefused(f"Slack said {code} when {doing}: {advice}")


def socket_refusal(code: str) -> NotifyError:
    """The error for Slack's `code` when Socket Mode is opened, which has a token of its own."""
    if code in APP_TOKEN_CODES:
        return NotifyRefused(
            f"Slack said {code} when opening Socket Mode: set AEGIS_SLACK_APP_TOKEN to an "
            "app-level token (xapp-…) with the scope connections:write, made under "
            '"Basic Information", and turn Socket Mode on'
        )
    return NotifyUnavailable(f"Slack said {code} when opening Socket Mode")
