"""Text from outside made safe and short: no control characters, no mentions, no cut characters."""

from datetime import datetime, timedelta

import regex

ELLIPSIS = "…"

# CSI, OSC and the two-character escapes of ECMA-48: a log line must not steer a terminal.
_ESCAPES = regex.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]"
)
# Bidirectional controls can show a command in another order than the one that is copied.
_BIDI = regex.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What nobody sees: a line of it looks empty, and within a word it hides the word from a search.
_INVISIBLE = regex.compile("[\u00ad\u180e\u200b\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_CONTROL = regex.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = regex.compile("[\ud800-\udfff]")
_GRAPHEME = regex.compile(r"\X")
# What Slack reads as a mention or a link: <!channel>, <@U1>, <#C1>, <https://…|text>, and the bare
# words that `link_names` and old clients turn into mentions.
_CONTROL_SEQUENCE = regex.compile(r"<(?=[!@#]|https?:|mailto:|tel:)", regex.IGNORECASE)
_BROADCAST = regex.compile(r"@(?=(?:channel|here|everyone|group)\b)", regex.IGNORECASE)
_WORD_JOINER = "\u2060"


def clean(text: str) -> str:
    """The text without escapes and control, direction and invisible characters; newlines and tabs
    stay."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n")
    text = _ESCAPES.sub("", text)
    text = _INVISIBLE.sub("", _BIDI.sub("", _CONTROL.sub("", text)))
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """The cleaned text with every run of white space as one space."""
    return " ".join(clean(text).split())


def units(text: str) -> int:
    """Length in UTF-16 code units.

    Slack does not say in what it counts. UTF-16 is the largest of the plausible answers, so what
    fits by it always fits.
    """
    return len(text) + sum(1 for char in text if char > "\uffff")


def clamp(text: str, limit: int, end: str = ELLIPSIS) -> str:
    """The text, at most `limit` UTF-16 units long, cut between graphemes and marked with `end`."""
    if units(text) <= limit:
        return text
    room = limit - units(end)
    if room < 0:
        return ""
    kept = 0
    stop = 0
    for grapheme in _GRAPHEME.finditer(text):
        kept += units(grapheme.group())
        if kept > room:
            break
        stop = grapheme.end()
    return text[:stop].rstrip() + end


def disarm(text: str) -> str:
    """Mentions and links that Slack would act on, broken by an invisible word joiner.

    Rich text is literal for Slack already. This holds also where a proxy, an export or an old
    client reads the message as mrkdwn.
    """
    text = _CONTROL_SEQUENCE.sub("<" + _WORD_JOINER, text)
    return _BROADCAST.sub("@" + _WORD_JOINER, text)


def escape(text: str) -> str:
    """For fields Slack parses: the three characters its documentation names."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def duration_words(duration: timedelta) -> str:
    """One of the forms "2 d 3 h", "1 h 5 min", "12 min", "less than a minute"."""
    minutes = int(duration.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"


def time_words(at: datetime, *, now: datetime) -> str:
    """The time only ("02:14 UTC") on the day of `now`, else "22 Nov 02:14 UTC"."""
    if at.date() == now.date():
        return at.strftime("%H:%M UTC")
    if at.year == now.year:
        return f"{at.day} {at.strftime('%b %H:%M UTC')}"
    return f"{at.day} {at.strftime('%b %Y %H:%M UTC')}"


def plural(count: int, noun: str) -> str:
    """Counted in English: "1 Pod", "3 Pods", "2 Ingresses", "2 NetworkPolicies"."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith(("s", "x", "ch")):
        return f"{count} {noun}es"
    if noun.endswith("y") and noun[-2:-1] not in ("a", "e", "o", ""):
        return f"{count} {noun[:-1]}ies"
    return f"{count} {noun}s"
