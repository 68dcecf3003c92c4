"""A message as Block Kit.

All text from outside goes into `rich_text`, whose text elements Slack takes literally: nothing in
them is a mention, a link, a format or a code fence (docs.slack.dev, "Rich text block"). `mrkdwn`
is not used at all. Dates are `date` elements, so every reader sees his own time zone and the
"12 minutes ago" stays true without an edit.

Limits: 50 blocks, 150 characters a header, 2,000 a button value (docs.slack.dev); 3,000 a text
is documented for sections and kept here for rich text too; all blocks together are refused at
about 13,200 characters of JSON (slackapi/bolt-js issue 2509, undocumented).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from aegis_sink.notify.message import Link, Message, Part, lasted
from aegis_sink.notify.plain import (
    SLACK_TEXT_LIMIT,
    left_words,
    part_lines,
    plain_lines,
    slack_text,
)
from aegis_sink.notify.text import clamp, disarm, time_words, units

Json = dict[str, object]

BLOCKS_LIMIT = 50
HEADER_LIMIT = 150
TEXT_LIMIT = 3000
VALUE_LIMIT = 2000
TOTAL_LIMIT = 12_000  # of about 13,200; Slack counts in a way it does not tell.
URL_LIMIT = 3000
SUMMARY_LIMIT = 600  # of a reply in a notification, and for those who have it read aloud

THREAD = "in the thread"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What is sent: the blocks, a short text for notifications, and the whole as plain text."""

    blocks: tuple[Json, ...]
    text: str
    plain: str


@dataclass(frozen=True, slots=True)
class Button:
    """A button below a message. `value` comes back when it is pressed. `row` groups buttons."""

    action_id: str
    text: str
    value: str
    style: str = ""
    confirm: str = ""
    row: int = 0


def render(
    message: Message,
    *,
    now: datetime,
    more: str = THREAD,
    buttons: Sequence[Button] = (),
    mentions: Sequence[str] = (),
) -> Rendered:
    """The message for Slack, within every limit; parts that do not fit are counted, not cut."""
    head = [_header(message.headline), _rich_text([_section(_where_and_when(message, now))])]
    head += _calls(mentions)
    tail: list[Json] = []
    if message.note:
        tail.append(_rich_text([_section([_text(message.note, italic=True)])]))
    if message.links:
        tail.append(_rich_text([_section(_joined(map(_link, message.links)))]))
    for _, row in groupby(buttons, key=lambda button: button.row):
        tail.append({"type": "actions", "elements": [_button(button) for button in row]})
    middle = _fitting(message.parts, more=more, taken=[*head, *tail])
    return Rendered(
        blocks=(*head, *middle, *tail),
        text=slack_text([message.summary]),
        plain=_called(mentions, plain_lines(message, now=now, more=more)),
    )


def render_parts(
    parts: Sequence[Part], *, more: str, mentions: Sequence[str] = ()
) -> tuple[Rendered, ...]:
    """Thread replies: as many messages as the parts need, each within the limits, at most three.

    The first one calls those who are mentioned.
    """
    rendered: list[Rendered] = []
    rest = list(parts)
    while rest and len(rendered) < 3:
        last = len(rendered) == 2
        count = len(rest) if last else _count_fitting(rest, more)
        now_shown, rest = rest[:count], rest[count:]
        called = () if rendered else mentions
        lines = [line for part in now_shown for line in part_lines(part, more=more)]
        rendered.append(
            Rendered(
                blocks=(*(calls := _calls(called)), *_fitting(now_shown, more=more, taken=calls)),
                text=slack_text(lines, SUMMARY_LIMIT),
                plain=_called(called, lines),
            )
        )
    return tuple(rendered)


def blocks_size(blocks: Iterable[Json]) -> int:
    """What the blocks count against Slack's limit for all of them: compact JSON, in UTF-16."""
    return units(json.dumps(list(blocks), ensure_ascii=False, separators=(",", ":")))


def _calls(mentions: Sequence[str]) -> list[Json]:
    """A line that calls those of the settings; a text never does, whatever stands in it."""
    return [_rich_text([_section(_joined(map(_mention, mentions)))])] if mentions else []


def _mention(who: str) -> Json:
    if who.startswith("S"):
        return {"type": "usergroup", "usergroup_id": who}
    if who.startswith(("U", "W")):
        return {"type": "user", "user_id": who}
    return {"type": "broadcast", "range": who}


def _called(mentions: Sequence[str], lines: list[str]) -> str:
    """The same for a plain text, in Slack's control sequences; all of it within one message."""
    called = " ".join(
        f"<!subteam^{who}>" if who[0] == "S" else f"<@{who}>" if who[0] in "UW" else f"<!{who}>"
        for who in mentions
    )
    if not called:
        return slack_text(lines)
    return f"{called}\n{slack_text(lines, SLACK_TEXT_LIMIT - len(called) - 1)}"


def _count_fitting(parts: Sequence[Part], more: str) -> int:
    size = 0
    for count, part in enumerate(parts):
        size += blocks_size(_part_blocks(part, more))
        if count and (size > TOTAL_LIMIT or count >= BLOCKS_LIMIT):
            return count
    return len(parts)


def _fitting(parts: Sequence[Part], *, more: str, taken: Sequence[Json]) -> list[Json]:
    """The parts that fit beside `taken`, and a line that counts those which do not."""
    reserve = 200  # for that line
    room = TOTAL_LIMIT - blocks_size(taken) - reserve
    slots = BLOCKS_LIMIT - len(taken) - 1
    fitting: list[Json] = []
    for index, whole in enumerate(parts):
        blocks = _part_blocks(_shortened(whole, room, more), more)
        size = blocks_size(blocks)
        if size > room or slots < len(blocks):
            left = _text(f"… {len(parts) - index} more {more}", italic=True)
            return [*fitting, _rich_text([_section([left])])]
        fitting.extend(blocks)
        room -= size
        slots -= len(blocks)
    return fitting


def _shortened(part: Part, room: int, more: str) -> Part:
    """The part with as many of its lines as fit, the others counted; one that has none, whole."""
    shorter = part
    while blocks_size(_part_blocks(shorter, more)) > room:
        if len(shorter.lines) < 2:
            return part
        shorter = replace(shorter, lines=shorter.lines[:-1], left=shorter.left + 1)
    return shorter


def _where_and_when(message: Message, now: datetime) -> list[Json]:
    subject = [_text(message.subject, bold=True), _text(" · ")] if message.subject else []
    elements = [*subject, _text(f"{message.place}\n"), *_status(message, now)]
    if message.until is None:
        since = "since" if message.status else "Since"
        elements.append(
            _date(message.since, f"{since} {{date_short_pretty}} {{time}} ({{ago}})", now)
        )
    else:
        elements += [
            _text(f"{'lasted' if message.status else 'Lasted'} {lasted(message)}, "),
            _date(message.since, "from {date_short_pretty} {time}", now),
            _date(message.until, _end_format(message), now),
        ]
    if message.objects:
        elements.append(_text(f" · {message.objects}"))
    return elements


def _status(message: Message, now: datetime) -> list[Json]:
    if not message.status:
        return []
    if message.status_time is None:
        return [_text(f"{message.status} · ", bold=True)]
    form = f"{message.status_time.lead}{{date_short_pretty}} {{time}}"
    return [
        _text(message.status, bold=True),
        _date(message.status_time.at, form, now),
        _text(" · "),
    ]


def _end_format(message: Message) -> str:
    """The day of the end only when it is another than the start's."""
    same_day = message.until is not None and message.until.date() == message.since.date()
    return " to {time}" if same_day else " to {date_short_pretty} {time}"


def _part_blocks(part: Part, more: str) -> list[Json]:
    """One rich_text block, or none for a part without content."""
    elements: list[Json] = []
    first: list[Json] = []
    if part.label:
        first.append(_text(f"{part.label}: " if part.text else part.label, bold=True))
    if part.text:
        first.append(_text(part.text))
    if first:
        elements.append(_section(first))
    if part.lines:
        items = [_section([_text(line)]) for line in part.lines if line]
        elements.append({"type": "rich_text_list", "style": "bullet", "elements": items})
    if part.left:
        elements.append(_section([_text(left_words(part, more=more), italic=True)]))
    if part.code:
        code = clamp(disarm(part.code), TEXT_LIMIT)
        content = [{"type": "text", "text": code}]
        elements.append({"type": "rich_text_preformatted", "elements": content})
    if part.after:
        elements.append(_section([_text(part.after)]))
    return [_rich_text(elements)] if elements else []


def _header(text: str) -> Json:
    shown = clamp(disarm(text), HEADER_LIMIT)
    # emoji=false: ":fire:" in a title from outside stays text.
    return {"type": "header", "text": {"type": "plain_text", "text": shown, "emoji": False}}


def _rich_text(elements: Sequence[Json]) -> Json:
    return {"type": "rich_text", "elements": list(elements)}


def _section(elements: Sequence[Json]) -> Json:
    """A paragraph; Slack refuses empty texts."""
    shown = [element for element in elements if element.get("text") != ""]
    return {"type": "rich_text_section", "elements": shown}


def _text(text: str, *, bold: bool = False, italic: bool = False) -> Json:
    element: dict[str, object] = {"type": "text", "text": clamp(disarm(text), TEXT_LIMIT)}
    if bold or italic:
        element["style"] = {"bold": True} if bold else {"italic": True}
    return element


def _date(at: datetime, form: str, now: datetime) -> Json:
    """A date in the reader's own zone; `form` holds Slack's tokens, one word may lead it."""
    fallback = form[: form.index("{")] + time_words(at, now=now)
    return {"type": "date", "timestamp": int(at.timestamp()), "format": form, "fallback": fallback}


def _link(link: Link) -> Json:
    return {"type": "link", "url": link.url[:URL_LIMIT], "text": clamp(link.text, TEXT_LIMIT)}


def _joined(elements: Iterable[Json]) -> list[Json]:
    joined: list[Json] = []
    for element in elements:
        if joined:
            joined.append(_text(" · "))
        joined.append(element)
    return joined


def _button(button: Button) -> Json:
    if len(button.value) > VALUE_LIMIT:
        raise ValueError(f"the value of button {button.action_id} is over {VALUE_LIMIT} characters")
    element: dict[str, object] = {
        "type": "button",
        "action_id": button.action_id,
        "text": {"type": "plain_text", "text": button.text, "emoji": False},
        "value": button.value,
    }
    if button.style:
        element["style"] = button.style
    if button.confirm:
        element["confirm"] = {
            "title": {"type": "plain_text", "text": button.text},
            "text": {"type": "plain_text", "text": button.confirm},
            "confirm": {"type": "plain_text", "text": "Yes"},
            "deny": {"type": "plain_text", "text": "No"},
        }
    return element
