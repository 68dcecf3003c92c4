"""Headers, URLs, connection strings and command lines that hold credentials."""

import binascii
import re
from base64 import b64decode

from aegis_sink.diagnosis.redaction.rule import Replace, Rule, pattern

_BASIC = re.compile(r"\bbasic[ \t]{1,3}([A-Za-z0-9+/_-]{6,}={0,2})", re.I)
_BEARER = re.compile(r"\bbearer[ \t]{1,3}([A-Za-z0-9._~+/=-]{8,})", re.I)
_SCHEMES = r"(?:bearer|basic|token|digest|negotiate|apikey|aws4-hmac-sha256)"
_PARAMETER = r"[\w-]{1,40}=(?:\\{0,3}\"[^\"\n]{0,2048}\"|[^\s\",]{0,2048})"
_PARAMETERS = rf"{_PARAMETER}(?:,[ \t]{{0,3}}{_PARAMETER}){{0,20}}"
# An unknown scheme and its credentials: "Splunk 1f…", "SharedKey account:c2ln…".
_OTHER_SCHEME = (
    r"(?<!earer )(?<!asic )(?<!oken )(?<!gest )(?<!iate )(?<!ikey )"
    rf"[A-Za-z][\w-]{{0,30}}[ \t]{{1,3}}"
    rf"(?:{_PARAMETERS}|(?=[^\s\"'\\]{{0,64}}[\d=:])[^\s\"'\\]{{6,8192}})"
)


def schemes(text: str, replace: Replace) -> str:
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


URLS = (
    pattern(
        "webhook",
        ("hooks.slack.com/", "/api/webhooks/", ".webhook.office.com/"),
        r"(?:hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks/|\.webhook\.office\.com/)([^\s\"'<>]{1,2048})",
        re.I,
    ),
    pattern("url", ("://",), r"://[^\s/@:\"'<>]{0,64}:([^\s/\"'<>,]{1,256})@"),
    pattern("url", ("://",), r"://[^\s/@:\"'<>]{0,64}:(?!\d{1,5}[/\s?#\"'])([^\s@\"'<>,]{1,256})@"),
    pattern("url", ("://",), r"://([^\s/@:\"'<>]{16,512})@"),
    # Cut off before its "@", by whoever shortened the text.
    pattern(
        "url",
        ("://",),
        r"://[^\s/@:\"'<>\[]{1,64}:(?!\d{1,5}(?:\D|\Z))([^\s/@\"'<>,:$%{(\[][^\s/@\"'<>,:]{0,256})(?=…|\.\.\.|\Z)",
    ),
    pattern(
        "url", ("jdbc:oracle",), r"jdbc:oracle:\w{1,20}:[\w.-]{1,64}/([^\s@\"']{1,256})@", re.I
    ),
    pattern("database", ("@tcp(", "@unix("), r"[\w.-]{1,64}:([^\s@/\"']{1,256})@(?:tcp|unix)\("),
    pattern(
        "database",
        ("@",),
        r"(?<![\w/.:@-])[\w.-]{1,64}:([^\s@/:\"',]{3,256})@(?!sha\d{3}:)[\w.-]{1,253}(?::\d{2,5}\b|/\w)",
    ),
)

HEADERS = (
    pattern(
        "header",
        ("authorization", "api-key", "auth-token", "vault-token", "private-token", "access-token"),
        rf"\b(?:proxy-)?(?:authorization|x-api-key|x-auth-token|x-vault-token|private-token|x-access-token)"
        rf"\\{{0,3}}[\"']?[ \t]{{0,3}}[:=][ \t]{{0,3}}\[?\\{{0,3}}[\"']?(?:{_SCHEMES}[ \t]{{1,3}})?"
        rf"(?!{_SCHEMES}\s)(?!redacted:)({_PARAMETERS}|{_OTHER_SCHEME}|[^\s\"'\\]{{1,8192}})",
        re.I,
    ),
    Rule("header", ("bearer ", "basic "), schemes),
    pattern(
        "cookie",
        ("cookie",),
        r"\b(?:set-)?cookie\\{0,3}[\"']?[ \t]{0,3}:[ \t]{0,3}\[?(?!redacted:)\\{0,3}[\"']?([^\n\"'\\]{1,8192})",
        re.I,
    ),
)

COMMANDS = (
    pattern(
        "command",
        ("sqlcmd", "ldap"),
        r"\b(?:sqlcmd|ldap\w{1,12})\b[^\n|;]{0,200}?[ \t]-[Pw][ \t]{1,3}([^\s\"']{1,256})",
    ),
    pattern(
        "command", ("aws_",), r"\baws_(?:secret_access_key|session_token)[ \t]{1,3}(\S{16,2048})"
    ),
    pattern(
        "command",
        ("mysql", "mariadb", "sshpass", "docker login", "podman login", "az login", "mongo"),
        r"\b(?:mysql\w{0,10}|mariadb\w{0,10}|sshpass|(?:docker|podman|az)[ \t]login|mongo\w{0,10})\b"
        r"[^\n|;]{0,200}?[ \t]-p[ \t]?([^\s\"'-][^\s\"']{0,256})",
    ),
    pattern("command", ("redis-cli",), r"\bredis-cli\b[^\n|;]{0,200}?[ \t]-a[ \t]{1,3}([^\s\"']{1,256})"),
    pattern(
        "command",
        ("curl",),
        r"\bcurl\b[^\n|;]{0,300}?[ \t](?:-u|-U|--user|--proxy-user)[ \t=]{0,3}[\"']?[\w.@+-]{0,64}:([^\s\"']{1,256})",
    ),
    pattern("command", ("from-literal",), r"--from-literal[ =][\"']?[\w.-]{1,253}=([^\s\"']{1,4096})"),
    pattern(
        "command",
        ("requirepass", "masterauth"),
        r"\b(?:requirepass|masterauth)[ \t:=\"']{1,8}([^\s\"',]{3,512})",
        re.I,
    ),
    pattern(
        "command",
        ("identified",),
        r"\bidentified\s{1,4}(?:with\s{1,4}\S{1,64}\s{1,4})?(?:by|as)\s{1,4}(?:password\s{1,4})?[\"']([^\"'\n]{1,4096})",
        re.I,
    ),
    pattern("command", ("password",), r"\blogin[ \t]{1,4}\S{1,128}[ \t]{1,4}password[ \t]{1,4}(\S{1,256})", re.I),
)  # fmt: skip
