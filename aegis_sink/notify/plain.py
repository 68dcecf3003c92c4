"""A message as plain text: for the terminal, and for Slack when it refuses the rich form."""

from datetime import datetime

from aegis_sink.notify.message import Message, Part, status_in_words, when_in_words
from aegis_sink.notify.text import clamp, disarm, escape, plural, units

# Slack advises 4,000 for `text`. A longer one may be split in two messages, which would be a second
# root message; the rest is for the note about a refused rich form.
SLACK_TEXT_LIMIT = 3900


def plain_lines(message: Message, *, now: datetime, more: str) -> list[str]:
    """The whole message, a line an entry; `more` ends "… 2 more …": "in the thread"."""
    head = [status_in_words(message, now=now), when_in_words(message, now=now), message.objects]
    lines = [
        message.headline,
        f"{message.subject} · {message.place}" if message.subject else message.place,
        " · ".join(piece for piece in head if piece),
    ]
    for part in message.parts:
        lines.extend(part_lines(part, more=more))
    if message.note:
        lines.append(message.note)
    lines.extend(f"{link.text}: {link.url}" for link in message.links)
    return lines


def part_lines(part: Part, *, more: str) -> list[str]:
    """One part, a line an entry."""
    lines = []
    if part.label and part.text:
        lines.append(f"{part.label}: {part.text}")
    elif part.label or part.text:
        lines.append(part.label or part.text)
    lines.extend(f"  • {line}" for line in part.lines)
    if part.left:
        lines.append(f"  {left_words(part, more=more)}")
    lines.extend(f"    {line}" for line in part.code.splitlines())
    if part.after:
        lines.append(f"  {part.after}")
    return lines


def left_words(part: Part, *, more: str) -> str:
    """What was left out: "… 2 more fixes in the thread"."""
    noun = f" {plural(part.left, part.noun).split(' ', 1)[1]}" if part.noun else ""
    return f"… {part.left} more{noun} {more}"


def slack_text(lines: list[str], limit: int = SLACK_TEXT_LIMIT) -> str:
    """Lines for a field that Slack parses: disarmed, escaped, and short enough after escaping."""
    text = disarm("\n".join(lines))
    shown = escape(clamp(text, limit))
    while units(shown) > limit:
        # Escaping makes up to five characters of one; give up text, never half an entity.
        limit_now = max(1, len(text) * limit // (units(shown) + 1) - 1)
        text = clamp(text, limit_now)
        shown = escape(text)
    return shown
