"""Somebody else answers in place of the API server, the model, Slack: doctor says so and goes on."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.examination import Examination
from aegis_sink.settings import Settings

Answer = Callable[[], web.Response]
K8SGPT = {"metadata": {"name": "a", "namespace": "b"},
          "spec": {"sink": {"type": "mattermost", "webhook": "http://x.y.svc:8080/webhook"}}}  # fmt: skip
ALLOWED = {"status": {"allowed": True, "userInfo": {"username": "u"}}}
RIGHT = {
    "/version": {"gitVersion": "v1.36.3"},
    "/apis/core.k8sgpt.ai": {"versions": [{"version": "v1alpha1"}]},
    "/apis/core.k8sgpt.ai/v1alpha1": {"resources": [{"kind": "K8sGPT"}, {"kind": "Result"}]},
    "/apis/core.k8sgpt.ai/v1alpha1/k8sgpts": {"items": [K8SGPT]},
    "/api/version": {"version": "0.12"},
    "/api/tags": {"models": [{"name": "llama3.2:latest"}]},
    "/api/auth.test": {"ok": True, "user": "u", "team": "t"},
}
"""What a right server says at the beginning, so that a wrong answer comes later."""

NOWHERE = {"Date": "Sun, 01 Mar 2026 12:00:00 -0000"}
STRANGE: dict[str, Answer] = {
    "a page": lambda: web.Response(text="<html>sign in</html>", content_type="text/html"),
    "a list": lambda: web.json_response([1]),
    "null": lambda: web.json_response(None),
    "a text": lambda: web.json_response("hello"),
    "nothing": lambda: web.json_response({}),
    "wrong types": lambda: web.json_response(
        {"items": [None, 5], "models": [3], "model_info": [1], "versions": 7, "resources": [3],
         "data": [None], "ok": True, "messages": 5, "channels": "x", "status": "x"}),
    "nested": lambda: web.Response(text="[" * 9000 + "]" * 9000, content_type="application/json"),
    "no text": lambda: web.Response(body=b"\xff\xfe{", content_type="application/json"),
    "an error": lambda: web.Response(status=500, text="boom"),
    "a redirect": lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "no compression": lambda: web.Response(body=b"x", headers={"Content-Encoding": "gzip"}),
    "a wrong date": lambda: web.json_response({}, headers={"Date": "yesterday"}),
    "a date of nowhere": lambda: web.json_response({"gitVersion": "v1", "ok": True}, headers=NOWHERE),
}  # fmt: skip


@asynccontextmanager
async def stranger(answer: Answer, *, late: bool) -> AsyncIterator[str]:
    async def respond(request: web.Request) -> web.Response:
        if late and request.method == "POST" and "reviews" in request.path:
            return web.json_response(ALLOWED, status=201)
        if late and request.path in RIGHT:
            return web.json_response(RIGHT[request.path])
        return answer()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", respond)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def examine(url: str, folder: Path, api: str) -> list[Check]:
    settings = Settings.model_validate(
        {
            "database_url": f"sqlite:///{folder}/sink.db",
            "port": url.rpartition(":")[2],
            "llm_url": url,
            "llm_api": api,
            "llm_first_byte_timeout": "3s",
            "slack_api_url": f"{url}/api/",
            "slack_bot_token": "xoxb-1",
            "slack_channel": "#ops",
            "slack_app_token": "xapp-1",
        }
    )
    return [check async for check in Examination(settings, {}).everything()]


@pytest.mark.parametrize("api", ["ollama", "openai"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("what", STRANGE)
async def test_no_strange_answer_ends_doctor_and_each_fault_has_a_fix(
    what: str, late: bool, api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stranger(STRANGE[what], late=late) as url:
        here = {"context": {"cluster": "here", "user": "here"}, "name": "here"}
        config = {"current-context": "here", "contexts": [here],
                  "clusters": [{"name": "here", "cluster": {"server": url}}],
                  "users": [{"name": "here", "user": {}}]}  # fmt: skip
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        found = await examine(url, tmp_path, api)
    assert found[-1].name == "public URL"
    wrong = [c for c in found if c.health in (Health.FAILED, Health.WARNING)]
    assert all(check.fix for check in wrong)
    names = {check.name for check in wrong}
    assert "service" in names
    assert names & {"slack token", "slack channel"}
    assert "Traceback" not in json.dumps([c.found for c in found])
