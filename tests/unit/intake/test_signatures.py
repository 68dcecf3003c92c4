"""Standard Webhooks signatures on `/v1/findings`, and comparisons that take constant time."""

import base64
import hashlib
import hmac
import time

import pytest

from aegis_sink.intake.authentication import ApiGate, WebhookGate, signing_secrets

OLD = "whsec_" + base64.b64encode(b"old key of 24 bytes.....").decode()
NEW = "whsec_" + base64.b64encode(b"new key of 24 bytes.....").decode()
BODY = '{"details": "größer als 2 µs – 😀"}'.encode()


def signed(
    secret: str, body: bytes = BODY, *, at: float | None = None, id: str = "msg_1"
) -> dict[str, str]:
    """The headers a sender makes, from the specification and not from the library."""
    stamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(mac).decode()
    return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signature}


def admits(headers: dict[str, str], body: bytes = BODY, *secrets: str) -> bool:
    """Whether a gate with a token and these secrets (NEW alone by default) lets it in."""
    return ApiGate("token", secrets or (NEW,)).admits_finding(b"", headers, body)


def test_a_signature_over_the_raw_bytes_is_accepted() -> None:
    assert admits(signed(NEW))


def test_while_keys_rotate_the_old_and_the_new_one_are_accepted() -> None:
    both = signing_secrets(f"{NEW} {OLD}")
    for secret in (OLD, NEW):
        assert admits(signed(secret), BODY, *both)
    assert not admits(signed(OLD), BODY, NEW)


def test_a_sender_that_rotates_sends_both_signatures_at_once() -> None:
    new, old = signed(NEW), signed(OLD)
    headers = {**new, "webhook-signature": f"{old['webhook-signature']} {new['webhook-signature']}"}
    assert admits(headers)


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(-290, True), (290, True), (-310, False), (310, False)]
)
def test_five_minutes_either_way_and_no_more(seconds: int, accepted: bool) -> None:
    assert admits(signed(NEW, at=time.time() + seconds)) is accepted


def test_a_new_timestamp_or_id_on_an_old_signature_is_refused() -> None:
    headers = signed(NEW, at=time.time() - 100)
    assert not admits({**headers, "webhook-timestamp": str(int(time.time()))})
    assert not admits({**headers, "webhook-id": "msg_2"})


def test_another_body_is_refused() -> None:
    assert not admits(signed(NEW), BODY + b" ")


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(missing: str) -> None:
    headers = signed(NEW)
    del headers[missing]
    assert not admits(headers)


@pytest.mark.parametrize(
    "signature", ["", "v1", "v1,", "v1,???", "v1,a,b", "v2,AAAA", "ü", "v1a,AAAA", " "]
)
def test_a_signature_of_another_form_is_refused(signature: str) -> None:
    assert not admits({**signed(NEW), "webhook-signature": signature})


@pytest.mark.parametrize("stamp", ["", "soon", "nan", "inf", "1e999", "-1"])
def test_a_timestamp_of_another_form_is_refused(stamp: str) -> None:
    assert not admits({**signed(NEW), "webhook-timestamp": stamp})


def test_bytes_that_are_no_utf_8_are_refused_not_an_error() -> None:
    assert not admits(signed(NEW, b"\xff"), b"\xff")


def test_with_secrets_and_no_token_only_a_signature_opens() -> None:
    gate = ApiGate(None, (NEW,))
    assert not gate.admits_finding(b"", {}, BODY)
    assert gate.admits_finding(b"", signed(NEW), BODY)


def test_with_both_the_token_opens_too() -> None:
    assert ApiGate("token", (NEW,)).admits_finding(b"Bearer token", {}, BODY)


def test_only_who_shows_something_that_may_open_is_read() -> None:
    for token in ("token", None):
        gate = ApiGate(token, (NEW,))
        assert not gate.may_admit(b"", {})
        assert not gate.may_admit(b"Bearer wrong", {})
        assert gate.may_admit(b"", {"webhook-signature": "v1,unread"})
    assert ApiGate("token", (NEW,)).may_admit(b"Bearer token", {})
    assert ApiGate(None).may_admit(b"", {})
    assert not ApiGate(None, closed=True).may_admit(b"", {})


def test_a_signature_opens_nothing_but_findings() -> None:
    assert not ApiGate("token", (NEW,)).admits(signed(NEW)["webhook-signature"].encode())


@pytest.mark.parametrize("text", ["whsec_!!!", "whsec_", f"{NEW} whsec_ü"])
def test_a_secret_that_is_none_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match="base64") as error:
        signing_secrets(text)
    assert text.split()[-1] not in str(error.value) or text == "whsec_"


def test_tokens_are_compared_in_constant_time_on_digests_of_one_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("aegis_sink.intake.authentication.hmac.compare_digest", compare)
    assert WebhookGate("token").admits("token", b"")
    assert not WebhookGate("token").admits("t", b"")
    assert not WebhookGate("token").admits("", b"Basic " + base64.b64encode(b"u:tokem"))
    assert ApiGate("token").admits(b"Bearer token")
    assert not ApiGate("token").admits(b"Bearer " + b"x" * 10_000)
    assert len(compared) == 5
    assert {len(part) for pair in compared for part in pair} == {32}
