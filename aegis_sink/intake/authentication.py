"""Who may come in. All comparisons are constant-time, on digests, so that length tells nothing."""

import base64
import binascii
import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence

from standardwebhooks.webhooks import (
    EmptyWebhookSecretError,
    Webhook,
    WebhookVerificationError,
)


class WebhookGate:
    """The operator's door: token as last path segment, or as Basic password.

    `https://aegis:TOKEN@host/webhook` makes Go send Basic (facts/k8sgpt.md §0.5). Without a token
    the door is open.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else _digest(_without_end(token.encode()))

    def admits(self, path_token: str, authorization: bytes) -> bool:
        """Whether one of what this request shows is the token. A "/" at its end says nothing: it
        comes and goes with the address it is written into."""
        if self._token is None:
            return True
        shown = (path_token.encode(), _basic_password(authorization), _bearer(authorization))
        # Each is compared, so that the time tells nothing of which was right.
        right = [
            hmac.compare_digest(_digest(_without_end(one)), self._token) for one in shown if one
        ]
        return any(right)


class ApiGate:
    """`/v1`: a bearer token, or on `/v1/findings` a Standard Webhooks signature.

    Without a token the API is open, unless `closed`: a service that others can reach must not
    show its incidents to everybody just because nobody set a token.
    """

    def __init__(
        self, token: str | None, signing_secrets: Sequence[str] = (), *, closed: bool = False
    ) -> None:
        self._token = None if token is None else _digest(token.encode())
        self._closed = closed
        self._signatures = tuple(Webhook(secret) for secret in signing_secrets)

    @property
    def hint(self) -> str:
        """What a person who was refused should do."""
        if self._token is None and self._closed:
            return (
                "no API token is configured: set AEGIS_API_TOKEN, then send Authorization: Bearer"
            )
        return "send the API token as Authorization: Bearer TOKEN"

    def _needs_signature(self) -> bool:
        return bool(self._signatures) and self._token is None

    def admits(self, authorization: bytes) -> bool:
        """Whether a bearer token, or none where none is asked, lets this request in."""
        if self._token is None:
            return not self._closed
        given = _bearer(authorization)
        return given is not None and hmac.compare_digest(_digest(given), self._token)

    def may_admit(self, authorization: bytes, headers: Mapping[str, str]) -> bool:
        """False when nothing in the body could let this request in: strangers do not fill the
        memory."""
        signed = bool(self._signatures) and "webhook-signature" in headers
        return signed or (not self._needs_signature() and self.admits(authorization))

    def admits_finding(self, authorization: bytes, headers: Mapping[str, str], body: bytes) -> bool:
        """Like `admits`; with signing secrets, a signature of the last five minutes does too.

        With signing secrets and no token, only a signature does.
        """
        if not self._signatures:
            return self.admits(authorization)
        if not self._needs_signature() and self.admits(authorization):
            return True
        return any(_signed(signature, headers, body) for signature in self._signatures)


def signing_secrets(text: str) -> tuple[str, ...]:
    """`whsec_a whsec_b` → both. ValueError when one is not base64 behind `whsec_`."""
    secrets = tuple(text.split())
    for secret in secrets:
        try:
            # The library leaves out what is not base64: a misspelt secret would be a short one.
            b64decode(secret.removeprefix("whsec_"), validate=True)
            Webhook(secret)
        except (ValueError, EmptyWebhookSecretError) as error:
            raise ValueError("a signing secret is base64, usually behind `whsec_`") from error
    return secrets


def _signed(signature: Webhook, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        signature.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


def _without_end(token: bytes) -> bytes:
    return token.rstrip(b"/") or token


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def _basic_password(authorization: bytes) -> bytes | None:
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        _, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return None
    return password if colon else None


def _bearer(authorization: bytes) -> bytes | None:
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None
