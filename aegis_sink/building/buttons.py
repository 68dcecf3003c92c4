"""The parts behind the buttons of a message, built from the settings."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from aegis_sink.flow.pressing import Pressing
from aegis_sink.notify.answers import PrivateAnswers
from aegis_sink.notify.desk import ActionDesk
from aegis_sink.notify.people import People
from aegis_sink.notify.socket import SlackSocket
from aegis_sink.settings import Settings
from aegis_sink.store.database import Database


@dataclass(frozen=True, slots=True)
class Buttons:
    """Where presses come in (`desk`, and `socket` in Socket Mode) and what works them off."""

    pressing: Pressing
    desk: ActionDesk
    socket: SlackSocket | None

    async def close(self) -> None:
        """Take no more presses; what is stored stays."""
        if self.socket is not None:
            await self.socket.close()
        await self.desk.close()
        await self.pressing.answers.close()


def have_buttons(settings: Settings) -> bool:
    """Whether presses can arrive: else a button would be a lie."""
    return settings.slack_signing_secret is not None or settings.slack_app_token is not None


def build_buttons(
    settings: Settings,
    *,
    database: Database,
    members: Callable[[str], Awaitable[frozenset[str]]],
    clock: Callable[[], datetime],
    wake: Callable[[], None],
) -> Buttons:
    """`members` asks Slack who is in a user group."""
    people = People(
        users=(settings.slack_allowed_users or "").split(),
        groups=(settings.slack_allowed_groups or "").split(),
        members=members,
    )
    answers = PrivateAnswers()
    pressing = Pressing(database, people, answers, clock, random.random, wake)
    desk = ActionDesk(pressing.keep, answers)
    socket = None
    if settings.slack_app_token is not None:
        token = settings.slack_app_token.get_secret_value()
        socket = SlackSocket(token, desk, api_url=settings.slack_api_url)
    return Buttons(pressing, desk, socket)
