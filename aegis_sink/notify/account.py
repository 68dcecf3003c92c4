"""Whose tokens they are, what they may do, and what time Slack has: answers with their headers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from aegis_sink.notify.errors import NotifyUnavailable, NotReached
from aegis_sink.notify.refusals import RATE_CODES, UNSURE_CODES, refusal, socket_refusal
from aegis_sink.unreached import why

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
        code = str(answer.get("error", ""))
        if code in RATE_CODES or code in UNSURE_CODES:
            raise NotifyUnavailable(f"Slack said {code} when asking who the bot is")
        needed, provided = str(answer.get("needed", "")), str(answer.get("provided", ""))
        raise refusal(code, doing="asking who the bot is", needed=needed, provided=provided)
    granted = headers.get("x-oauth-scopes", "")
    scopes = frozenset(scope.strip() for scope in granted.split(",") if scope.strip())
    now = _time(headers.get("date", ""))
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
            session.post(
                f"{api_url.rstrip('/')}/{method}", headers=authorization, allow_redirects=False
            ) as response,
        ):
            body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        # Not chained: the request's text may hold the token.
        raise NotReached(f"Slack cannot be asked at {api_url}: {why(error)}") from None
    answer = _json(body)
    if not isinstance(answer, dict) or "ok" not in answer:
        if response.status == 429 or response.status >= 500:
            raise NotifyUnavailable(f"Slack answered {response.status}")
        raise NotReached(
            f"what answers at {api_url} is not Slack (status {response.status}, "
            f"{response.content_type}): a proxy, a login page, or a wrong AEGIS_SLACK_API_URL"
        )
    return answer, {name.lower(): value for name, value in response.headers.items()}


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _time(text: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(text)
    except ValueError:
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)
