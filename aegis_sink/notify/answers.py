"""Answers that only the person who pressed a button sees (docs.slack.dev, `response_url`)."""

import aiohttp

from aegis_sink.notify.errors import NotifyError, NotifyRefused, NotifyUnavailable
from aegis_sink.notify.plain import slack_text
from aegis_sink.notify.slack_api import CONNECT_SECONDS, retry_after_seconds
from aegis_sink.notify.text import clean
from aegis_sink.unreached import why

TIMEOUT_SECONDS = 10.0


class PrivateAnswers:
    """Posts to the `response_url` that came with a press. The URL is a secret for half an hour."""

    def __init__(self, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))
        self._session: aiohttp.ClientSession | None = None

    async def tell(self, response_url: str, text: str) -> None:
        """Say `text` to the one person. May say it twice when it is called again after an error.

        NotifyUnavailable: try again. NotifyRefused: the address is used up or wrong.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
        answer = {
            "response_type": "ephemeral",
            "replace_original": False,
            "text": slack_text([clean(text)]),
        }
        error: NotifyError
        try:
            async with self._session.post(
                response_url, json=answer, allow_redirects=False
            ) as response:
                if response.status == 200:
                    return
                if response.status == 429 or response.status >= 500:
                    error = NotifyUnavailable(
                        f"Slack answered {response.status} to the answer of a button",
                        retry_after=retry_after_seconds(response.headers),
                    )
                else:
                    error = NotifyRefused(
                        f"Slack answered {response.status} to the answer of a button"
                    )
        # Causes are not chained: their texts hold the URL.
        except aiohttp.InvalidURL:
            error = NotifyRefused("a press came with an address that is no URL")
        except (aiohttp.ClientError, TimeoutError) as exc:
            error = NotifyUnavailable(f"Slack did not take an answer: {why(exc)}")
        raise error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
