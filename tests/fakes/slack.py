"""A strict fake of Slack: Web API, incoming webhooks, response_url and Socket Mode, in one process.

It refuses what Slack refuses, in Slack's words, and is stricter where Slack is silent (arguments
it does not know). Listens on a free port of 127.0.0.1. Faults are queued by method:

    slack.faults["chat.postMessage"].append(Fault.DROP_AFTER)
"""

import asyncio
import hmac
import json
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.slack_blocks import mrkdwn_texts, problems, texts, too_long

Json = dict[str, object]
Headers = dict[str, str]

PUBLIC_CHANNEL = "C0PUBLIC01"
PRIVATE_CHANNEL = "C0PRIVATE1"
OTHER_CHANNEL = "C0NOTAMEMB"
ARCHIVED_CHANNEL = "C0ARCHIVED"
ANSWERS_LIMIT = 5
"""How often one response_url takes an answer."""
ALL_SCOPES = frozenset(
    {"chat:write", "channels:history", "groups:history", "channels:read", "groups:read"}
)
_PING = re.compile(r"<(?:!(?:channel|here|everyone|subteam)|@[UW]|#C)|@(?:channel|here|everyone)\b")
_LINK = re.compile(r"<(?:https?:|mailto:)[^>]*>")


class Fault(Enum):
    """What goes wrong with one call."""

    RATE_LIMIT = "429 with Retry-After: 7"
    SERVER_ERROR = "500 with a page of text"
    FATAL_ERROR = "200 with fatal_error: some aspect may have succeeded"
    HANG_BEFORE = "no answer; nothing is stored"
    HANG_AFTER = "stored; no answer"
    DROP_BEFORE = "the connection closes; nothing is stored"
    DROP_AFTER = "stored, then the connection closes: the crash window"
    NOT_SLACK = "200 with plain text, as a captive proxy answers"
    NOT_JSON = "200 with half a JSON document"
    INVALID_BLOCKS = "invalid_blocks when the message has blocks"
    EDIT_WINDOW_CLOSED = "edit_window_closed: the workspace lets nobody edit so late"


@dataclass
class Channel:
    """A channel and its messages, oldest first; replies are in the list too, with thread_ts."""

    id: str
    name: str
    private: bool = False
    member: bool = True
    archived: bool = False
    messages: list[Json] = field(default_factory=list)

    @property
    def roots(self) -> list[Json]:
        """Messages that are not replies."""
        return [m for m in self.messages if m.get("thread_ts", m["ts"]) == m["ts"]]

    def replies(self, ts: str) -> list[Json]:
        """Replies in the thread of `ts`."""
        return [m for m in self.messages if m.get("thread_ts") == ts and m["ts"] != ts]


@dataclass
class Call:
    """One request as it came in. `at` is the fake's clock."""

    method: str
    arguments: Json
    at: float


class SlackRefusal(Exception):
    """An answer with ok=false."""

    def __init__(self, error: str, **more: object) -> None:
        super().__init__(error)
        self.answer: Json = {"ok": False, "error": error, **more}


class FakeSlack:
    """The server and what it saw. `token`, `scopes` and `channels` may be changed by a test."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.token = "xoxb-fake-token"
        self.app_token = "xapp-fake-token"
        self.signing_secret = "fake-signing-secret"
        self._presses = 0
        self.webhook_secret = "T000/B000/fakewebhooksecret"
        self.webhook_channel = PUBLIC_CHANNEL
        self.webhook_error = ""
        self.scopes = set(ALL_SCOPES)
        self.groups: dict[str, list[str]] = {}
        self.channels = {
            c.id: c
            for c in (
                Channel(PUBLIC_CHANNEL, "ops"),
                Channel(PRIVATE_CHANNEL, "secret-ops", private=True),
                Channel(OTHER_CHANNEL, "elsewhere", member=False),
                Channel(ARCHIVED_CHANNEL, "old-ops", archived=True),
            )
        }
        self.refusing: dict[str, str] = {}
        """Method → the error it answers, for those that have no cause here."""
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.calls: list[Call] = []
        self.responses: list[Json] = []
        self.acknowledged: list[str] = []
        self._answered: Counter[str] = Counter()
        self.page_limit = 200
        self.enforce_rate = False
        self.arrived = asyncio.Event()
        self._clock = clock
        self._last_ts = 0.0
        self._last_message: dict[str, float] = {}
        self._sockets: list[web.WebSocketResponse] = []
        self._tickets: set[str] = set()
        self.refuse_sockets = 0
        self._connected = asyncio.Event()
        self._let_go = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.port = 0

    # Where it is

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{self.webhook_secret}"

    @property
    def response_url(self) -> str:
        return self.response_url_of("1")

    def response_url_of(self, person: str) -> str:
        """Where only this person is answered."""
        return f"http://127.0.0.1:{self.port}/response/{person}"

    def buttons(self, message: Mapping[str, object]) -> dict[str, str]:
        """The buttons of a stored message: action id → value."""
        found: dict[str, str] = {}
        blocks = message.get("blocks")
        for block in blocks if isinstance(blocks, list) else []:
            if block["type"] == "actions":
                found |= {button["action_id"]: button["value"] for button in block["elements"]}
        return found

    def pressed(
        self, action_id: str, value: str, *, user: str = "U1", name: str = "", ts: str = "1.0"
    ) -> Json:
        """What Slack posts when a person presses a button (docs.slack.dev, block_actions)."""
        self._presses += 1
        return {
            "type": "block_actions",
            "user": {"id": user, "username": name or user.lower(), "team_id": "T0ACME0001"},
            "api_app_id": "A0AEGIS001",
            "container": {"type": "message", "message_ts": ts, "channel_id": PUBLIC_CHANNEL},
            "trigger_id": f"trigger.{self._presses}",
            "channel": {"id": PUBLIC_CHANNEL, "name": "ops"},
            "response_url": f"{self.response_url_of(user)}?press={self._presses}",
            "actions": [
                {
                    "type": "button",
                    "action_id": action_id,
                    "block_id": "b",
                    "value": value,
                    "action_ts": f"{self._clock():.6f}",
                }
            ],
        }

    def signed(self, payload: Mapping[str, object], *, age: float = 0) -> tuple[bytes, Headers]:
        """The body and the headers with which Slack posts a payload."""
        body = urlencode({"payload": json.dumps(payload)}).encode()
        stamp = str(int(time.time() - age))
        digest = hmac.new(self.signing_secret.encode(), f"v0:{stamp}:".encode() + body, "sha256")
        return body, {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": f"v0={digest.hexdigest()}",
        }

    # What it saw

    @property
    def channel(self) -> Channel:
        """The public channel that most tests post to."""
        return self.channels[PUBLIC_CHANNEL]

    def made(self, method: str) -> list[Call]:
        """The calls of one method, also those that failed."""
        return [call for call in self.calls if call.method == method]

    def pings(self) -> list[str]:
        """Mentions that Slack would have acted on, in any message."""
        return [hit for text in self._parsed_texts() for hit in _PING.findall(text)]

    def links(self) -> list[str]:
        """Links that Slack would have made of texts, in any message."""
        return [hit for text in self._parsed_texts() for hit in _LINK.findall(text)]

    def _parsed_texts(self) -> list[str]:
        parsed = []
        for channel in self.channels.values():
            for message in channel.messages:
                parsed += [str(message["text"]), *mrkdwn_texts(message.get("blocks"))]
        return parsed

    # Start and stop

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/services/{secret:.+}", self._webhook)
        app.router.add_post("/response/{id}", self._response)
        app.router.add_get("/socket", self._socket)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._let_go.set()
        for socket in self._sockets:
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # Web API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await _arguments(request)
        self.calls.append(Call(method, arguments, self._clock()))
        self.arrived.set()
        fault = self.faults[method].popleft() if self.faults[method] else None
        early = await self._before(fault, request)
        if early is not None:
            return early
        if fault is Fault.INVALID_BLOCKS and arguments.get("blocks"):
            return web.json_response({"ok": False, "error": "invalid_blocks"})
        try:
            answer = {"ok": True, **self._answer(method, arguments, request)}
        except SlackRefusal as refused:
            answer = refused.answer
        if fault in (Fault.HANG_AFTER, Fault.DROP_AFTER):
            return await self._vanish(request, hang=fault is Fault.HANG_AFTER)
        if answer.get("error") == "ratelimited":
            return web.json_response(answer, status=429, headers={"Retry-After": "1"})
        headers = {"x-oauth-scopes": ",".join(sorted(self.scopes))}
        return web.json_response(answer, headers=headers)

    async def _before(self, fault: Fault | None, request: web.Request) -> web.StreamResponse | None:
        """The answer of faults that come before anything is stored."""
        match fault:
            case Fault.RATE_LIMIT:
                refusal: Json = {"ok": False, "error": "ratelimited"}
                return web.json_response(refusal, status=429, headers={"Retry-After": "7"})
            case Fault.SERVER_ERROR:
                return web.Response(status=500, text="upstream fell over")
            case Fault.FATAL_ERROR:
                return web.json_response({"ok": False, "error": "fatal_error"})
            case Fault.EDIT_WINDOW_CLOSED:
                return web.json_response({"ok": False, "error": "edit_window_closed"})
            case Fault.NOT_SLACK:
                return web.Response(text="Please sign in to the guest network")
            case Fault.NOT_JSON:
                return web.Response(text='{"ok": tr', content_type="application/json")
            case Fault.HANG_BEFORE | Fault.DROP_BEFORE:
                return await self._vanish(request, hang=fault is Fault.HANG_BEFORE)
            case _:
                return None

    async def _vanish(self, request: web.Request, *, hang: bool) -> web.StreamResponse:
        if hang:
            await self._let_go.wait()
        elif request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _answer(self, method: str, arguments: Json, request: web.Request) -> Json:
        handlers: Mapping[str, tuple[Callable[[Json], Json], frozenset[str]]] = {
            "auth.test": (self._auth_test, frozenset()),
            "chat.postMessage": (self._post_message, _POST),
            "chat.update": (self._update, _UPDATE),
            "chat.delete": (self._delete, frozenset({"channel", "ts", "as_user"})),
            "conversations.history": (self._history, _HISTORY),
            "conversations.replies": (self._replies, _HISTORY | {"ts"}),
            "conversations.list": (self._list, _LIST),
            "apps.connections.open": (self._open_socket, frozenset()),
            "usergroups.users.list": (self._group, frozenset({"usergroup"})),
        }
        if method not in handlers:
            raise SlackRefusal("unknown_method", req_method=method)
        if method in self.refusing:
            raise SlackRefusal(self.refusing[method])
        authorization = request.headers.get("Authorization", "")
        if not authorization:
            raise SlackRefusal("not_authed")
        expected = self.app_token if method.startswith("apps.") else self.token
        if authorization != f"Bearer {expected}":
            raise SlackRefusal("invalid_auth")
        handler, known = handlers[method]
        unknown = sorted(set(arguments) - known)
        if unknown:
            messages = [f"[ERROR] unknown argument: {name}" for name in unknown]
            raise SlackRefusal("invalid_arguments", response_metadata={"messages": messages})
        return handler(arguments)

    def _auth_test(self, _arguments: Json) -> Json:
        return {
            "url": "https://acme.slack.com/",
            "team": "Acme",
            "team_id": "T0ACME0001",
            "user": "aegis",
            "user_id": "U0AEGIS001",
            "bot_id": "B0AEGIS001",
        }

    def _post_message(self, arguments: Json) -> Json:
        self._need("chat:write")
        channel = self._writable(str(arguments.get("channel", "")))
        _check_message(arguments)
        metadata = _metadata(arguments.get("metadata"))
        thread_ts = arguments.get("thread_ts")
        if thread_ts is not None and not any(m["ts"] == thread_ts for m in channel.messages):
            raise SlackRefusal("thread_not_found")
        self._check_rate(channel.id)
        message = self._store(channel, arguments)
        if metadata:
            message["metadata"] = metadata
        if thread_ts is not None:
            message["thread_ts"] = thread_ts
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def _store(self, channel: Channel, arguments: Json) -> Json:
        message: Json = {
            "type": "message",
            "bot_id": "B0AEGIS001",
            "text": arguments.get("text", ""),
            "ts": self._next_ts(),
        }
        if arguments.get("blocks"):
            message["blocks"] = arguments["blocks"]
        channel.messages.append(message)
        return message

    def _update(self, arguments: Json) -> Json:
        self._need("chat:write")
        channel = self._readable(str(arguments.get("channel", "")))
        message = self._message(channel, str(arguments.get("ts", "")))
        if message.get("bot_id") != "B0AEGIS001":
            raise SlackRefusal("cant_update_message")
        _check_message(arguments)
        metadata = _metadata(arguments.get("metadata"))
        message["text"] = arguments.get("text", "")
        message["edited"] = {"ts": self._next_ts()}
        # Slack's pages disagree on what happens without the argument; here the old blocks stay.
        if arguments.get("blocks"):
            message["blocks"] = arguments["blocks"]
        elif "blocks" in arguments:
            message.pop("blocks", None)
        if metadata:
            message["metadata"] = metadata
        return {"channel": channel.id, "ts": message["ts"], "text": message["text"]}

    def _delete(self, arguments: Json) -> Json:
        self._need("chat:write")
        channel = self._readable(str(arguments.get("channel", "")))
        message = self._message(channel, str(arguments.get("ts", "")))
        channel.messages.remove(message)
        return {"channel": channel.id, "ts": message["ts"]}

    def _history(self, arguments: Json) -> Json:
        channel = self._readable(str(arguments.get("channel", "")))
        self._need("groups:history" if channel.private else "channels:history")
        oldest = float(str(arguments.get("oldest", "0")))
        found = [m for m in channel.roots if float(str(m["ts"])) > oldest]
        return self._page(list(reversed(found)), arguments)

    def _replies(self, arguments: Json) -> Json:
        channel = self._readable(str(arguments.get("channel", "")))
        self._need("groups:history" if channel.private else "channels:history")
        root = self._message(channel, str(arguments.get("ts", "")))
        return self._page([root, *channel.replies(str(root["ts"]))], arguments)

    def _page(self, messages: list[Json], arguments: Json) -> Json:
        start = int(str(arguments.get("cursor") or "0"))
        size = min(int(str(arguments.get("limit", "100"))), self.page_limit)
        shown = [dict(m) for m in messages[start : start + size]]
        if str(arguments.get("include_all_metadata", "")).lower() not in ("1", "true"):
            for message in shown:
                # Without the argument Slack tells the type only.
                if isinstance(meta := message.pop("metadata", None), dict):
                    message["metadata"] = {"event_type": meta["event_type"]}
        more = start + size < len(messages)
        cursor = str(start + size) if more else ""
        return {"messages": shown, "has_more": more, "response_metadata": {"next_cursor": cursor}}

    def _list(self, arguments: Json) -> Json:
        wanted = str(arguments.get("types", "public_channel")).split(",")
        self._need(*(_READ_SCOPE[kind] for kind in wanted))
        found = [
            c
            for c in self.channels.values()
            if ("private_channel" if c.private else "public_channel") in wanted
            and not (c.archived and arguments.get("exclude_archived"))
        ]
        start = int(str(arguments.get("cursor") or "0"))
        size = min(int(str(arguments.get("limit", "100"))), self.page_limit)
        cursor = str(start + size) if start + size < len(found) else ""
        return {
            "channels": [{"id": c.id, "name": c.name} for c in found[start : start + size]],
            "response_metadata": {"next_cursor": cursor},
        }

    def _group(self, arguments: Json) -> Json:
        self._need("usergroups:read")
        name = str(arguments.get("usergroup", ""))
        if name not in self.groups:
            raise SlackRefusal("no_such_subteam")
        return {"users": self.groups[name]}

    def _need(self, *scopes: str) -> None:
        missing = [scope for scope in scopes if scope not in self.scopes]
        if missing:
            provided = ",".join(sorted(self.scopes))
            raise SlackRefusal("missing_scope", needed=",".join(missing), provided=provided)

    def _writable(self, name: str) -> Channel:
        channel = self._known(name)
        if channel.archived:
            raise SlackRefusal("is_archived")
        if not channel.member:
            raise SlackRefusal("not_in_channel")
        return channel

    def _readable(self, id: str) -> Channel:
        if id not in self.channels:  # methods other than chat.postMessage take no names
            raise SlackRefusal("channel_not_found")
        channel = self._known(id)
        if not channel.member:
            raise SlackRefusal("not_in_channel")
        return channel

    def _known(self, name: str) -> Channel:
        for channel in self.channels.values():
            if name in (channel.id, channel.name, f"#{channel.name}"):
                if channel.private and not channel.member:
                    break
                return channel
        raise SlackRefusal("channel_not_found")

    def _message(self, channel: Channel, ts: str) -> Json:
        for message in channel.messages:
            if message["ts"] == ts:
                return message
        raise SlackRefusal("message_not_found")

    def _check_rate(self, key: str) -> None:
        now = self._clock()
        if self.enforce_rate and now - self._last_message.get(key, 0.0) < 0.99:
            raise SlackRefusal("ratelimited")
        self._last_message[key] = now

    def _next_ts(self) -> str:
        self._last_ts = max(self._clock(), self._last_ts + 0.000001)
        return f"{self._last_ts:.6f}"

    # Incoming webhooks and response_url

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        arguments = await _arguments(request)
        self.calls.append(Call("webhook", arguments, self._clock()))
        self.arrived.set()
        fault = self.faults["webhook"].popleft() if self.faults["webhook"] else None
        if fault is Fault.RATE_LIMIT:
            return web.Response(status=429, text="rate_limited", headers={"Retry-After": "7"})
        if fault is Fault.FATAL_ERROR:
            return web.Response(status=500, text="rollup_error")
        early = await self._before(fault, request)
        if early is not None:
            return early
        if request.match_info["secret"] != self.webhook_secret:
            return web.Response(status=404, text="no_service")
        if self.webhook_error:
            return web.Response(status=403, text=self.webhook_error)
        if set(arguments) - _WEBHOOK:
            return web.Response(status=400, text="invalid_payload")
        if fault is Fault.INVALID_BLOCKS and arguments.get("blocks"):
            return web.Response(status=400, text="invalid_blocks")
        try:
            _check_message(arguments)
        except SlackRefusal as refused:
            return web.Response(status=400, text=str(refused))
        self._store(self.channels[self.webhook_channel], arguments)
        if fault in (Fault.HANG_AFTER, Fault.DROP_AFTER):
            return await self._vanish(request, hang=fault is Fault.HANG_AFTER)
        return web.Response(text="ok")

    async def _response(self, request: web.Request) -> web.StreamResponse:
        arguments = await _arguments(request)
        fault = self.faults["response"].popleft() if self.faults["response"] else None
        early = await self._before(fault, request)
        if early is not None:
            return early
        if request.match_info["id"] == "expired":
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if set(arguments) - {"response_type", "replace_original", "text"}:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        try:
            _check_message(arguments)
        except SlackRefusal as refused:
            return web.json_response(refused.answer, status=400)
        self._answered[request.path_qs] += 1
        if self._answered[request.path_qs] > ANSWERS_LIMIT:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        self.responses.append({**arguments, "to": request.match_info["id"]})
        self.arrived.set()
        return web.json_response({"ok": True})

    # Socket Mode

    def _open_socket(self, _arguments: Json) -> Json:
        ticket = f"ticket{len(self.made('apps.connections.open'))}"
        self._tickets.add(ticket)
        return {"url": f"ws://127.0.0.1:{self.port}/socket?ticket={ticket}"}

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:  # Slack takes each address once
            return web.Response(status=403)
        self._tickets.discard(ticket)
        if self.refuse_sockets > 0:
            self.refuse_sockets -= 1
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        await socket.send_json({"type": "hello", "num_connections": len(self._sockets)})
        self._connected.set()
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                envelope = json.loads(message.data)
                self.acknowledged.append(str(envelope.get("envelope_id")))
                self.arrived.set()
        return socket

    async def hang_up(self) -> None:
        """Close every socket, as Slack does when it refreshes a connection."""
        sockets, self._sockets = self._sockets, []
        self._connected.clear()
        for socket in sockets:
            await socket.close()

    async def press(self, payload: Mapping[str, object], *, envelope_id: str = "env-1") -> None:
        """Send an interaction to the connected app, as when a person presses a button."""
        async with asyncio.timeout(30):
            await self._connected.wait()
        envelope = {
            "type": "interactive",
            "envelope_id": envelope_id,
            "accepts_response_payload": False,
            "payload": dict(payload),
        }
        await self._sockets[-1].send_json(envelope)


def shown(message: Mapping[str, object]) -> str:
    """All that a person reads in a stored message, as one text."""
    if message.get("blocks"):
        return "\n".join(texts(message["blocks"]))
    return str(message["text"])


# Where Slack advises 4,000 and cuts at 40,000. In between it may split a text in two messages,
# which for us is a second root message; chat.update refuses it.
_MESSAGE_LIMIT = 4_000
_METADATA_LIMIT_BYTES = 8 * 1024
_MESSAGE = frozenset({"text", "blocks", "parse", "link_names", "metadata", "attachments"})
_POST = _MESSAGE | {"channel", "thread_ts", "mrkdwn", "unfurl_links", "unfurl_media"}
_UPDATE = _MESSAGE | {"channel", "ts"}
_WEBHOOK = frozenset({"text", "blocks", "mrkdwn", "unfurl_links", "unfurl_media"})
_HISTORY = frozenset(
    {"channel", "oldest", "latest", "inclusive", "limit", "cursor", "include_all_metadata"}
)
_LIST = frozenset({"types", "exclude_archived", "limit", "cursor"})
_READ_SCOPE = {"public_channel": "channels:read", "private_channel": "groups:read"}


async def _arguments(request: web.Request) -> Json:
    if request.content_type == "application/json":
        body = json.loads(await request.text() or "{}")
        return body if isinstance(body, dict) else {}
    values: Json = {**request.query, **(await request.post())}
    for name in ("blocks", "metadata"):
        if isinstance(text := values.get(name), str):
            values[name] = json.loads(text)
    return values


def _check_message(arguments: Json) -> None:
    text, blocks = arguments.get("text", ""), arguments.get("blocks")
    if not isinstance(text, str) or not (text.strip() or blocks):
        raise SlackRefusal("no_text")
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 > _MESSAGE_LIMIT:
        raise SlackRefusal("msg_too_long")
    if blocks is None:
        return
    wrong = problems(blocks)
    if wrong:
        raise SlackRefusal("invalid_blocks", response_metadata={"messages": wrong})
    if too_long(blocks):
        raise SlackRefusal("msg_blocks_too_long")


def _metadata(value: object) -> Json | None:
    if value is None:
        return None
    if not (
        isinstance(value, dict)
        and set(value) == {"event_type", "event_payload"}
        and isinstance(value["event_type"], str)
        and isinstance(value["event_payload"], dict)
    ):
        raise SlackRefusal("invalid_metadata_format")
    if not re.fullmatch(r"\w{1,255}", value["event_type"]):
        raise SlackRefusal("invalid_metadata_schema")
    if len(json.dumps(value["event_payload"]).encode()) > _METADATA_LIMIT_BYTES:
        raise SlackRefusal("metadata_too_large")
    return value


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    """A fake Slack that listens."""
    fake = FakeSlack()
    await fake.start()
    yield fake
    await fake.stop()
