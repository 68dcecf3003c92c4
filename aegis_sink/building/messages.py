"""Who is told: Slack's bot, an incoming webhook or the terminal; and another system beside them."""

import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from aegis_sink.building.buttons import have_buttons
from aegis_sink.building.secret_settings import signing_secrets_of
from aegis_sink.model.codec import incident_to_json
from aegis_sink.notify.forward import CloudEventsForwarder
from aegis_sink.notify.notifier import Notifier
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.slack import SlackBot
from aegis_sink.notify.terminal import TerminalNotifier
from aegis_sink.notify.webhook import SlackWebhook
from aegis_sink.settings import Settings


def build_notifier(
    settings: Settings,
    write: Callable[[str], object],
    *,
    now: Callable[[], datetime],
    pacer: Pacer,
) -> Notifier:
    """The fullest way of telling that the settings allow; `write` is the terminal's."""
    if settings.slack_bot_token is not None:
        assert settings.slack_channel is not None  # the settings refuse a token without one
        return SlackBot(
            settings.slack_bot_token.get_secret_value(),
            settings.slack_channel,
            api_url=settings.slack_api_url,
            buttons=have_buttons(settings),
            now=now,
            pacer=pacer,
        )
    if settings.slack_webhook_url is not None:
        return SlackWebhook(settings.slack_webhook_url.get_secret_value(), now=now, pacer=pacer)
    return TerminalNotifier(lambda text: _write_out(write, text), program=_program(), now=now)


def build_forwarder(
    settings: Settings, clock: Callable[[], datetime]
) -> CloudEventsForwarder | None:
    """Of AEGIS_FORWARD_URL; SettingsError when its signing secret is malformed."""
    if settings.forward_url is None:
        return None
    return CloudEventsForwarder(
        settings.forward_url.get_secret_value(),
        encode=incident_to_json,
        signing_secrets=signing_secrets_of("AEGIS_FORWARD_SECRET", settings.forward_secret),
        now=clock,
    )


def _program() -> str:
    """What a person types to run this program: its path where the name alone is not found."""
    called = sys.argv[0]
    if shutil.which("aegis-sink") is None and Path(called).name == "aegis-sink":
        return called
    return "aegis-sink"


def _write_out(write: Callable[[str], object], text: str) -> None:
    write(text)
    sys.stdout.flush()
