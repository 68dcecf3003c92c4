"""Slack's error codes as errors of ours that say what to do (docs.slack.dev, method pages)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Advice:
    """What a code means, and what to do about it."""

    means: str
    do: str


_TOKEN = "set AEGIS_SLACK_BOT_TOKEN to the bot token (xoxb-…) of an installed app"  # noqa: S105
_AGAIN = f"install the app again, and {_TOKEN}"
_WEBHOOK = "make a new incoming webhook and set AEGIS_SLACK_WEBHOOK_URL to it"
_CHANNEL = "set AEGIS_SLACK_CHANNEL to another channel"
_MOVING = Advice(
    "the workspace is being moved into an Enterprise organization",
    "wait until that is done, nothing is to be changed here",
)
_ADVICE: Mapping[str, Advice] = {
    "not_authed": Advice("no token was sent", _TOKEN),
    "invalid_auth": Advice("Slack knows no such token, or takes none from this address", _TOKEN),
    "account_inactive": Advice(
        "the app was removed from the workspace", f"install it again, and {_TOKEN}"
    ),
    "token_revoked": Advice("the token was revoked", _AGAIN),
    "token_expired": Advice(
        "the token has expired, since the app rotates its tokens",
        f"make the app anew without that (k8sgpt/slack-app-manifest.yaml), or {_AGAIN}",
    ),
    "not_allowed_token_type": Advice("this kind of token may not do that", _TOKEN),
    "access_denied": Advice("the workspace does not let the app in", "ask its admin to approve it"),
    "accesslimited": Advice(
        "the workspace takes nothing from this network", "ask its admin to allow this address"
    ),
    "org_login_required": _MOVING,
    "team_added_to_org": _MOVING,
    "enterprise_is_restricted": Advice(
        "the token is the whole organization's", f"install the app in one workspace, and {_TOKEN}"
    ),
    "two_factor_setup_required": Advice(
        "the workspace wants a second factor of everybody",
        "let the person who installed the app set one up",
    ),
    "no_permission": Advice(
        "the app lacks a permission",
        "give it the scopes of k8sgpt/slack-app-manifest.yaml, and install it again",
    ),
    "channel_not_found": Advice(
        "there is no such channel for this app",
        "set AEGIS_SLACK_CHANNEL to its id (C…), and invite the app when it is private "
        "(/invite in the channel)",
    ),
    "not_in_channel": Advice(
        "the app is not in the channel", "invite it: type /invite in the channel and choose it"
    ),
    "no_such_subteam": Advice(
        "there is no such user group", "set AEGIS_SLACK_ALLOWED_GROUPS to ids (S…)"
    ),
    "is_archived": Advice("the channel is archived", f"unarchive it, or {_CHANNEL}"),
    "channel_is_archived": Advice("the channel is archived", f"unarchive it, or {_WEBHOOK}"),
    "restricted_action": Advice(
        "the workspace lets only some members post there", f"ask its owner, or {_CHANNEL}"
    ),
    "restricted_action_read_only_channel": Advice("the channel is read-only", _CHANNEL),
    "team_access_not_granted": Advice(
        "the app is not installed in this workspace", "ask its admin to install it"
    ),
    "ekm_access_denied": Advice(
        "the workspace's admins have suspended the use of its keys", "ask them"
    ),
    "action_prohibited": Advice("the workspace forbids this webhook", "ask its admin"),
    "posting_to_general_channel_denied": Advice("the app may not post to #general", _CHANNEL),
    "invalid_token": Advice("the webhook URL is not valid any more", _WEBHOOK),
    "no_service": Advice("the webhook was disabled or removed", _WEBHOOK),
    "no_service_id": Advice("the webhook URL is incomplete", _WEBHOOK),
    "no_active_hooks": Advice("the webhook was disabled", _WEBHOOK),
    "no_team": Advice("the workspace of the webhook is gone", _WEBHOOK),
    "team_disabled": Advice("the workspace of the webhook is disabled", _WEBHOOK),
}


def refusal(
    code: str, *, doing: str, needed: str = "", provided: str = "", messages: Sequence[str] = ()
) -> NotifyRefused:
    """The error for Slack's `code`. `doing` is "posting to #ops".

    `needed` are scopes any of which would do, `provided` those the app has.
    """
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
        advice = _scope(needed, provided)
    else:
        advice = _ADVICE.get(code, Advice("", "see the page of the method on docs.slack.dev"))
    said = f"Slack said {code} when {doing}"
    return NotifyRefused(
        f"{said}: {advice.means}" if advice.means else said, fix=advice.do, code=code
    )


def _scope(needed: str, provided: str) -> Advice:
    scopes = " or ".join(sorted(_scopes(needed))) or "a scope"
    has = ", ".join(sorted(_scopes(provided)))
    return Advice(
        f"the app has not {scopes}" + (f" (it has {has})" if has else ""),
        f'give the app {scopes} under "OAuth & Permissions" and install it again '
        "(k8sgpt/slack-app-manifest.yaml names each)",
    )


def _scopes(text: str) -> set[str]:
    return set(text.replace(",", " ").split())


def socket_refusal(code: str) -> NotifyError:
    """The error for Slack's `code` when Socket Mode is opened, which has a token of its own."""
    if code in APP_TOKEN_CODES:
        return NotifyRefused(
            f"Slack said {code} when opening Socket Mode",
            fix="set AEGIS_SLACK_APP_TOKEN to an app-level token (xapp-…) with the scope "
            'connections:write, made under "Basic Information", and turn Socket Mode on',
            code=code,
        )
    return NotifyUnavailable(f"Slack said {code} when opening Socket Mode")
