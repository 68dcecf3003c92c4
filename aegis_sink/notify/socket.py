"""Socket Mode: buttons for a cluster without a public address."""

import logging

from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from aegis_sink.notify.desk import ActionDesk
from aegis_sink.notify.errors import NotifyRefused, NotifyUnavailable
from aegis_sink.notify.slack import SLACK_API_URL

log = logging.getLogger(__name__)
# At DEBUG the SDK writes whole envelopes and the address of the socket, which is a secret.
_sdk_log = logging.getLogger(f"{__name__}.sdk")
_sdk_log.setLevel(logging.INFO)


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
        client = SocketModeClient(
            app_token=self._app_token,
            logger=_sdk_log,
            web_client=AsyncWebClient(base_url=self._api_url, logger=_sdk_log),
        )
        client.socket_mode_request_listeners.append(self._receive)
        self._client = client
        try:
            await client.connect()  # type: ignore[no-untyped-call]
        except SlackApiError as error:
            await self.close()
            code = error.response.get("error")
            raise NotifyRefused(
                f"Slack said {code} when opening Socket Mode: set AEGIS_SLACK_APP_TOKEN to an "
                "app-level token (xapp-…) with the scope connections:write, and turn Socket Mode on"
            ) from None
        except (OSError, TimeoutError) as error:
            await self.close()
            raise NotifyUnavailable(
                f"Slack's Socket Mode cannot be reached: {type(error).__name__}"
            ) from None

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
