"""Redaction: named rules that take secrets out of text, and leave what a diagnosis needs.

A secret becomes `[redacted:<rule>:<4 hex>]`. The hex digits are a keyed hash of it: the same secret
looks the same everywhere, so that a reader sees "both pods use the same password", but sixteen bits
under an unknown key do not help anyone to guess a short one.

Rules run only where one of their hints occurs, and each is linear in the text: no rule can fail
after an unbounded run that it could have started in many places. Redacting twice changes nothing.
"""

import hmac

from aegis_sink.diagnosis.redaction.addresses import COMMANDS, HEADERS, URLS
from aegis_sink.diagnosis.redaction.encoded import base64_runs, secret_objects
from aegis_sink.diagnosis.redaction.names import HINTS, named_values
from aegis_sink.diagnosis.redaction.pem import pem
from aegis_sink.diagnosis.redaction.prefixes import FORMS
from aegis_sink.diagnosis.redaction.rule import MARK, Rule, pattern

RULES: tuple[Rule, ...] = (
    Rule("pem", ("-----begin ", "-----end "), pem),
    Rule("base64", ("secret",), secret_objects),
    *URLS,
    *HEADERS,
    pattern("jwt", ("eyj",), r"(?<![A-Za-z0-9])(eyJ[\w.=+/-]{16,})"),
    *FORMS,
    *COMMANDS,
    Rule("key-value", HINTS, named_values),
    pattern(
        "base64", ('"auth',), r"\"auth\\{0,3}\"\s{0,4}:\s{0,4}\\{0,3}\"([A-Za-z0-9+/=]{6,4096})"
    ),
    Rule("base64", ("",), base64_runs),
    pattern(
        "email", ("@",), r"(?<![\w.+-])([\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6})(?![\w@])"
    ),
)


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


_SHARED = Redactor(b"aegis-sink")


def redact(text: str) -> str:
    """Redaction with a key that is the same everywhere, for tools that compare outputs."""
    return _SHARED(text)
