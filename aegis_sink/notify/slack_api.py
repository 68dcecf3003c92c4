"""Slack's Web API with a bot token: one call, and what can go wrong with it as a NotifyError."""

import logging
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from aegis_sink.notify.errors import (
    NotifyError,
    NotifyRefused,
    NotifyUnavailable,
    NotReached,
    OutcomeUnknown,
)
from aegis_sink.notify.refusals import RATE_CODES, UNSURE_CODES, refusal
from aegis_sink.unreached import why

SLACK_API_URL = "https://slack.com/api/"
TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 10.0
DEFAULT_RETRY_SECONDS = 30.0

# The SDK writes whole requests at DEBUG; at INFO it does not even build that text.
_sdk_log = logging.getLogger(f"{__name__}.sdk")
_sdk_log.setLevel(logging.INFO)


class SlackAPI:
    """Makes calls and names their faults. `asked_to_wait` hears of each Retry-After, in seconds."""

    def __init__(
        self,
        token: str,
        *,
        url: str = SLACK_API_URL,
        timeout: float = TIMEOUT_SECONDS,
        asked_to_wait: Callable[[float], None],
    ) -> None:
        self._token = token
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))
        self._asked_to_wait = asked_to_wait
        self._session: aiohttp.ClientSession | None = None

    @property
    def web(self) -> AsyncWebClient:
        """The SDK's client, whose methods make the requests for `call`."""
        if self._session is None:
            # trust_env: aiohttp honours NO_PROXY, the SDK's own proxy setting does not.
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
        client = AsyncWebClient(
            token=self._token,
            base_url=self._url,
            session=self._session,
            logger=_sdk_log,
            # The default handler posts again when the connection drops: a second root message.
            retry_handlers=[],
        )
        client.proxy = None
        return client

    async def call(
        self, request: Awaitable[AsyncSlackResponse], *, doing: str, repeatable: bool
    ) -> Mapping[str, object]:
        """Slack's answer, or the NotifyError for what went wrong.

        `repeatable` requests change nothing when they run twice, so an unknown outcome is only a
        reason to try again. Causes are not chained: their texts may hold what must not be logged.
        """
        error: NotifyError
        try:
            response = await request
        except SlackApiError as exc:
            error = self._refused(exc, doing=doing, repeatable=repeatable)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            error = NotReached(f"Slack cannot be reached when {doing}: {why(exc)}")
        except aiohttp.InvalidURL:
            error = NotifyRefused("AEGIS_SLACK_API_URL is not a URL")
        except (aiohttp.ClientError, TimeoutError) as exc:
            error = _unsure(f"no answer from Slack when {doing}: {why(exc)}", repeatable)
        except (AttributeError, ValueError, RecursionError):
            # Status 200, and not Slack's JSON: slack_sdk 3.47 asks a text or a list for ["ok"].
            error = _unsure(f"the answer is not Slack's when {doing}", repeatable)
        else:
            return as_object(response.data)
        raise error

    def _refused(self, exc: SlackApiError, *, doing: str, repeatable: bool) -> NotifyError:
        response = exc.response
        status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
        answer = as_object(getattr(response, "data", None))
        code = str(answer.get("error", ""))
        if status == 429 or code in RATE_CODES:
            seconds = retry_after_seconds(getattr(response, "headers", {}))
            self._asked_to_wait(seconds)
            return NotifyUnavailable(
                f"Slack asks to wait {seconds:.0f} s when {doing}", retry_after=seconds
            )
        if code and code not in UNSURE_CODES:
            detail = as_object(answer.get("response_metadata")).get("messages")
            messages = [str(m) for m in detail] if isinstance(detail, list) else []
            return refusal(
                code,
                doing=doing,
                needed=str(answer.get("needed", "")),
                provided=str(answer.get("provided", "")),
                messages=messages,
            )
        return _unsure(f"Slack answered {code or status} when {doing}", repeatable)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """Slack's Retry-After in seconds; half a minute when it is missing or not a number."""
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "")
    try:
        return max(1.0, float(value))
    except ValueError:
        return DEFAULT_RETRY_SECONDS


def _unsure(text: str, repeatable: bool) -> NotifyError:
    return NotifyUnavailable(text) if repeatable else OutcomeUnknown(text)


def next_cursor(answer: Mapping[str, object]) -> str:
    """Where a list goes on; "" at its end."""
    return str(as_object(answer.get("response_metadata")).get("next_cursor") or "")


def as_object(value: object) -> Mapping[str, object]:
    """What should be an object of JSON; empty when it is none."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[Mapping[str, object]]:
    """The objects of what should be a list of them."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
