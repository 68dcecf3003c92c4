"""Values of names that tell a secret: pairs, assignments, flags, elements, environment lines."""

import re
from collections.abc import Iterator

from aegis_sink.diagnosis.redaction.rule import DONE, Replace, is_done

_STRONG = (
    r"passw(?:or)?d|passphrase|passcode|passwort|kennwort|mot_de_passe|密码|pwd|credential"
    r"|client-key-data|connection[_-]?string|session[_-]?id|sessid|dsn|key"
)
# A key of which kind: "key" alone names many other things.
_KIND_OF_KEY = re.compile(
    r"(?:api|app|access|private|account|encryption|signing|master|shared|session|subscription"
    r"|functions?|integration|licen[cs]e|auth|aes|hmac|jwt|rsa|ssh|tls|ssl|crypto|cipher|hash"
    r"|deploy|write|admin|secret)[ _-]?\Z"
)
_LONGEST_KIND = 14
# Other things have these names too: only long values with a digit are hidden.
_WEAK = frozenset({"secret", "token", "pass", "pw", "creds", "_auth"})
_SPOKEN = frozenset({"password", "passwd", "passphrase", "passcode", "pwd"})
"""Names whose quoted value may follow without a sign: `using password 'x'`, `PASSWORD 'x'`."""
HINTS = (
    "pass", "pw", "credential", "key", "connection", "session", "sessid", "dsn", "secret", "token",
    "creds", "_auth", "kennwort", "密码",
)  # fmt: skip

# Said about a secret, in error texts and in our own evidence.
_WORDS_ABOUT = frozenset(
    {
        *("true", "false", "null", "nil", "none", "yes", "no", "not", "is", "are", "was"),
        *("missing", "required", "invalid", "empty", "expired", "changed", "unset", "failed"),
        *("wrong", "incorrect", "unknown", "error", "must", "cannot"),
        *("(empty)", "<nil>", "<none>", "<unset>", "{}", "[]"),
    }
)
# A file that holds the secret is no secret, and often the fault.
_FILE = re.compile(
    r"/(?:etc|var|run|usr|opt|home|root|tmp|mnt|app|srv|data|certs?|secrets?|vault)/[\w./-]*"
)

# Searched in lower-cased text: several times faster than ignoring case. What follows "name" or
# "ref" is the name of a Secret, and no secret.
_KEYWORD = re.compile(
    rf"(?P<word>{_STRONG}|secret|token"
    # What may not stand before is looked at last: the search is fast where words begin by letters.
    r"|pass(?![a-z])(?:(?<![a-z]pass)|(?<=dbpass)|(?<=userpass))"
    r"|pw(?![a-z])(?<![a-z]pw)|creds(?![a-z])(?<![a-z]creds)|_auth(?![a-z]))"
    r"(?!s?[_-]?(?:name|ref|keyref|count|type|path|file|dir|ttl|id\b))[\w.-]{0,40}"
)
_QUOTED = r"(?P<q>\\{0,3}[\"'])(?P<quoted>(?:(?!(?P=q))[^\n]){1,4096})"
# Also what a program prints around it: Some("x"), SecretStr('x').
_VALUE = rf"(?:(?:[A-Za-z_]\w{{0,30}}\()?{_QUOTED}|(?P<bare>[^\s\"'&;\\]{{1,4096}}))"
_GAP = r"[ \t]{0,40}"
# YAML's "|" and ">-" stand before a value that an event or a log has drawn to one line.
_ASSIGNED = re.compile(
    rf"\]?\\{{0,3}}[\"']?{_GAP}(?:[=-]>|:=|[:=：＝]){_GAP}"
    # YAML's anchors and tags, and the two more quotes of TOML.
    rf"(?:[|>][+-]?(?:[ \t]|\\{{1,3}}n){{1,40}}|[&!][\w!-]{{1,40}}[ \t]{{1,3}}|\"\"(?=\")|''(?='))?{_VALUE}"
)
_BLOCK = re.compile(
    r"[\"']?[ \t]{0,40}:[ \t]{0,40}(?P<fold>[|>][+-]?[1-9]?)?[ \t]{0,40}\r?\n"
    r"(?P<lines>(?:[ \t]{1,200}[^\s][^\n]{0,4096}(?:\n|\Z)){1,200})"
)
_ONE_WORD = re.compile(r"[ \t]+(?![-{\[])(?P<bare>[^\s:]+)[ \t\r]*(?:\n|\Z)")
_TO_LINE_END = re.compile(r"=(?P<bare>[^\n]{1,8192})")
_REST_OF_LINE = re.compile(r"[ \t]{1,40}(?!#)[^\n]{1,8192}")
_AFTER_FLAG = re.compile(rf"[ \t]{{1,3}}(?!-){_VALUE}")
_NEXT_IN_LIST = re.compile(
    rf"\\{{0,3}}[\"'][ \t]{{0,3}}(?:,\s{{0,4}}|[ \t]|=>?[ \t]{{0,3}})(?!\\{{0,3}}[\"']-){_QUOTED}"
)
_AFTER_WORD = re.compile(rf"[ \t]{{1,3}}{_QUOTED}")
_ELEMENT = re.compile(r">(?P<bare>[^<>\n]{1,4096})</")
_NAMED_ELEMENT = re.compile(r"[\"']\s{0,4}>\s{0,40}(?P<bare>[^<>\n]{1,4096})</")
_ENCODED = re.compile(
    r"(?:%2[27])?%3[ADad](?:%2[027]|\+){0,4}(?P<bare>(?:(?!%2[267Cc])[^\s\"'&;\\]){1,4096})"
)
_PAIRED = re.compile(
    rf"\\{{0,3}}[\"']?\s{{0,4}},?\s{{0,40}}\\{{0,3}}[\"']?[vV]alue\\{{0,3}}[\"']?"
    rf"\s{{0,4}}[:=]\s{{0,4}}{_VALUE}"
)
_PAIRED_BEFORE = re.compile(
    rf"(?<![\w-])[vV]alue\\{{0,3}}[\"']?\s{{0,4}}[:=]\s{{0,4}}{_VALUE}(?P=q)?"
    r"\s{0,4},?\s{0,40}\\{0,3}[\"']?[nN]ame\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?[\w.-]{0,60}\Z"
)
_NAME_BEFORE = re.compile(
    r"\b(?:[nN]ame|[kK]ey|[tT]ype)\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?[\w.-]{0,60}\Z"
)
_FLAG_BEFORE = re.compile(r"(?:^|[\s\"'\[,])--?[\w-]{0,40}\Z")
_TUPLE_BEFORE = re.compile(r"(?:\(\s{0,4}\\{0,3}[\"'][\w.-]{0,40}|[\"'\[,\s]--?[\w-]{0,40})\Z")
_TAG_BEFORE = re.compile(r"<[\w:.-]{0,60}\Z")
_LINE_START = re.compile(r"(?:^|\n)[ \t]{0,20}(?:export[ \t])?[A-Z0-9_]{0,60}\Z")
_YAML_START = re.compile(r"(?:^|\n)[ \t]{0,40}(?:- )?[\w.-]{0,60}\Z")
_LOOK_BACK = 100
_TRAILING = ",}])>"
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

Found = tuple[str, int, int]
"""Rule, start and end of the secret."""


def named_values(text: str, replace: Replace) -> str:
    """The text without the values of names that tell a secret."""
    lowered = text.lower() if text.isascii() else text.translate(_ASCII_LOWER)
    parts: list[str] = []
    done = 0
    for name in _names(lowered):
        at = name.start()
        if at < done:
            continue
        for rule, start, end in _beside(text, name, done):
            secret = text[start:end]
            if start >= done and _worth_hiding(secret, name["word"]):
                parts += [text[done:start], replace(rule, secret)]
                done = end
    return "".join([*parts, text[done:]]) if parts else text


def _names(lowered: str) -> Iterator[re.Match[str]]:
    """The names that tell a secret, one after the other."""
    name = _KEYWORD.search(lowered)
    while name is not None:
        at, end = name.span()
        if name["word"] != "key" or _KIND_OF_KEY.search(lowered, max(0, at - _LONGEST_KIND), at):
            yield name
        else:
            end = name.end("word")  # "keyStorePassword"
        name = _KEYWORD.search(lowered, end)


def _beside(text: str, name: re.Match[str], done: int) -> Iterator[Found]:
    """Where the value of the name stands, if it has one."""
    start, end = name.span()
    following = text[end : end + 1]
    if not following:
        return
    before = text[max(done, start - _LOOK_BACK) : start]
    if following in " \t" and (found := _spoken(text, name, before)):
        yield found
        return
    if ("ame" in before or "ey" in before or "ype" in before) and (
        found := _in_pair(text, start, end, before)
    ):
        yield found
        return
    if following == "=" and _LINE_START.search(before) and text[start:end].isupper():
        if line := _TO_LINE_END.match(text, end):
            yield "env", line.start("bare"), line.end("bare")
        return
    if following == ">" and _TAG_BEFORE.search(before) and (element := _ELEMENT.match(text, end)):
        yield "key-value", *element.span("bare")
        return
    if following == "%" and (encoded := _ENCODED.match(text, end)):
        yield "key-value", *encoded.span("bare")
        return
    if (
        following in "\"'\\"
        and (listing := _TUPLE_BEFORE.search(before))
        and (name["word"] not in _WEAK or not listing[0].startswith("("))
        and (listed := _NEXT_IN_LIST.match(text, end))
    ):
        yield "flag", *listed.span("quoted")
        return
    if (block := _BLOCK.match(text, end)) and (lines := _deeper(text, start, block)):
        yield "key-value", *lines
        return
    if assigned := _ASSIGNED.match(text, end):
        if text[start:end] in ("PASS", "Pass") and not re.search(r"[\w.-]\Z", before):
            return  # "--- PASS: TestOrders": how a test ended
        first, last = _span(assigned)
        if assigned["bare"] is not None and name["word"] not in _WEAK and text[end] == ":":
            # YAML needs no quotes around words: they reach to the line's end.
            rest = _REST_OF_LINE.match(text, last) if _YAML_START.search(before) else None
            if rest and text[first:last].lower() not in _WORDS_ABOUT:
                last = rest.end()
        yield "key-value", first, last


def _spoken(text: str, name: re.Match[str], before: str) -> Found | None:
    """After a space: a flag's value, or a quoted one after a word like "password"."""
    end = name.end()
    if _FLAG_BEFORE.search(before) and (found := _AFTER_FLAG.match(text, end)):
        return ("flag", *_span(found))
    if name[0] in _SPOKEN and (found := _AFTER_WORD.match(text, end)):
        return ("key-value", *found.span("quoted"))
    return None


def _in_pair(text: str, start: int, end: int, before: str) -> Found | None:
    """`name: X, value: Y` in JSON, YAML, Go and XML, in either order."""
    if (found := _PAIRED_BEFORE.search(before)) is not None:
        shift = start - len(before)
        first, last = _span(found)
        return "env", first + shift, last + shift
    if not _NAME_BEFORE.search(before):
        return None
    if found := _PAIRED.match(text, end):
        return ("env", *_span(found))
    if found := _NAMED_ELEMENT.match(text, end):
        return ("env", *found.span("bare"))
    return None


def _deeper(text: str, start: int, block: re.Match[str]) -> tuple[int, int] | None:
    """The lines below the name that are indented deeper: all of a YAML block, else a lone word."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    indent = len(line) - len(line.lstrip())
    first = last = block.start("lines")
    if not block["fold"]:
        word = _ONE_WORD.match(text, first)
        if word is None or word.start("bare") - first <= indent:
            return None
        return word.span("bare")
    for inner in block["lines"].splitlines(keepends=True):
        if len(inner) - len(inner.lstrip()) <= indent:
            break
        last += len(inner)
    body = text[first:last]
    if not body.strip():
        return None
    return first + len(body) - len(body.lstrip()), first + len(body.rstrip())


def _span(found: re.Match[str]) -> tuple[int, int]:
    """Of the value, without the brackets that close what it stands in."""
    if found["quoted"] is not None:
        return found.span("quoted")
    start, end = found.span("bare")
    if DONE.search(found["bare"]):
        return start, end  # a part was taken out before; the rest goes with it
    kept = len(found["bare"].rstrip(_TRAILING))
    return start, start + kept if kept else end


def _worth_hiding(value: str, word: str) -> bool:
    """Words about a secret stay; behind a weak name ("token", "secret") so do short ones."""
    if value.lower().rstrip(".,:;!") in _WORDS_ABOUT or is_done(value) or _FILE.fullmatch(value):
        return False
    if word == "pwd" and value.startswith("/"):
        return False  # the working directory
    if word == "_auth":
        return len(value) >= 6 and any(c.isdigit() for c in value)
    return word not in _WEAK or (len(value) >= 6 and not value.isdigit())
