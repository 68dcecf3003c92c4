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
from aegis_sink.notify.refusals import socket_refusal
from aegis_sink.notify.slack_api import SLACK_API_URL
from aegis_sink.unreached import why

CONNECT_SECONDS = 20.0
WATCH_SECONDS = 15.0
RETRY_SECONDS = 5.0
RETRY_LIMIT_SECONDS = 300.0

_SOCKET_URL = re.compile(r"wss?://[^\s'\"]+")


def _without_ticket(record: logging.LogRecord) -> bool:
    """The socket's address holds a ticket; tracebacks of the SDK's reconnects repeat it."""
    record.msg = _SOCKET_URL.sub("wss://…", record.getMessage())
    record.args = ()
    record.exc_info = None
    return True


log = logging.getLogger(__name__)
_sdk_log = logging.getLogger(f"{__name__}.sdk")
# At DEBUG the SDK writes whole envelopes, at INFO each of its reconnects.
_sdk_log.setLevel(logging.WARNING)
_sdk_log.addFilter(_without_ticket)


class SlackSocket:
    """Keeps a socket to Slack open, hands presses to the desk, and acknowledges each."""

    def __init__(
        self,
        app_token: str,
        desk: ActionDesk,
        *,
        api_url: str = SLACK_API_URL,
        watch: float = WATCH_SECONDS,
        retry: float = RETRY_SECONDS,
    ) -> None:
        self._app_token = app_token
        self._api_url = api_url
        self._desk = desk
        self._watch = watch
        self._retry = retry
        self._client: SocketModeClient | None = None
        self._trouble = "not connected yet"

    async def run(self) -> None:
        """Have a socket open until cancelled, however often Slack or the network goes away."""
        wait = self._retry
        while True:
            try:
                await self.connect()
            except NotifyError as error:
                self._trouble = str(error)
                level = logging.ERROR if isinstance(error, NotifyRefused) else logging.WARNING
                log.log(level, "buttons do not work: %s; trying again in %.0f s", error, wait)
            except Exception as error:  # nobody would press anything any more
                self._trouble = type(error).__name__
                log.exception("buttons do not work, trying again in %.0f s", wait)
            else:
                self._trouble = ""
            if self._trouble:
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_LIMIT_SECONDS)
                continue
            log.info("buttons come over Socket Mode")
            wait = self._retry
            await self._until_lost()
            self._trouble = "the socket was lost"
            log.warning("Slack's Socket Mode was lost and is opened anew")
            await self.close()

    async def status(self) -> str:
        """One line for a person."""
        if self._client is not None and await self._client.is_connected():
            return "Slack: buttons come over Socket Mode"
        return f"Slack: no buttons over Socket Mode: {self._trouble}"

    async def connect(self) -> None:
        """Open the socket; the SDK reopens it when Slack closes it or it goes silent.

        Raises NotifyRefused for a wrong token or missing scope, NotifyUnavailable else.
        """
        # Asked here first: the SDK's connect() tries a wrong token again for ever.
        web = AsyncWebClient(base_url=self._api_url, logger=_sdk_log, timeout=int(CONNECT_SECONDS))
        await self._listen(web, await _address(self._app_token, web))

    async def close(self) -> None:
        """Close the socket."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]

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

    async def _until_lost(self) -> None:
        """Return when the SDK did not get the socket back between two looks.

        After an outage its reconnects use the address they got before, and Slack takes each once.
        """
        lost = False
        while True:
            await asyncio.sleep(self._watch)
            connected = self._client is not None and await self._client.is_connected()
            if lost and not connected:
                return
            lost = not connected

    async def _receive(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        if request.type == "interactive" and not await self._desk.take(request.payload):
            return  # not stored: Slack tells the person that it did not work
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))


async def _address(app_token: str, web: AsyncWebClient) -> str:
    """Where a socket may be opened, once, within half a minute; it holds a ticket.

    Raises NotifyRefused for a wrong token or missing scope, NotifyUnavailable else.
    """
    error: NotifyError
    try:
        answer = await web.apps_connections_open(app_token=app_token)
    except SlackApiError as exc:
        data = exc.response.data  # a text where it was not Slack who answered
        code = str(data.get("error")) if isinstance(data, dict) else "nothing it should"
        error = socket_refusal(code)
    except (aiohttp.ClientError, TimeoutError) as exc:
        error = NotifyUnavailable(f"Slack's Socket Mode cannot be reached: {why(exc)}")
    except (AttributeError, ValueError, RecursionError):
        # Status 200, and not Slack's JSON: slack_sdk 3.47 asks a text or a list for ["ok"].
        error = NotifyUnavailable("the answer is not Slack's when opening Socket Mode")
    else:
        return str(answer["url"])
    raise error
