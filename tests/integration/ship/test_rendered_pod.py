"""The pod the chart describes, run as a process here: its command, environment and probes."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.ship.conftest import ROOT, Render, of
from tests.program import BIN, free_port, process, until_ready

SECRETS = {
    ("aegis-sink", "webhook-token"): "a-webhook-token",
    ("aegis-sink", "api-token"): "an-api-token",
}
LOGIN = {"authorization": aiohttp.encode_basic_auth("aegis", "a-webhook-token")}
"""What Go sends for the URL that the notes print."""
BODY = ROOT / "tests/fixtures/k8sgpt/payloads/13-mattermost-ai-disabled-multi-error.json"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), continuation lines joined."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(w, r.strip()) for w, _, r in (line.partition(" ") for line in joined.split("\n"))]


def last(word: str) -> str:
    return [rest for name, rest in instructions() if name == word][-1]


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def as_environment(container: dict[str, Any], data: Path, port: int) -> dict[str, str]:
    """What a kubelet would hand over, with the volume and the port moved to this machine's."""
    given = {
        e["name"]: e["value"]
        if "value" in e
        else SECRETS[e["valueFrom"]["secretKeyRef"]["name"], e["valueFrom"]["secretKeyRef"]["key"]]
        for e in container["env"]
    }
    assert given["AEGIS_DATABASE_URL"].startswith("sqlite:////data/")
    assert given["AEGIS_PORT"] == str(container["ports"][0]["containerPort"])
    assert given["AEGIS_HOST"] == "::"
    return {
        **given,
        "AEGIS_DATABASE_URL": given["AEGIS_DATABASE_URL"].replace("//data", f"/{data}"),
        "AEGIS_PORT": str(port),
        "AEGIS_HOST": "127.0.0.1",
    }


async def test_the_rendered_pod_starts_passes_its_probes_and_takes_k8sgpts_post(
    render: Render, tmp_path: Path
) -> None:
    objects = render(
        "minimal", {"secrets": {"api_token": {"name": "aegis-sink", "key": "api-token"}}}
    )
    (container,) = of("StatefulSet", objects)["spec"]["template"]["spec"]["containers"]
    port = free_port()
    command = [*json.loads(last("ENTRYPOINT")), *container["args"]]
    environment = as_environment(container, tmp_path, port)
    async with process(command, environment, tmp_path) as running, aiohttp.ClientSession() as web:
        base = f"http://127.0.0.1:{port}"
        await until_ready(running, base + container["startupProbe"]["httpGet"]["path"])
        for probe in ("livenessProbe", "readinessProbe"):
            async with web.get(base + container[probe]["httpGet"]["path"]) as answer:
                assert answer.status == 200, probe

        body = BODY.read_bytes()
        kind = {"content-type": "application/json"}
        async with web.post(f"{base}/webhook", data=body, headers=kind) as refused:
            assert refused.status == 401
        async with web.post(f"{base}/webhook", data=body, headers={**kind, **LOGIN}) as accepted:
            assert accepted.status == 200
            assert (await accepted.json())["status"] == "accepted"

        bearer = {"authorization": "Bearer an-api-token"}
        async with web.get(f"{base}/v1/incidents", headers=bearer) as listed:
            assert len((await listed.json())["incidents"]) == 1
        async with web.get(f"{base}/v1/incidents") as refused:
            assert refused.status == 401

        check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
        healthy = await asyncio.create_subprocess_exec(
            sys.executable, *check[1:], env={"AEGIS_PORT": str(port)}
        )
        assert await healthy.wait() == 0
    assert running.returncode == 0
    assert files_in(tmp_path) <= {f"aegis-sink.db{end}" for end in ("", "-wal", "-shm", ".lock")}


async def test_the_health_check_fails_when_nothing_answers() -> None:
    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    dead = await asyncio.create_subprocess_exec(
        sys.executable,
        *check[1:],
        env={"AEGIS_PORT": str(free_port())},
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await dead.wait() != 0


READ_ONLY = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$DATA"
mount -o remount,bind,ro /
for place in /tmp /var/tmp; do mount -o remount,bind,ro $place 2>/dev/null || true; done
! touch /tmp/x /var/tmp/x 2>/dev/null
cd "$DATA"
exec "$@"
"""


def can_remount() -> bool:
    """Whether this machine lets the test have a file system of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "-m", "mount", "--make-rprivate", "/"], capture_output=True, check=False
    )
    return tried.returncode == 0


async def test_it_works_on_a_read_only_root_with_only_the_data_folder_writable(
    render: Render, tmp_path: Path
) -> None:
    if not can_remount():
        pytest.skip("needs root and `unshare -m`, to mount the root file system read-only")
    (container,) = of("StatefulSet", render("minimal"))["spec"]["template"]["spec"]["containers"]
    port = free_port()
    environment = {**as_environment(container, tmp_path, port), "DATA": str(tmp_path)}
    program = [str(BIN / "aegis-sink"), *container["args"]]
    command = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", *program]
    async with process(command, environment, tmp_path) as running, aiohttp.ClientSession() as web:
        base = f"http://127.0.0.1:{port}"
        await until_ready(running, f"{base}/readyz")
        async with web.post(f"{base}/webhook", data=BODY.read_bytes(), headers=LOGIN) as accepted:
            assert accepted.status == 200
    assert running.returncode == 0
    assert files_in(tmp_path) == set()  # the volume was the test's own mount


def test_the_image_runs_as_the_user_the_chart_names(render: Render) -> None:
    security = of("StatefulSet", render())["spec"]["template"]["spec"]["securityContext"]
    user, _, group = last("USER").partition(":")
    assert (int(user), int(group)) == (security["runAsUser"], security["runAsGroup"])
    assert int(user) > 0


def test_the_image_is_built_from_locked_wheels_only() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "install" in rest]
    assert "--require-hashes --only-binary :all:" in installs[0]
    assert "--no-deps --no-index" in installs[1]
    for name in ("runtime", "build"):
        lines = (ROOT / "requirements" / f"{name}.txt").read_text().split("\n")
        pinned = [n for n, line in enumerate(lines) if "==" in line]
        assert pinned
        assert all("--hash=sha256:" in lines[n + 1] for n in pinned)


def test_hadolint_has_nothing_to_say() -> None:
    if not (BIN / "hadolint").exists():
        pytest.skip("hadolint is not installed: its wheels are for Linux")
    told = subprocess.run(
        [BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "")


def test_the_result_holds_nothing_of_the_build_but_the_program() -> None:
    stages = [n for n, (word, _) in enumerate(instructions()) if word == "FROM"]
    final = instructions()[stages[-1] :]
    (only,) = [rest for word, rest in final if word == "RUN"]
    assert only.startswith("rm -rf /usr/local/bin/pip*")
    copied = [rest.split()[-1] for word, rest in final if word == "COPY"]
    assert copied == ["/opt/aegis-sink", "/data"]
