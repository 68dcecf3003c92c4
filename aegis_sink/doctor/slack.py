"""Slack: the token, its scopes, the channel; and, when asked, a message that is deleted again."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from aegis_sink.doctor.check import Check, failed, ok, skipped, warning
from aegis_sink.doctor.clock import check_clock
from aegis_sink.notify.account import account, try_socket_mode
from aegis_sink.notify.errors import NotifyError, NotifyUnavailable
from aegis_sink.notify.slack import SlackBot
from aegis_sink.settings import Settings

WAY_OUT = "HTTPS_PROXY=http://…   # or let port 443 of slack.com out: NetworkPolicy, firewall, DNS"
MANIFEST = "k8sgpt/slack-app-manifest.yaml names each scope; install the app again after a change"


async def check_slack(settings: Settings, *, post: bool) -> AsyncIterator[Check]:
    """With a bot token all of it is asked for real; an incoming webhook cannot be asked."""
    if settings.slack_bot_token is None or settings.slack_channel is None:
        if settings.slack_webhook_url is not None:
            yield skipped(
                "slack",
                "an incoming webhook cannot be tried without posting; it can neither edit "
                "messages nor find them again",
                "AEGIS_SLACK_BOT_TOKEN and AEGIS_SLACK_CHANNEL   # the better way, docs/slack.md",
            )
        else:
            yield skipped(
                "slack",
                "not set: messages go to the terminal",
                "AEGIS_SLACK_BOT_TOKEN and AEGIS_SLACK_CHANNEL   # docs/slack.md",
            )
        return
    token = settings.slack_bot_token.get_secret_value()
    try:
        who = await account(token, api_url=settings.slack_api_url)
    except NotifyUnavailable as error:
        yield failed("slack token", str(error), WAY_OUT)
        return
    except NotifyError as error:
        yield failed("slack token", str(error), "AEGIS_SLACK_BOT_TOKEN=xoxb-…   # docs/slack.md")
        return
    yield ok("slack token", f"{who.user} in {who.team}")
    if who.now is not None:
        yield check_clock("Slack", who.now - datetime.now(UTC))
    yield _scopes(who.scopes, settings.slack_channel, groups=bool(settings.slack_allowed_groups))
    routed = (route.channel for route in settings.routes if route.channel is not None)
    for channel in dict.fromkeys((settings.slack_channel, *routed)):
        bot = SlackBot(token, channel, api_url=settings.slack_api_url)
        try:
            yield ok("slack channel", await bot.status())
            if post:
                await bot.send_test_message()
                yield ok("slack post", "a test message was posted and deleted again")
        except NotifyError as error:
            fix = f"/invite @{who.user}   # in the channel; {MANIFEST}"
            yield failed("slack channel", str(error), fix)
        finally:
            await bot.close()
    yield await _buttons(settings)


async def _buttons(settings: Settings) -> Check:
    """How presses arrive."""
    name = "slack buttons"
    if settings.slack_app_token is not None:
        app_token = settings.slack_app_token.get_secret_value()
        try:
            await try_socket_mode(app_token, api_url=settings.slack_api_url)
        except NotifyError as error:
            fix = "AEGIS_SLACK_APP_TOKEN=xapp-…   # with the scope connections:write"
            return failed(name, str(error), fix)
        return ok(name, "over Socket Mode")
    if settings.slack_signing_secret is not None:
        where = (settings.public_url or "").rstrip("/") or "https://…"
        return ok(name, f"over HTTP: the app's Request URL must be {where}/slack/actions")
    return skipped(name, "no presses can arrive, so there are none", "AEGIS_SLACK_APP_TOKEN=xapp-…")


def _scopes(granted: frozenset[str], channel: str, *, groups: bool) -> Check:
    name = "slack scopes"
    if not granted:
        return skipped(name, "Slack did not tell them")
    if "chat:write" not in granted:
        return failed(name, "chat:write is missing: nothing can be posted", f"# {MANIFEST}")
    if not granted & {"channels:history", "groups:history"}:
        return warning(
            name,
            "neither channels:history nor groups:history: after a crash a message that may have "
            "been posted is held back, since it cannot be looked for",
            f"# {MANIFEST}",
        )
    by_name = channel.startswith("#") or not channel.isupper()
    if by_name and not granted & {"channels:read", "groups:read"}:
        return warning(
            name,
            "the channel is given by name, and channels:read is missing: its history is not found",
            "AEGIS_SLACK_CHANNEL=C0123456789   # the channel's id",
        )
    if groups and "usergroups:read" not in granted:
        return failed(
            name,
            "AEGIS_SLACK_ALLOWED_GROUPS is set, and usergroups:read is missing: nobody may press",
            f"# {MANIFEST}",
        )
    return ok(name, ", ".join(sorted(granted)))
