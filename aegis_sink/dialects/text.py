"""Text from outside, made safe to keep: it can always be stored and encoded, and pings nobody."""

import re

DETAILS_LIMIT = 16 * 1024
ERROR_LIMIT = 8 * 1024
ERRORS_LIMIT = 200
NAME_LIMIT = 512

# Control characters but newline and tab, zero-width, bidirectional and tag marks, lone surrogates,
# which neither UTF-8 nor a database takes.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u180e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
_ODD = re.compile(f"{_UNWANTED.pattern[:-1]}\r\u2028\u2029]")
_LINE_ENDS = re.compile("\r\n|[\u2028\u2029\r]")
_THINK = re.compile(r"<(/?)think(?:ing)?\b[^<>]{0,100}>", re.IGNORECASE)
_CONTROL_SEQUENCE = re.compile(r"<([!@#][^<>\n]+)>")
_BROADCAST = re.compile(r"@(here|channel|everyone|all)\b", re.IGNORECASE)


def clean(text: str, limit: int) -> str:
    """`text` without characters that nobody should see, cut at `limit` with a note."""
    cut = len(text) - limit
    if cut <= 0:
        return _visible(text)
    return f"{_visible(text[:limit])}… cut {cut} characters"


def clean_details(text: str) -> str:
    """K8sGPT's model text: thoughts removed, mentions as `[!channel]` and `(at)here`, clamped."""
    if not text:
        return ""
    if "<" in text:
        text = _without_thoughts(_visible(text))
    text = clean(text.strip(), DETAILS_LIMIT)
    if "<" in text:
        text = _CONTROL_SEQUENCE.sub(r"[\1]", text)
    if "@" in text:
        text = _BROADCAST.sub(r"(at)\1", text)
    return text


def _visible(text: str) -> str:
    if (text.isascii() and text.isprintable()) or _ODD.search(text) is None:
        return text
    return _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))


def _without_thoughts(text: str) -> str:
    """Without `<think>…</think>`, nested, unclosed, or with only its end (some servers eat the
    start)."""
    kept: list[str] = []
    depth, position = 0, 0
    for tag in _THINK.finditer(text):
        closing = bool(tag[1])
        if closing and depth == 0:
            kept.clear()
        elif depth == 0:
            kept.append(text[position : tag.start()])
        depth = max(0, depth - 1) if closing else depth + 1
        position = tag.end()
    if depth == 0:
        kept.append(text[position:])
    return "".join(kept)
