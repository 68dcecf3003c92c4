"""Tokens never stand in logs, errors, metrics or answers: the real server, at debug level."""

import http.client
from pathlib import Path

import pytest

from tests.integration.cli.conftest import environment_for, start, stop

PLANTED = {
    "webhook_token": "planted-webhook-token",
    "api_token": "planted-api-token",
    "signing_secret": "whsec_cGxhbnRlZC1zaWduaW5nLXNlY3JldA==",
    "public_url": "http://sink.test",
}
RESULT = (
    '{"spec": {"kind": "Pod", "name": "shop/api-0", "details": "", '
    '"error": [{"text": "log in failed: password=planted-by-a-pod token=planted-by-a-pod-2"}]}}'
)


def ask(url: str, method: str, path: str, body: str = "", **headers: str) -> str:
    """The whole answer, head and body."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request(method, path, body.encode(), headers)
    answer = connection.getresponse()
    text = f"{answer.status} {answer.headers}\n{answer.read().decode()}"
    connection.close()
    return text


@pytest.mark.parametrize("form", ["text", "json"])
def test_planted_tokens_appear_nowhere(tmp_path: Path, form: str) -> None:
    environment = environment_for(tmp_path, **PLANTED, log_level="debug", log_format=form)
    running = start(environment)
    bearer = {"authorization": "Bearer planted-api-token"}
    url = running.url
    seen = [
        ask(url, "POST", "/webhook/planted-webhook-token", "not json planted-webhook-token"),
        ask(url, "POST", "/webhook/planted-webhook-token-but-wrong", "{}"),
        ask(url, "POST", "/webhook/planted-webhook-token/and/more", "{}"),
        ask(url, "GET", "/webhook/planted-webhook-token"),
        ask(url, "GET", "/planted-webhook-token"),
        ask(url, "GET", "/v1/planted-api-token"),
        ask(url, "GET", "/v1/incidents", authorization="Bearer planted-api-token-but-wrong"),
        ask(url, "DELETE", "/v1/incidents", authorization="Bearer planted-api-token"),
        ask(url, "POST", "/v1/findings?wait=20", RESULT, **bearer),
        ask(url, "GET", "/v1/incidents", **bearer),
        ask(url, "GET", "/v1/quarantine", **bearer),
        ask(url, "GET", "/metrics"),
        ask(url, "GET", "/readyz"),
        ask(url, "GET", "/openapi.json"),
    ]
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.connect()
    connection.sock.sendall(b"NONSENSE /webhook/planted-webhook-token\r\n\r\n")
    connection.sock.recv(1000)
    connection.close()
    out, err = stop(running)
    assert running.process.returncode == 0
    assert "refused a post from 127.0.0.1" in err
    # The quarantine shows who may read it what was posted: that one body quotes a token.
    quarantine = seen.pop(10)
    assert "not json" in quarantine
    for text in [*seen, out, err]:
        assert "planted" not in text, text
        assert "cGxhbnRlZC1" not in text
