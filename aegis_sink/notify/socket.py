"""Socket Mode: buttons for a cluster without a public address."""

import asyncio
import logging
import re

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from aegis_sink.notify.desk import ActionDesk
from aegis_sink.notify.errors import NotifyError, NotifyRefused, NotifyUnavailable
from aegis_sink.notify.slack import SLACK_API_URL

CONNECT_SECONDS = 20.0

_SOCKET_URL = re.compile(r"wss?://[^\s'\"]+")


def _without_ticket(record: logging.LogRecord) -> bool:
    """The socket's address holds a ticket; tracebacks of the SDK's reconnects repeat it."""
    record.msg = _SOCKET_URL.sub("wss://…", record.getMessage())
    record.args = ()
    record.exc_info = None
    return True


_sdk_log = logging.getLogger(f"{__name__}.sdk")
# At DEBUG the SDK writes whole envelopes.
_sdk_log.setLevel(logging.INFO)
_sdk_log.addFilter(_without_ticket)


class SlackSocket:
    """Keeps a socket to Slack open, hands presses to the desk, and acknowledges each."""

    def __init__(self, app_token: str, desk: ActionDesk, *, api_url: str = SLACK_API_URL) -> None:
        self._app_token = app_token
        self._api_url = api_url
        self._desk = desk
        self._client: SocketModeClient | None = None

    async def connect(self) -> None:
        """Open the socket; the SDK reopens it when Slack closes it or it goes silent.

        Raises NotifyRefused for a wrong token or missing scope, NotifyUnavailable else.
        """
        web = AsyncWebClient(base_url=self._api_url, logger=_sdk_log, timeout=int(CONNECT_SECONDS))
        error: NotifyError
        try:
            # Asked here first: the SDK's connect() tries a wrong token again for ever.
            answer = await web.apps_connections_open(app_token=self._app_token)
        except SlackApiError as exc:
            code = exc.response.get("error")
            error = NotifyRefused(
                f"Slack said {code} when opening Socket Mode: set AEGIS_SLACK_APP_TOKEN to an "
                "app-level token (xapp-…) with the scope connections:write, and turn Socket Mode on"
            )
        except (aiohttp.ClientError, TimeoutError) as exc:
            error = NotifyUnavailable(
                f"Slack's Socket Mode cannot be reached: {type(exc).__name__}"
            )
        else:
            await self._listen(web, str(answer["url"]))
            return
        raise error

    async def _listen(self, web: AsyncWebClient, url: str) -> None:
        client = SocketModeClient(app_token=self._app_token, logger=_sdk_log, web_client=web)
        client.socket_mode_request_listeners.append(self._receive)
        client.wss_uri = url
        self._client = client
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            await self.close()
            raise NotifyUnavailable("Slack's Socket Mode did not open its socket") from None

    async def close(self) -> None:
        """Close the socket."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    async def _receive(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        if request.type == "interactive":
            await self._desk.take(request.payload)
        # Acknowledged after the handler stored it: Slack sends it again when we die before.
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
