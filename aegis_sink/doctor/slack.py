"""Slack: the token, its scopes, the channel; and, when asked, a message that is deleted again."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from aegis_sink.doctor.check import Check, failed, ok, skipped, warning
from aegis_sink.doctor.clock import check_clock
from aegis_sink.notify.account import account, try_socket_mode
from aegis_sink.notify.errors import NotifyError, NotifyRefused, NotReached
from aegis_sink.notify.slack import SlackBot, is_channel_id
from aegis_sink.settings import Settings
from aegis_sink.unreached import TRUST_CA, UNKNOWN_CA

WAY_OUT = "HTTPS_PROXY=http://…   # or let port 443 of slack.com out: NetworkPolicy, firewall, DNS"
AGAIN = "aegis-sink doctor --slack   # again in a minute"
PAGE = "docs/slack.md   # When it does not work"
BOT_TOKEN = "AEGIS_SLACK_BOT_TOKEN=xoxb-…"  # noqa: S105
APP_TOKEN = "AEGIS_SLACK_APP_TOKEN=xapp-…"  # noqa: S105
CHANNEL = "AEGIS_SLACK_CHANNEL=C0123456789"
# What to type, where there is something; else Slack's code has only its advice.
TYPED = {
    "account_inactive": BOT_TOKEN,
    "enterprise_is_restricted": BOT_TOKEN,
    "invalid_auth": BOT_TOKEN,
    "not_allowed_token_type": BOT_TOKEN,
    "not_authed": BOT_TOKEN,
    "token_expired": BOT_TOKEN,
    "token_revoked": BOT_TOKEN,
    "channel_not_found": CHANNEL,
    "is_archived": CHANNEL,
    "restricted_action": CHANNEL,
    "restricted_action_read_only_channel": CHANNEL,
    "not_in_channel": "/invite @{bot}",
}
WORKING_KINDS = {
    "xoxp-": "a person's token (xoxp-…): messages come in that person's name",
    "xoxe.": "a token that expires after 12 hours, since the app rotates its tokens",
}
KINDS = {
    "xapp-": "an app-level token (xapp-…), which belongs into AEGIS_SLACK_APP_TOKEN",
    "xoxe-": "a refresh token (xoxe-…), which only gets others",
    "xoxb-": "a bot token (xoxb-…), which belongs into AEGIS_SLACK_BOT_TOKEN",
}
LINK = re.compile(r"/archives/([A-Z0-9]+)")
WEBHOOK = re.compile(r"https://hooks\.slack(-gov)?\.com/services/[^/]+/[^/]+/[^/]+")


async def check_slack(settings: Settings, *, post: bool) -> AsyncIterator[Check]:
    """With a bot token all of it is asked for real; an incoming webhook cannot be asked."""
    if settings.slack_bot_token is None or settings.slack_channel is None:
        yield _without_bot(settings)
        return
    token = settings.slack_bot_token.get_secret_value()
    works = next((told for kind, told in WORKING_KINDS.items() if token.startswith(kind)), "")
    if wrong := works or _wrong_kind(token, "xoxb-"):
        fix = f'{BOT_TOKEN}   # the "Bot User OAuth Token" under "OAuth & Permissions"'
        make = warning if works else failed
        yield make("slack token", f"AEGIS_SLACK_BOT_TOKEN holds {wrong}", fix)
    if wrong and not works:
        return
    try:
        who = await account(token, api_url=settings.slack_api_url)
    except NotifyError as error:
        yield failed("slack token", *_found(error))
        return
    yield ok("slack token", f"{who.user} in {who.team}")
    if who.now is not None:
        yield check_clock("Slack", who.now - datetime.now(UTC))
    routed = (route.channel for route in settings.routes if route.channel is not None)
    channels = tuple(dict.fromkeys((settings.slack_channel, *routed)))
    yield _scopes(who.scopes, channels, groups=bool(settings.slack_allowed_groups))
    for channel in channels:
        if link := LINK.search(channel):
            fix = f"AEGIS_SLACK_CHANNEL={link[1]}"
            yield failed("slack channel", f"{channel} is a link, not a channel's id", fix)
            continue
        bot = SlackBot(token, channel, api_url=settings.slack_api_url)
        try:
            yield ok("slack channel", await bot.status())
            if post:
                await bot.send_test_message()
                yield ok("slack post", "a test message was posted and deleted again")
        except NotifyError as error:
            yield failed("slack channel", *_found(error, bot=who.user))
            if isinstance(error, NotReached):
                return  # the others would wait for the same silence
        finally:
            await bot.close()
    yield await _buttons(settings)


def _without_bot(settings: Settings) -> Check:
    name, fix = "slack", "AEGIS_SLACK_BOT_TOKEN and AEGIS_SLACK_CHANNEL"
    if settings.slack_webhook_url is None:
        return skipped(name, "not set: messages go to the terminal", f"{fix}   # docs/slack.md")
    if not WEBHOOK.fullmatch(settings.slack_webhook_url.get_secret_value()):
        return warning(
            name,
            "AEGIS_SLACK_WEBHOOK_URL is no incoming webhook of Slack's",
            "AEGIS_SLACK_WEBHOOK_URL=https://hooks.slack.com/services/T…/B…/…   # from the app's "
            '"Incoming Webhooks"',
        )
    return skipped(
        name,
        "an incoming webhook cannot be tried without posting; it can neither edit messages nor "
        "find them again",
        f"{fix}   # the better way, docs/slack.md",
    )


def _wrong_kind(token: str, right: str) -> str:
    """What the token is, when it is none that begins with `right`."""
    if re.search(r"[^!-~]", token):
        return "a space, a line end, or another sign that no token has"
    if token.startswith(right):
        return ""
    kind = next((kind for kind in KINDS if token.startswith(kind)), "")
    return KINDS.get(kind, f"no token of Slack's: those begin with {right}, without quotes")


def _found(error: NotifyError, *, bot: str = "") -> tuple[str, str]:
    """What is wrong, and what to type."""
    if UNKNOWN_CA in str(error):
        return str(error), TRUST_CA
    if not isinstance(error, NotifyRefused):
        return str(error), WAY_OUT if isinstance(error, NotReached) else AGAIN
    typed = TYPED.get(error.code, "").format(bot=bot)
    return error.found, f"{typed}   # {error.fix}" if typed else error.fix or PAGE


async def _buttons(settings: Settings) -> Check:
    """How presses arrive."""
    name = "slack buttons"
    if settings.slack_app_token is not None:
        app_token = settings.slack_app_token.get_secret_value()
        fix = f'{APP_TOKEN}   # with the scope connections:write, under "Basic Information"'
        if wrong := _wrong_kind(app_token, "xapp-"):
            return failed(name, f"AEGIS_SLACK_APP_TOKEN holds {wrong}", fix)
        try:
            await try_socket_mode(app_token, api_url=settings.slack_api_url)
        except NotifyRefused as error:
            return failed(name, str(error), fix)
        except NotifyError as error:
            return failed(name, *_found(error))
        return ok(name, "over Socket Mode")
    if settings.slack_signing_secret is not None:
        where = (settings.public_url or "").rstrip("/") or "https://…"
        return ok(name, f"over HTTP: the app's Request URL must be {where}/slack/actions")
    return skipped(name, "no presses can arrive, so there are none", "AEGIS_SLACK_APP_TOKEN=xapp-…")


def _scopes(granted: frozenset[str], channels: tuple[str, ...], *, groups: bool) -> Check:
    name = "slack scopes"
    if not granted:
        return skipped(name, "Slack did not tell them")
    if "chat:write" not in granted:
        return failed(name, "chat:write is missing: nothing can be posted", _add("chat:write"))
    if groups and "usergroups:read" not in granted:
        return failed(
            name,
            "AEGIS_SLACK_ALLOWED_GROUPS is set, and usergroups:read is missing: nobody may press",
            _add("usergroups:read"),
        )
    if not granted & {"channels:history", "groups:history"}:
        return warning(
            name,
            "neither channels:history nor groups:history: after a crash a message that may have "
            "been posted is held back, since it cannot be looked for",
            _add("channels:history"),
        )
    if not all(map(is_channel_id, channels)) and not granted & {"channels:read", "groups:read"}:
        return warning(
            name,
            "the channel is given by name, and channels:read is missing: its history is not found",
            f"{CHANNEL}   # the channel's id",
        )
    return ok(name, ", ".join(sorted(granted)))


def _add(scope: str) -> str:
    return (
        f'https://api.slack.com/apps   # the app → "OAuth & Permissions" → add {scope}, and '
        "install the app again"
    )
