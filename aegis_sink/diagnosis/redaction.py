"""Redaction: named rules that take secrets out of text, and leave what a diagnosis needs.

A secret becomes `[redacted:<rule>:<4 hex>]`. The hex digits are a keyed hash of it: the same secret
looks the same everywhere, so that a reader sees "both pods use the same password", but sixteen bits
under an unknown key do not help anyone to guess a short one.

Rules run only where one of their hints occurs, and each is linear in the text: no rule can fail
after an unbounded run that it could have started in many places. Redacting twice changes nothing.
"""

import binascii
import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MARK = "[redacted:"
# Only what this module writes counts as done: text from outside may hold the mark too, and must not
# switch a rule off. The names are those of RULES.
_DONE = re.compile(
    r"(?:\[redacted:(?:pem|base64|webhook|url|database|header|cookie|jwt|cloud-key|git-key|chat-key"
    r"|vendor-key|key-value|env|flag|email):[0-9a-f]{4}\])"
)
LONGEST_DONE = 40
_ALL_DONE = re.compile(rf"(?:{_DONE.pattern})+[\s\"',;.:!?&}}\])>]*")

Replace = Callable[[str, str], str]
"""(rule, secret) → placeholder."""

_STRONG = (
    r"passw(?:or)?d|passphrase|pwd|credential|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|account[_-]?key|encryption[_-]?key|signing[_-]?key|master[_-]?key|shared[_-]?key"
    r"|client-key-data|connection[_-]?string|session[_-]?id|sessid|dsn"
)
_WEAK = frozenset({"secret", "token"})
_KEY_HINTS = (
    "pass", "pwd", "credential", "key", "connection", "session", "sessid", "dsn", "secret", "token",
)  # fmt: skip

# Said about a secret, in error texts and in our own evidence.
_WORDS_ABOUT = frozenset(
    [
        "true",
        "false",
        "null",
        "nil",
        "none",
        "yes",
        "no",
        "not",
        "is",
        "are",
        "was",
        "missing",
        "required",
        "invalid",
        "empty",
        "expired",
        "changed",
        "unset",
        "failed",
        "wrong",
        "incorrect",
        "unknown",
        "error",
        "must",
        "cannot",
        "(empty)",
        "<nil>",
        "<none>",
        "<unset>",
        "{}",
        "[]",
    ]
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret. `apply` runs when a hint is in the lower-cased text."""

    name: str
    hints: tuple[str, ...]
    apply: Callable[[str, Replace], str]


class Redactor:
    """`redact(text) -> text`. `key` makes the placeholders of this installation its own."""

    def __init__(self, key: bytes, *, emails: bool = False) -> None:
        self._key = key
        self._rules = RULES if emails else tuple(r for r in RULES if r.name != "email")

    def __call__(self, text: str) -> str:
        """The text without secrets. Never raises."""
        lowered = text.lower()
        for rule in self._rules:
            for hint in rule.hints:
                if hint in lowered:
                    text = rule.apply(text, self._placeholder)
                    break
        return text

    def _placeholder(self, rule: str, secret: str) -> str:
        digest = hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256")
        return f"{MARK}{rule}:{digest[:2].hex()}]"


def redact(text: str) -> str:
    """Redaction with a key that is the same everywhere, for tools that compare outputs."""
    return _SHARED(text)


def _pattern(
    rule: str, hints: tuple[str, ...], pattern: str, flags: int = 0, group: int = 1
) -> Rule:
    """A rule that replaces one group of a pattern, unless it is a word about a secret."""
    compiled = re.compile(pattern, flags)

    def apply(text: str, replace: Replace) -> str:
        def swap(found: re.Match[str]) -> str:
            start, end = max(found.start(group), _end_of_done(found, group)), found.end(group)
            secret = found.string[start:end]
            if not secret or _ALL_DONE.fullmatch(secret):
                return found[0]
            before, after = start - found.start(), end - found.start()
            return found[0][:before] + replace(rule, secret) + found[0][after:]

        return compiled.sub(swap, text)

    return Rule(rule, hints, apply)


def _end_of_done(found: re.Match[str], group: int) -> int:
    """Where the placeholder ends that the group begins in, whose name and digits may look like a
    secret; 0 when it begins in none."""
    at = found.start(group)
    start = found.string.rfind(MARK, max(0, at - LONGEST_DONE), at + len(MARK))
    done = _DONE.match(found.string, start) if start >= 0 else None
    return done.end() if done is not None and at < done.end() else 0


# --- PEM blocks -----------------------------------------------------------------------------

_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")
_PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=:,\s-]|\\[rn])*")
_PEM_LINES_BEFORE_END = re.compile(
    r"(?:^|(?<=\\n))[A-Za-z0-9+/=]{16,}(?:[ \t]*(?:\r?\n|\\n))", re.M
)
LONGEST_PEM = 32_768


def _pem(text: str, replace: Replace) -> str:
    """Whole blocks; blocks whose end was cut off; and the rest of blocks whose start was."""
    parts: list[str] = []
    at = 0
    ends = [m.span() for m in _PEM_END.finditer(text)]
    next_end = 0
    for begin in _PEM_BEGIN.finditer(text):
        if begin.start() < at:
            continue
        while next_end < len(ends) and ends[next_end][0] < begin.end():
            next_end += 1
        near = next_end < len(ends) and ends[next_end][1] - begin.start() <= LONGEST_PEM
        body = _PEM_BODY.match(text, begin.end())
        stop = ends[next_end][1] if near else (body.end() if body else begin.end())
        parts += [text[at : begin.start()], replace("pem", text[begin.start() : stop])]
        at = stop
    rest = "".join([*parts, text[at:]])
    return _pem_tails(rest, replace) if _PEM_END.search(rest) else rest


def _pem_tails(text: str, replace: Replace) -> str:
    """Lines of base64 that an END follows without a BEGIN: a log's tail may start in a block."""
    parts: list[str] = []
    at = 0
    for end in _PEM_END.finditer(text):
        start = end.start()
        for line in _PEM_LINES_BEFORE_END.finditer(text, at, end.start()):
            start = min(start, line.start())
        parts += [text[at:start], replace("pem", text[start : end.end()])]
        at = end.end()
    return "".join([*parts, text[at:]])


# --- names and values -----------------------------------------------------------------------

# Searched in lower-cased text: several times faster than ignoring case. What follows "name" or
# "ref" is the name of a Secret, and no secret.
_KEYWORD = re.compile(
    rf"(?P<word>{_STRONG}|secret|token)"
    r"(?!s?[_-]?(?:name|ref|keyref|count|type|path|file|dir|ttl|id\b))[\w.-]{0,40}"
)
_VALUE = (
    r"(?:(?P<q>\\{0,3}[\"'])(?P<quoted>(?:(?!(?P=q))[^\n]){1,4096})"
    r"|(?P<bare>[^\s\"'&;\\]{1,4096}))"
)
_ASSIGNED = re.compile(rf"\]?\\{{0,3}}[\"']?[ \t]{{0,3}}(?:[:=]|=>|:=)[ \t]{{0,3}}{_VALUE}")
_TO_LINE_END = re.compile(r"=(?P<bare>[^\n]{1,8192})")
_AFTER_FLAG = re.compile(rf"[ \t]{{1,3}}(?!-){_VALUE}")
_PAIRED = re.compile(
    rf"\\{{0,3}}[\"']?\s{{0,4}},?\s{{0,40}}\\{{0,3}}[\"']?[vV]alue\\{{0,3}}[\"']?"
    rf"\s{{0,4}}[:=]\s{{0,4}}{_VALUE}"
)
_PAIRED_BEFORE = re.compile(
    rf"(?<![\w-])[vV]alue\\{{0,3}}[\"']?\s{{0,4}}[:=]\s{{0,4}}{_VALUE}(?P=q)?"
    r"\s{0,4},?\s{0,40}\\{0,3}[\"']?[nN]ame\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?[\w.-]{0,60}\Z"
)
_NAME_BEFORE = re.compile(r"\b[nN]ame\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?[\w.-]{0,60}\Z")
_FLAG_BEFORE = re.compile(r"(?:^|[\s\"'\[,])--?[\w-]{0,40}\Z")
_LINE_START = re.compile(r"(?:^|\n)[ \t]{0,20}(?:export[ \t])?[A-Z0-9_]{0,60}\Z")
_LOOK_BACK = 100
_TRAILING = ",}])>"
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _named_values(text: str, replace: Replace) -> str:
    """Values of names that tell a secret: pairs, assignments, flags, environment lines."""
    lowered = text.lower() if text.isascii() else text.translate(_ASCII_LOWER)
    parts: list[str] = []
    done = 0
    for name in _KEYWORD.finditer(lowered):
        if name.start() < done:
            continue
        for rule, start, end in _beside(text, name.start(), name.end(), done):
            secret = text[start:end]
            if start >= done and _worth_hiding(secret, name["word"]):
                parts += [text[done:start], replace(rule, secret)]
                done = end
    return "".join([*parts, text[done:]]) if parts else text


def _beside(text: str, start: int, end: int, done: int) -> Iterator[tuple[str, int, int]]:
    """Where the value of the name at start..end stands, if it has one."""
    following = text[end : end + 1]
    if not following:
        return
    before = text[max(done, start - _LOOK_BACK) : start]
    flag = following in " \t" and _FLAG_BEFORE.search(before)
    if flag and (found := _AFTER_FLAG.match(text, end)):
        yield ("flag", *_span(found))
        return
    if "ame" in before:
        if (found := _PAIRED_BEFORE.search(before)) is not None:
            shift = start - len(before)
            first, last = _span(found)
            yield "env", first + shift, last + shift
            return
        if (found := _PAIRED.match(text, end)) and _NAME_BEFORE.search(before):
            yield ("env", *_span(found))
            return
    if following == "=" and _LINE_START.search(before) and text[start:end].isupper():
        if found := _TO_LINE_END.match(text, end):
            yield "env", found.start("bare"), found.end("bare")
        return
    if found := _ASSIGNED.match(text, end):
        yield ("key-value", *_span(found))


def _span(found: re.Match[str]) -> tuple[int, int]:
    """Of the value, without the brackets that close what it stands in."""
    if found["quoted"] is not None:
        return found.span("quoted")
    start, end = found.span("bare")
    if _DONE.search(found["bare"]):
        return start, end  # a part was taken out before; the rest goes with it
    kept = len(found["bare"].rstrip(_TRAILING))
    return start, start + kept if kept else end


def _worth_hiding(value: str, word: str) -> bool:
    """Words about a secret stay; behind a weak name ("token", "secret") so do short ones."""
    if value.lower().rstrip(".,:;!") in _WORDS_ABOUT or _ALL_DONE.fullmatch(value):
        return False
    if word == "pwd" and value.startswith("/"):
        return False  # the working directory
    return word not in _WEAK or (len(value) >= 6 and not value.isdigit())


# --- headers, URLs, connection strings ------------------------------------------------------

_BASIC = re.compile(r"\bbasic[ \t]{1,3}([A-Za-z0-9+/_-]{6,}={0,2})", re.I)
_BEARER = re.compile(r"\bbearer[ \t]{1,3}([A-Za-z0-9._~+/=-]{8,})", re.I)
_SCHEMES = r"(?:bearer|basic|token|digest|negotiate|apikey|aws4-hmac-sha256)"


def _schemes(text: str, replace: Replace) -> str:
    """Credentials after "Bearer" and "Basic" outside of a header; prose stays."""

    def bearer(found: re.Match[str]) -> str:
        token = found[1]
        if not any(c.isdigit() for c in token):
            return found[0]
        return found[0][: -len(token)] + replace("header", token)

    def basic(found: re.Match[str]) -> str:
        token = found[1]
        try:
            holds_password = b":" in b64decode(token + "=" * (-len(token) % 4), validate=True)
        except (ValueError, binascii.Error):
            holds_password = False
        return found[0][: -len(token)] + replace("header", token) if holds_password else found[0]

    return _BASIC.sub(basic, _BEARER.sub(bearer, text))


# --- base64 and Secret objects --------------------------------------------------------------

_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_.:@-])[A-Za-z0-9+/]{40,}={0,2}(?![A-Za-z0-9+/_.-])")
_SECRET_OBJECT = re.compile(r"\bkind\\{0,3}[\"']?[ \t]{0,3}:[ \t]{0,3}\\{0,3}[\"']?Secret\b")
_JSON_DATA = re.compile(
    r"(\\{0,3}\"(?:data|stringData)\\{0,3}\"\s{0,4}:\s{0,4}\{)([^{}]{1,1000000})\}"
)
_JSON_MEMBER = re.compile(r"(\\{0,3}\"\s{0,4}:\s{0,4}\\{0,3}\")([^\"\\]{1,1000000})")
_YAML_DATA = re.compile(r"^([ \t]{0,40})(?:data|stringData):[ \t]*$", re.M)
_YAML_MEMBER = re.compile(r"([ \t]{0,40}[\w.-]{1,253}:[ \t]{1,4})(\S[^\n]*)")


def _base64(text: str, replace: Replace) -> str:
    def swap(found: re.Match[str]) -> str:
        run = found[0]
        mixed = (
            any(c.isupper() for c in run)
            and any(c.islower() for c in run)
            and any(c.isdigit() or c == "+" for c in run)
        )
        # File paths have runs of letters between slashes; hashes are hexadecimal and not mixed.
        path = run.startswith("/") or run.count("/") > len(run) // 12
        return replace("base64", run) if mixed and not path else run

    return _BASE64.sub(swap, text)


def _secret_objects(text: str, replace: Replace) -> str:
    """The values under data and stringData where the text holds a Secret."""
    if not _SECRET_OBJECT.search(text):
        return text

    def member(found: re.Match[str]) -> str:
        done = _ALL_DONE.fullmatch(found[2])
        return found[0] if done else found[1] + replace("base64", found[2])

    def data(found: re.Match[str]) -> str:
        return f"{found[1]}{_JSON_MEMBER.sub(member, found[2])}}}"

    return "\n".join(_yaml_members(_JSON_DATA.sub(data, text).split("\n"), member))


def _yaml_members(lines: list[str], member: Callable[[re.Match[str]], str]) -> Iterator[str]:
    inside: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and indent <= inside:
            inside = None
        if inside is not None:
            found = _YAML_MEMBER.fullmatch(line)
            yield member(found) if found else line
            continue
        begin = _YAML_DATA.fullmatch(line)
        if begin:
            inside = len(begin[1])
        yield line


_KEY_PREFIXES = (
    ("cloud-key", ("akia", "asia", "abia", "acca"), r"(?<![A-Za-z0-9])((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?![A-Za-z0-9])"),
    ("cloud-key", ("aiza", "ya29.", "gocspx-"), r"(AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,})"),
    ("cloud-key", ("sig=", "signature=", "x-amz-"), r"(?i)[?&;](?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature)=([^&\s\"']{8,})"),
    ("git-key", ("gh", "glpat-", "gldt-", "glrt-", "glptt-"), r"(?<![A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|rt|ptt|cbt|ft|agent|soat|imt)-[\w-]{16,})"),
    ("chat-key", ("xox", "xapp-"), r"(?<![A-Za-z0-9])(xox[a-z](?:\.xox[a-z])?-[\w-]{8,}|xapp-[\w-]{10,})"),
    ("vendor-key", ("sk_", "rk_", "whsec_", "sk-", "hf_", "npm_", "pypi-", "hvs.", "dckr_pat_", "sg.", "dop_v1_", "shpat_", "age-secret-key"),
     r"(?<![A-Za-z0-9])((?:sk|rk)_(?:live|test)_\w{10,}|whsec_[\w+/=]{10,}|sk-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|hv[sb]\.[\w-]{20,}|dckr_pat_[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|dop_v1_[a-f0-9]{40,}|shpat_[a-f0-9]{30,}|AGE-SECRET-KEY-1[A-Z0-9]{40,})"),
)  # fmt: skip

RULES: tuple[Rule, ...] = (
    Rule("pem", ("-----begin ", "-----end "), _pem),
    Rule("base64", ("secret",), _secret_objects),
    _pattern(
        "webhook",
        ("hooks.slack.com/", "/api/webhooks/", ".webhook.office.com/"),
        r"(?:hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks/|\.webhook\.office\.com/)([^\s\"'<>]{1,2048})",
        re.I,
    ),
    _pattern(
        "url",
        ("://",),
        r"://[^\s/@:\"'<>]{0,64}:([^\s/\"'<>,]{1,256})@",
    ),
    _pattern(
        "url",
        ("://",),
        r"://[^\s/@:\"'<>]{0,64}:(?!\d{1,5}[/\s?#\"'])([^\s@\"'<>,]{1,256})@",
    ),
    _pattern("url", ("://",), r"://([^\s/@:\"'<>]{16,512})@"),
    _pattern(
        "database",
        ("@tcp(", "@unix("),
        r"[\w.-]{1,64}:([^\s@/\"']{1,256})@(?:tcp|unix)\(",
    ),
    _pattern(
        "header",
        ("authorization", "api-key", "auth-token", "vault-token", "private-token", "access-token"),
        rf"\b(?:proxy-)?(?:authorization|x-api-key|x-auth-token|x-vault-token|private-token|x-access-token)"
        rf"\\{{0,3}}[\"']?[ \t]{{0,3}}[:=][ \t]{{0,3}}\[?\\{{0,3}}[\"']?(?:{_SCHEMES}[ \t]{{1,3}})?"
        rf"(?!{_SCHEMES}\s)(?!redacted:)([^\s\"'\\]{{1,8192}})",
        re.I,
    ),
    Rule("header", ("bearer ", "basic "), _schemes),
    _pattern(
        "cookie",
        ("cookie",),
        r"\b(?:set-)?cookie\\{0,3}[\"']?[ \t]{0,3}:[ \t]{0,3}\\{0,3}[\"']?([^\n\"'\\]{1,8192})",
        re.I,
    ),
    _pattern("jwt", ("eyj",), r"(?<![A-Za-z0-9])(eyJ[\w.=+/-]{16,})"),
    *(_pattern(name, hints, pattern) for name, hints, pattern in _KEY_PREFIXES),
    Rule("key-value", _KEY_HINTS, _named_values),
    _pattern(
        "base64", ('"auth',), r"\"auth\\{0,3}\"\s{0,4}:\s{0,4}\\{0,3}\"([A-Za-z0-9+/=]{6,4096})"
    ),
    Rule("base64", ("",), _base64),
    _pattern(
        "email", ("@",), r"(?<![\w.+-])([\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6})(?![\w@])"
    ),
)

_SHARED = Redactor(b"aegis-sink")
