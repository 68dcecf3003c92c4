"""Slack with a bot token: one message per incident, edited in place, details in its thread."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from slack_sdk.web.async_slack_response import AsyncSlackResponse

from aegis_sink.model import OWN_CHANNEL, Audience, Digest, Incident, NoticeReason, Posted
from aegis_sink.notify.blocks import THREAD, Json, Rendered, render, render_parts
from aegis_sink.notify.buttons import buttons_for
from aegis_sink.notify.digest import compose_digest
from aegis_sink.notify.errors import MessageRefused, NotifyRefused
from aegis_sink.notify.message import compose
from aegis_sink.notify.pacer import Pacer
from aegis_sink.notify.refusals import refusal
from aegis_sink.notify.slack_api import (
    SLACK_API_URL,
    TIMEOUT_SECONDS,
    SlackAPI,
    as_object,
    as_objects,
    next_cursor,
)
from aegis_sink.notify.thread import compose_reply

EVENT_TYPE = "aegis_sink_incident"
CLOCK_SKEW = timedelta(minutes=2)
PAGE = 200

_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{7,}")

log = logging.getLogger(__name__)


class SlackBot:
    """Posts with chat.postMessage, edits with chat.update, finds by message metadata.

    `channel` is where goes what has no channel of its own. A channel is an id ("C024BE91L") or a
    name ("#ops"). An id needs fewer scopes: a name can be posted to, but its history is found only
    with channels:read (groups:read when private).
    """

    name = "slack"
    can_edit = True

    def __init__(
        self,
        token: str,
        channel: str,
        *,
        api_url: str = SLACK_API_URL,
        buttons: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pacer: Pacer | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._buttons = buttons
        self._now = now
        self._pacer = pacer or Pacer()
        self._api = SlackAPI(token, url=api_url, timeout=timeout, asked_to_wait=self._pacer.hold)
        self._channel = channel
        self._ids: dict[str, str] = {}
        """Name → id, once Slack told it."""

    async def post(
        self, incident: Incident, reason: NoticeReason, *, nonce: str, to: Audience = OWN_CHANNEL
    ) -> Posted:
        """Post the root message with metadata {incident, nonce}; rich, else plain."""
        payload = {"incident": incident.id, "nonce": nonce}
        metadata: Json = {"event_type": EVENT_TYPE, "event_payload": payload}
        rendered = self._render(incident, reason, mentions=to.mentions)
        return await self._post(rendered, channel=to.channel, metadata=metadata)

    async def edit(self, incident: Incident, reason: NoticeReason, posted: Posted) -> Posted:
        """Bring the message to the incident's present state; its metadata stays as it was."""
        if not posted.ts:
            return posted
        return await self._edit(self._render(incident, reason), posted)

    async def post_digest(self, digest: Digest, *, nonce: str, channel: str = "") -> Posted:
        """Post a digest with metadata {nonce}; rich, else plain."""
        metadata: Json = {"event_type": EVENT_TYPE, "event_payload": {"nonce": nonce}}
        return await self._post(self._render_digest(digest), channel=channel, metadata=metadata)

    async def edit_digest(self, digest: Digest, posted: Posted) -> None:
        """Bring the digest to its present state."""
        await self._edit(self._render_digest(digest), posted)

    def _render_digest(self, digest: Digest) -> Rendered:
        now = self._now()
        return render(compose_digest(digest, now=now), now=now, more="not shown here")

    async def _edit(self, rendered: Rendered, posted: Posted) -> Posted:
        async def update(text: str, blocks: list[Json]) -> AsyncSlackResponse:
            # blocks=[] removes the old ones: a plain text would stay hidden below them.
            return await self._api.web.chat_update(
                channel=posted.channel, ts=posted.ts, text=text, blocks=blocks, parse="none"
            )

        _, refusal = await self._rich_or_plain(
            rendered,
            update,
            channel=posted.channel,
            doing=f"editing the message in {self._shown(posted.channel)}",
            repeatable=True,
        )
        return replace(posted, refusal=refusal)

    async def reply(
        self,
        incident: Incident,
        reason: NoticeReason,
        posted: Posted,
        *,
        mentions: tuple[str, ...] = (),
        whole: bool = False,
    ) -> Posted:
        """Write to the thread what the message has no room for. Nothing when there is nothing.

        Not safe to repeat after OutcomeUnknown: the thread may then say it twice.
        """
        if not posted.ts:
            return posted
        parts = compose_reply(incident, reason, now=self._now())
        replies = [self._render(incident, reason, buttons=False)] if whole else []
        replies += render_parts(parts, more="on the incident's page", mentions=mentions)
        refusal = ""
        for rendered in replies:
            part = await self._post(rendered, channel=posted.channel, thread_ts=posted.ts)
            refusal = refusal or part.refusal
        return replace(posted, refusal=refusal)

    async def find(self, nonce: str, *, since: datetime, channel: str = "") -> Posted | None:
        """Search the channel's history for the root message with this nonce."""
        shown = self._shown(channel)
        channel_id = await self._resolve(channel)
        cursor = ""
        while True:
            answer = await self._api.call(
                self._api.web.conversations_history(
                    channel=channel_id,
                    oldest=f"{(since - CLOCK_SKEW).timestamp():.6f}",
                    include_all_metadata=True,
                    limit=PAGE,
                    cursor=cursor or None,
                ),
                doing=f"reading the history of {shown}",
                repeatable=True,
            )
            for message in as_objects(answer.get("messages")):
                if _nonce(message) == nonce:
                    return Posted(channel=channel_id, ts=str(message.get("ts", "")))
            cursor = next_cursor(answer)
            if not cursor:
                return None

    async def status(self) -> str:
        """Token, channel, membership and the scope for `find`, all asked for real."""
        who = await self._api.call(
            self._api.web.auth_test(), doing="asking who the bot is", repeatable=True
        )
        await self.find("", since=self._now(), channel="")
        return (
            f"Slack: posts to {self._shown('')} in {who.get('team', 'the workspace')} "
            f"as {who.get('user', 'the app')}, and edits its messages"
        )

    async def group_members(self, group: str) -> frozenset[str]:
        """The ids of the users in a user group (S…); needs the scope usergroups:read."""
        answer = await self._api.call(
            self._api.web.usergroups_users_list(usergroup=group),
            doing=f"asking who is in the user group {group}",
            repeatable=True,
        )
        users = answer.get("users")
        return frozenset(map(str, users)) if isinstance(users, list) else frozenset()

    async def send_test_message(self) -> None:
        """Post a test message and delete it again: proves posting, which nothing else does."""
        text = "AEGIS Sink test message: it is deleted at once."
        rendered = Rendered(blocks=(), text=text, plain=text)
        posted = await self._post(rendered)
        await self._api.call(
            self._api.web.chat_delete(channel=posted.channel, ts=posted.ts),
            doing="deleting the test message",
            repeatable=True,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    def _render(
        self,
        incident: Incident,
        reason: NoticeReason,
        *,
        mentions: tuple[str, ...] = (),
        buttons: bool = True,
    ) -> Rendered:
        now = self._now()
        message = compose(incident, reason, now=now)
        shown = buttons_for(incident) if buttons and self._buttons else ()
        return render(message, now=now, more=THREAD, buttons=shown, mentions=mentions)

    async def _post(
        self,
        rendered: Rendered,
        *,
        channel: str = "",
        thread_ts: str | None = None,
        metadata: Json | None = None,
    ) -> Posted:
        shown = self._shown(channel)
        target = self._ids.get(shown, shown)

        async def send(text: str, blocks: list[Json]) -> AsyncSlackResponse:
            return await self._api.web.chat_postMessage(
                channel=target,
                text=text,
                blocks=blocks or None,
                thread_ts=thread_ts,
                metadata=metadata,
                parse="none",
                mrkdwn=False,
                unfurl_links=False,
                unfurl_media=False,
            )

        answer, refusal = await self._rich_or_plain(
            rendered, send, channel=target, doing=f"posting to {shown}", repeatable=False
        )
        posted = Posted(str(answer.get("channel", "")), str(answer.get("ts", "")), refusal)
        if shown.startswith("#") and posted.channel:
            self._ids[shown] = posted.channel
            self._pacer.known_as(shown, posted.channel)
        return posted

    async def _rich_or_plain(
        self,
        rendered: Rendered,
        send: Callable[[str, list[Json]], Awaitable[AsyncSlackResponse]],
        *,
        channel: str,
        doing: str,
        repeatable: bool,
    ) -> tuple[Mapping[str, object], str]:
        """Slack's answer, and why it refused the rich form, "" when it did not."""
        await self._pacer.turn(channel)
        try:
            request = send(rendered.text, list(rendered.blocks))
            return await self._api.call(request, doing=doing, repeatable=repeatable), ""
        except MessageRefused as refused:
            log.warning("%s; sending it as plain text", refused, extra={"code": refused.code})
            note = f"(Slack refused the rich form of this message: {refused.code})"
            await self._pacer.turn(channel)
            request = send(f"{rendered.plain}\n{note}", [])
            return await self._api.call(request, doing=doing, repeatable=repeatable), str(refused)

    def _shown(self, channel: str) -> str:
        """A channel as people know it: its id where that is given, else its name with a #."""
        channel = (channel or self._channel).strip()
        return channel if is_channel_id(channel) else f"#{channel.removeprefix('#')}"

    async def _resolve(self, channel: str) -> str:
        """The channel's id: as set, as Slack told it on a post, or looked up by name."""
        shown = self._shown(channel)
        if not shown.startswith("#"):
            return shown
        refused: NotifyRefused | None = None
        for kind in ("public_channel", "private_channel"):
            if shown in self._ids:
                break
            try:
                await self._look_up(shown, kind)
            except NotifyRefused as error:  # each kind has a scope of its own
                refused = refused or error
        if shown not in self._ids:
            raise refused or refusal("channel_not_found", doing=f"looking up {shown}")
        return self._ids[shown]

    async def _look_up(self, shown: str, kind: str) -> None:
        """Remember the id of the channel when it is among those of this kind."""
        cursor = ""
        while True:
            answer = await self._api.call(
                self._api.web.conversations_list(
                    types=kind, exclude_archived=True, limit=PAGE, cursor=cursor or None
                ),
                doing=f"looking up {shown} (not needed with the channel's id)",
                repeatable=True,
            )
            for one in as_objects(answer.get("channels")):
                if one.get("name") == shown.removeprefix("#"):
                    self._ids[shown] = str(one.get("id", ""))
                    return
            cursor = next_cursor(answer)
            if not cursor:
                return


def is_channel_id(channel: str) -> bool:
    """Whether this is a channel's id and not its name."""
    return bool(_CHANNEL_ID.fullmatch(channel.strip()))


def _nonce(message: Mapping[str, object]) -> object:
    metadata = as_object(message.get("metadata"))
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    return as_object(metadata.get("event_payload")).get("nonce")
