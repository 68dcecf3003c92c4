"""Whose tokens they are, what they may do, and what time Slack has: answers with their headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp

from aegis_sink.notify.errors import NotifyRefused, NotifyUnavailable
from aegis_sink.notify.refusals import refusal, socket_refusal

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Account:
    """The bot. `scopes` is empty and `now` None when Slack does not tell."""

    user: str
    team: str
    scopes: frozenset[str]
    now: datetime | None


async def account(token: str, *, api_url: str) -> Account:
    """Ask Slack. NotifyUnavailable: no answer; NotifyRefused: what is wrong with the token."""
    answer, headers = await _ask("auth.test", token, api_url)
    if answer.get("ok") is not True:
        needed = str(answer.get("needed", ""))
        raise refusal(str(answer.get("error", "")), doing="checking the token", needed=needed)
    granted = headers.get("x-oauth-scopes", "")
    scopes = frozenset(scope.strip() for scope in granted.split(",") if scope.strip())
    now = _time(headers.get("Date", ""))
    return Account(str(answer.get("user")), str(answer.get("team")), scopes, now)


async def try_socket_mode(app_token: str, *, api_url: str) -> None:
    """Ask for a Socket Mode address and leave it unused. Raises as `account` does."""
    answer, _ = await _ask("apps.connections.open", app_token, api_url)
    if answer.get("ok") is not True:
        raise socket_refusal(str(answer.get("error", "")))


async def _ask(
    method: str, token: str, api_url: str
) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """Slack's answer and its headers, which the SDK's client does not give with a refusal."""
    authorization = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.post(f"{api_url.rstrip('/')}/{method}", headers=authorization) as response,
        ):
            answer = await response.json(content_type=None)
            headers = dict(response.headers)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        # Not chained: the request's text may hold the token.
        raise NotifyUnavailable(
            f"Slack cannot be asked at {api_url}: {type(error).__name__}"
        ) from None
    if not isinstance(answer, dict):
        raise NotifyRefused(f"what answers at {api_url} is not Slack")
    return answer, headers


def _time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
