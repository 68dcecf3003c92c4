"""What Slack refuses in blocks, as its documentation states it; used by the fake and by properties.

Closed: a field or type that is not listed here is refused, also where Slack might know it. Lengths
are counted in UTF-16 code units, the largest of the plausible ways to count.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

TOTAL_LIMIT = 13_200  # slackapi/bolt-js issue 2509
BLOCKS_LIMIT = 50

Problems = Iterator[str]


def problems(blocks: object) -> list[str]:
    """Everything that is wrong, with Slack's JSON pointers; [] when Slack would take the blocks."""
    return list(_blocks(blocks))


def too_long(blocks: object) -> bool:
    """Whether all blocks together are over the limit that Slack does not document."""
    return _units(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > TOTAL_LIMIT


def mrkdwn_texts(blocks: object) -> list[str]:
    """Every text in blocks that Slack would parse for mentions and links."""
    found: list[str] = []
    if isinstance(blocks, Mapping):
        if blocks.get("type") == "mrkdwn":
            found.append(str(blocks.get("text")))
        for value in blocks.values():
            found.extend(mrkdwn_texts(value))
    elif isinstance(blocks, list):
        for value in blocks:
            found.extend(mrkdwn_texts(value))
    return found


def texts(blocks: object) -> list[str]:
    """Every text a person can read, in order."""
    found: list[str] = []
    if isinstance(blocks, Mapping):
        if isinstance(blocks.get("text"), str):
            found.append(str(blocks["text"]))
        for value in blocks.values():
            found.extend(texts(value))
    elif isinstance(blocks, list | tuple):
        for value in blocks:
            found.extend(texts(value))
    return found


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _blocks(blocks: object) -> Problems:
    if not isinstance(blocks, list):
        yield "must be an array [json-pointer:/blocks]"
        return
    if len(blocks) > BLOCKS_LIMIT:
        yield "no more than 50 items allowed [json-pointer:/blocks]"
    for index, block in enumerate(blocks):
        yield from _object(block, f"/blocks/{index}", _BLOCKS)
    named = [b["block_id"] for b in blocks if isinstance(b, Mapping) and "block_id" in b]
    for block_id in named:
        yield from _string(block_id, "/blocks/block_id", 255)
    if len(named) != len(set(map(str, named))):
        yield "block_id must be unique [json-pointer:/blocks]"


def _object(value: object, at: str, kinds: Mapping[str, "Check"]) -> Problems:
    if not isinstance(value, Mapping):
        yield f"must be an object [json-pointer:{at}]"
        return
    check = kinds.get(str(value.get("type")))
    if check is None:
        yield f"unsupported type: {value.get('type')} [json-pointer:{at}/type]"
        return
    yield from check(value, at)


Check = Callable[[Mapping[str, object], str], Problems]


def _fields(
    value: Mapping[str, object], at: str, required: Sequence[str], optional: Sequence[str] = ()
) -> Problems:
    for name in required:
        if name not in value:
            yield f"missing required field: {name} [json-pointer:{at}]"
    for name in value:
        if name not in required and name not in optional and name != "type":
            yield f"unknown field: {name} [json-pointer:{at}/{name}]"


def _string(value: object, at: str, limit: int, least: int = 1) -> Problems:
    if not isinstance(value, str):
        yield f"must be a string [json-pointer:{at}]"
        return
    if _units(value) > limit:
        yield f"must be less than {limit + 1} characters [json-pointer:{at}]"
    if len(value) < least:
        yield f"must be more than {least - 1} characters [json-pointer:{at}]"
    if any("\ud800" <= char <= "\udfff" for char in value):
        yield f"must be valid Unicode [json-pointer:{at}]"


def _list(value: object, at: str, limit: int, kinds: Mapping[str, Check]) -> Problems:
    if not isinstance(value, list):
        yield f"must be an array [json-pointer:{at}]"
        return
    if len(value) > limit:
        yield f"no more than {limit} items allowed [json-pointer:{at}]"
    if not value:
        yield f"no fewer than 1 items allowed [json-pointer:{at}]"
    for index, item in enumerate(value):
        yield from _object(item, f"{at}/{index}", kinds)


def _text_object(limit: int, *types: str) -> Check:
    def check(value: Mapping[str, object], at: str) -> Problems:
        kind = value.get("type")
        if kind not in types:
            yield f"unsupported type: {kind} [json-pointer:{at}/type]"
            return
        yield from _fields(value, at, ["text"], ["emoji" if kind == "plain_text" else "verbatim"])
        yield from _string(value.get("text"), f"{at}/text", limit)
        for name in ("emoji", "verbatim"):
            if name in value and not isinstance(value[name], bool):
                yield f"must be a boolean [json-pointer:{at}/{name}]"

    return check


def _text(value: object, at: str, limit: int, *types: str) -> Problems:
    yield from _object(value, at, {kind: _text_object(limit, *types) for kind in types})


def _header(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["text"], ["block_id"])
    yield from _text(value.get("text"), f"{at}/text", 150, "plain_text")


def _section(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, [], ["text", "fields", "accessory", "block_id", "expand"])
    if "text" in value:
        yield from _text(value["text"], f"{at}/text", 3000, "plain_text", "mrkdwn")
    if "accessory" in value:
        yield from _object(value["accessory"], f"{at}/accessory", {"button": _button})
    if "expand" in value and not isinstance(value["expand"], bool):
        yield f"must be a boolean [json-pointer:{at}/expand]"
    if "text" in value:
        pass
    elif "fields" not in value:
        yield f"missing required field: text [json-pointer:{at}]"
    if "fields" in value:
        field = _text_object(2000, "plain_text", "mrkdwn")
        kinds = {"plain_text": field, "mrkdwn": field}
        yield from _list(value["fields"], f"{at}/fields", 10, kinds)


def _context(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["elements"], ["block_id"])
    text = _text_object(3000, "plain_text", "mrkdwn")
    yield from _list(
        value.get("elements"), f"{at}/elements", 10, {"plain_text": text, "mrkdwn": text}
    )


def _divider(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, [], ["block_id"])


def _actions(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["elements"], ["block_id"])
    elements = value.get("elements")
    yield from _list(elements, f"{at}/elements", 25, {"button": _button})
    if isinstance(elements, list):
        ids = [e.get("action_id") for e in elements if isinstance(e, Mapping)]
        if len(ids) != len(set(ids)):
            yield f"action_id must be unique [json-pointer:{at}/elements]"


def _button(value: Mapping[str, object], at: str) -> Problems:
    optional = ["url", "value", "style", "confirm", "accessibility_label"]
    yield from _fields(value, at, ["text", "action_id"], optional)
    yield from _text(value.get("text"), f"{at}/text", 75, "plain_text")
    yield from _string(value.get("action_id"), f"{at}/action_id", 255)
    for name, limit in {"value": 2000, "url": 3000, "accessibility_label": 75}.items():
        if name in value:
            yield from _string(value[name], f"{at}/{name}", limit)
    if value.get("style", "primary") not in ("primary", "danger"):
        yield f"must be one of primary, danger [json-pointer:{at}/style]"
    confirm = value.get("confirm", {})
    if not isinstance(confirm, Mapping):
        yield f"must be an object [json-pointer:{at}/confirm]"
    elif "confirm" in value:
        limits = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
        yield from _fields(confirm, f"{at}/confirm", list(limits), ["style"])
        for name, limit in limits.items():
            yield from _text(confirm.get(name), f"{at}/confirm/{name}", limit, "plain_text")


def _rich_text(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["elements"], ["block_id"])
    yield from _list(value.get("elements"), f"{at}/elements", 1000, _RICH)


def _rich_section(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["elements"])
    yield from _list(value.get("elements"), f"{at}/elements", 1000, _INLINE)


def _rich_list(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["style", "elements"], ["indent", "offset", "border"])
    if value.get("style") not in ("bullet", "ordered"):
        yield f"must be one of bullet, ordered [json-pointer:{at}/style]"
    sections: Mapping[str, Check] = {"rich_text_section": _rich_section}
    yield from _list(value.get("elements"), f"{at}/elements", 1000, sections)


def _rich_preformatted(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["elements"], ["border", "language"])
    kinds: Mapping[str, Check] = {"text": _inline_text, "link": _inline_link}
    yield from _list(value.get("elements"), f"{at}/elements", 1000, kinds)


def _style(value: Mapping[str, object], at: str) -> Problems:
    style = value.get("style", {})
    if not isinstance(style, Mapping):
        yield f"must be an object [json-pointer:{at}/style]"
        return
    for name, on in style.items():
        if name not in ("bold", "italic", "strike", "code", "underline") or not isinstance(
            on, bool
        ):
            yield f"unknown field: {name} [json-pointer:{at}/style/{name}]"


def _inline_text(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["text"], ["style"])
    yield from _string(value.get("text"), f"{at}/text", 3000)
    yield from _style(value, at)


def _inline_link(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["url"], ["text", "style", "unsafe"])
    yield from _string(value.get("url"), f"{at}/url", 3000)
    if not str(value.get("url")).startswith(("http://", "https://")):
        yield f"must be a valid URL [json-pointer:{at}/url]"
    yield from _style(value, at)


# docs.slack.dev, "Formatting text for app surfaces", date formatting
_DATE_TOKENS = {
    f"{date}{pretty}" for date in ("date", "date_short", "date_long") for pretty in ("", "_pretty")
} | {"date_num", "date_slash", "day_divider_pretty", "time", "time_secs", "ago"}


def _inline_date(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["timestamp", "format"], ["url", "fallback", "style", "timezone"])
    if not isinstance(value.get("timestamp"), int):
        yield f"must be an integer [json-pointer:{at}/timestamp]"
    yield from _string(value.get("format"), f"{at}/format", 3000)
    if "fallback" in value:
        yield from _string(value["fallback"], f"{at}/fallback", 3000)
    tokens = set(re.findall(r"{(\w*)}", str(value.get("format"))))
    if not tokens or tokens - _DATE_TOKENS:
        yield f"must hold date tokens that exist [json-pointer:{at}/format]"


def _inline_user(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["user_id"], ["style"])
    yield from _string(value.get("user_id"), f"{at}/user_id", 255)


def _inline_usergroup(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["usergroup_id"], ["style"])
    yield from _string(value.get("usergroup_id"), f"{at}/usergroup_id", 255)


def _inline_broadcast(value: Mapping[str, object], at: str) -> Problems:
    yield from _fields(value, at, ["range"], ["style"])
    if value.get("range") not in ("here", "channel", "everyone"):
        yield f"must be one of here, channel, everyone [json-pointer:{at}/range]"


_INLINE: Mapping[str, Check] = {
    "user": _inline_user,
    "usergroup": _inline_usergroup,
    "broadcast": _inline_broadcast,
    "text": _inline_text,
    "link": _inline_link,
    "date": _inline_date,
}
_RICH: Mapping[str, Check] = {
    "rich_text_section": _rich_section,
    "rich_text_list": _rich_list,
    "rich_text_preformatted": _rich_preformatted,
}
_BLOCKS: Mapping[str, Check] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "divider": _divider,
    "actions": _actions,
    "rich_text": _rich_text,
}
