"""Whose bot token it is, what it may do, and what time Slack has: `auth.test` with its headers."""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp

from aegis_sink.notify.errors import NotifyRefused, NotifyUnavailable
from aegis_sink.notify.refusals import refusal

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Account:
    """The bot. `scopes` is empty and `now` None when Slack does not tell."""

    user: str
    team: str
    scopes: frozenset[str]
    now: datetime | None


async def account(token: str, *, api_url: str) -> Account:
    """Ask Slack. NotifyUnavailable: no answer; NotifyRefused: what is wrong with the token.

    The SDK's client gives no headers with a refusal, hence the plain request.
    """
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.post(f"{api_url.rstrip('/')}/auth.test", headers=headers) as response,
        ):
            answer = await response.json(content_type=None)
            granted = response.headers.get("x-oauth-scopes", "")
            date = response.headers.get("Date", "")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        # Not chained: the request's text may hold the token.
        raise NotifyUnavailable(
            f"Slack cannot be asked at {api_url}: {type(error).__name__}"
        ) from None
    if not isinstance(answer, dict):
        raise NotifyRefused(f"what answers at {api_url} is not Slack")
    if answer.get("ok") is not True:
        raise refusal(str(answer.get("error", "")), doing="checking the token")
    scopes = frozenset(scope.strip() for scope in granted.split(",") if scope.strip())
    return Account(str(answer.get("user")), str(answer.get("team")), scopes, _time(date))


def _time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
