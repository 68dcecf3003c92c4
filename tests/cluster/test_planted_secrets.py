"""Secrets planted wherever the program reads, and then looked for wherever it writes.

A real API server and kubelet proxy, a fake Ollama and a fake Slack, and the program in a process
of its own at debug level. The one place that may hold what K8sGPT's text said is the raw body that
is kept for `replay` (docs/security.md, "At rest"); it is looked at apart.
"""

import asyncio
import json
import sqlite3
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cluster.api import Api
from tests.cluster.control_plane import ControlPlane
from tests.cluster.kubelet import Kubelet
from tests.cluster.test_pod_evidence import CRASHED, event
from tests.fakes.ollama import FakeOllama, Says, serve_ollama
from tests.fakes.slack import PUBLIC_CHANNEL, FakeSlack
from tests.program import BIN, free_port, until_ready

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIiwiaWF0IjoxfQ.c2lnbmF0dXJlLXBsYW50ZWQ"
KEY = "MIIEowIBAAKCAQEAplantedplantedplantedplantedplanted"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----"

PLANTED = {
    "env": "planted-in-env-7Qx",
    "old env": "planted-in-old-env-8Rw",
    "argument": "planted-in-argument-3Km",
    "probe": "planted-in-probe-5Vt",
    "annotation": "planted-in-annotation-2Hs",
    "first log line": "planted-in-log-first-9Ld",
    "middle of the log": "planted-in-log-middle-4Pb",
    "last log line": "planted-in-log-last-6Gn",
    "log header": JWT,
    "log key": KEY,
    "log url": "planted-in-url-1Zc",
    "log short name": "planted-in-short-name-4Jq",
    "log element": "planted-in-element-6Fd",
    "log block": "planted-in-block-8Tz",
    "log command": "planted-in-command-2Wn",
    "log scheme": "planted-in-scheme-9Kp",
    "log hash": "plantedInHash7Bv",
    "old annotation": "planted-in-old-annotation-1Mx",
    "probe header": "planted-in-probe-header-3Gs",
    "event": "planted-in-event-8Wf",
    "termination": "planted-in-termination-3Yr",
    "config map": "planted-in-configmap-5Xe",
    "secret": "planted-in-secret-7Mj",
    "k8sgpt text": "planted-in-k8sgpt-text-2Uk",
    "k8sgpt details": "planted-in-k8sgpt-details-9Bh",
}

LOG = "\n".join(
    [
        f"connecting with DB_PASSWORD={PLANTED['first log line']}",
        f"REDIS_PASS={PLANTED['log short name']}",
        f"<password>{PLANTED['log element']}</password>",
        f"db:\n  password: |-\n    {PLANTED['log block']}",
        f"failed: curl -sS -u shop:{PLANTED['log command']} https://auth/",
        f"error: Authorization: Splunk {PLANTED['log scheme']}",
        f"invalid user root:$6$salt1234${PLANTED['log hash']}:1",
        *["all is well"] * 40,
        f'config: {{"api_key": "{PLANTED["middle of the log"]}"}}',
        f"Authorization: Bearer {JWT}",
        PEM,
        f"dial postgres://shop:{PLANTED['log url']}@db:5432/shop: refused",
        f"FATAL: cannot log in, password={PLANTED['last log line']}",
    ]
).encode()


def deployment(namespace: str, secret: str, image: str) -> dict[str, Any]:
    container = {
        "name": "api",
        "image": image,
        "args": ["--db-password", PLANTED["argument"]],
        "env": [{"name": "DB_PASSWORD", "value": secret}, {"name": "INNOCENT", "value": secret}],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "livenessProbe": {"exec": {"command": ["check", f"--token={PLANTED['probe']}"]}},
        "readinessProbe": {
            "httpGet": {
                "port": 80,
                "httpHeaders": [{"name": "X-Api-Key", "value": PLANTED["probe header"] + image}],
            }
        },
    }
    labels = {"app": "api"}
    old = image.endswith("1")
    noted = {
        "note": f"password={PLANTED['annotation']}",
        "db-password": PLANTED["old annotation" if old else "annotation"],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": namespace, "annotations": noted},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": noted},
                "spec": {"containers": [container]},
            },
        },
    }


@pytest.fixture
async def pod(api: Api, namespace: str, node: Kubelet) -> str:
    """The crashing pod of the second revision, with a secret in every place."""
    values = {
        "ConfigMap": {"data": {"app.yaml": f"password: {PLANTED['config map']}"}},
        "Secret": {"stringData": {"password": PLANTED["secret"]}},
    }
    for kind, value in values.items():
        metadata = {"name": "settings", "namespace": namespace}
        await api.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, **value})
    for secret, image in ((PLANTED["old env"], "shop/api:1"), (PLANTED["env"], "shop/api:2")):
        await api.apply(deployment(namespace, secret, image))

        async def newest(image: str = image) -> dict[str, Any] | None:
            pods = await api.list("Pod", namespace)
            return next((p for p in pods if p["spec"]["containers"][0]["image"] == image), None)

        found = await api.until(newest)
    name = str(found["metadata"]["name"])
    await api.bind(namespace, name, "node-1")
    status = json.loads(json.dumps(CRASHED))
    last = status["containerStatuses"][0]["lastState"]["terminated"]
    last["message"] = f"cannot log in: password={PLANTED['termination']}"
    await api.status("Pod", {"namespace": namespace, "name": name}, status)
    node.logs[namespace, name, "api", True] = LOG
    node.logs[namespace, name, "api", False] = LOG
    said = event(namespace, name)
    said["message"] = f"probe failed with token={PLANTED['event']}"
    await api.apply(said)
    return name


@pytest.fixture
async def ollama() -> AsyncIterator[FakeOllama]:
    async with serve_ollama() as fake:
        fake.default = Says('{"cause": "none"}')
        yield fake


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    fake = FakeSlack()
    await fake.start()
    yield fake
    await fake.stop()


def leaks(text: str) -> list[str]:
    return [where for where, secret in PLANTED.items() if secret in text]


async def test_no_planted_secret_is_anywhere_the_program_writes(
    apiserver: ControlPlane,
    namespace: str,
    pod: str,
    ollama: FakeOllama,
    slack: FakeSlack,
    tmp_path: Path,
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "HOME": "/",
        "KUBECONFIG": str(apiserver.kubeconfig),
        "AEGIS_PORT": str(port),
        "AEGIS_DATABASE_URL": f"sqlite:///{tmp_path}/sink.db",
        "AEGIS_GROUP_WAIT": "0s",
        "AEGIS_LOG_LEVEL": "debug",
        "AEGIS_LOG_FORMAT": "json",
        "AEGIS_LLM_URL": ollama.url,
        "AEGIS_LLM_ALWAYS_ASK": "true",
        "AEGIS_SLACK_BOT_TOKEN": slack.token,
        "AEGIS_SLACK_CHANNEL": PUBLIC_CHANNEL,
        "AEGIS_SLACK_API_URL": slack.api_url,
    }
    text = f"back-off restarting failed container, password={PLANTED['k8sgpt text']}"
    result = {
        "kind": "Result",
        "apiVersion": "core.k8sgpt.ai/v1alpha1",
        "metadata": {"name": "x", "namespace": "k8sgpt"},
        "spec": {
            "kind": "Pod",
            "name": f"{namespace}/{pod}",
            "error": [{"text": text}],
            "details": f"Error: the key is api_key={PLANTED['k8sgpt details']}",
        },
    }
    log = tmp_path / "log"
    with log.open("wb") as written:
        running = await asyncio.create_subprocess_exec(
            *(str(BIN / "aegis-sink"), "serve"),
            env=environment,
            cwd=tmp_path,
            stdout=written,
            stderr=written,
        )
    try:
        async with asyncio.timeout(90), aiohttp.ClientSession() as web:
            await until_ready(running, f"{base}/readyz")
            async with web.post(f"{base}/v1/findings?wait=60", json=result) as answer:
                (incident,) = (await answer.json())["incidents"]
            while not slack.channel.messages:  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.1)
            pages = [json.dumps(incident)]
            for path in ("/v1/incidents", f"/v1/incidents/{incident['id']}", "/metrics", "/readyz"):
                async with web.get(base + path) as answer:
                    pages.append(await answer.text())
    finally:
        running.terminate()
        await asyncio.wait_for(running.wait(), 30)

    assert any("previous log" in e["source"] for e in incident["evidence"]), incident["evidence"]
    assert ollama.chats
    prompts = json.dumps([*ollama.chats, *ollama.loads])
    told = json.dumps([call.arguments for call in slack.calls], default=str)
    assert "cannot log in" in prompts + told  # the log line came through, without its secret
    seen = {"prompt": prompts, "Slack": told, "log": log.read_text(), "pages": "\n".join(pages)}
    assert {where: leaks(text) for where, text in seen.items() if leaks(text)} == {}
    assert leaks(on_disk(tmp_path)) == []
    assert set(leaks(raw_bodies(tmp_path / "sink.db"))) <= {"k8sgpt text", "k8sgpt details"}


def on_disk(folder: Path) -> str:
    """The bytes of the database and its journal."""
    files = sorted(folder.glob("sink.db*"))
    assert files
    return "\n".join(file.read_bytes().decode("latin-1") for file in files)


def raw_bodies(file: Path) -> str:
    connection = sqlite3.connect(file)
    try:
        rows = connection.execute("select body from deliveries").fetchall()
    finally:
        connection.close()
    return "\n".join(zlib.decompress(body).decode() for (body,) in rows)
