"""`aegis-sink serve` as a process: it starts, says where it listens, and ends cleanly."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aegis_sink.server import listen
from tests.integration.cli.conftest import environment_for, start, stop

INCIDENT = Path(__file__).parents[3] / "k8sgpt" / "results" / "pod-oomkilled.yaml"


def test_a_replay_once_prints_the_message_and_exits_with_0(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "aegis_sink", "serve", "--replay", str(INCIDENT), "--once"],
        env=environment_for(tmp_path, log_level="error"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "memory" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_the_command_that_the_message_names_shows_the_incident(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("aegis-sink")
    environment = environment_for(tmp_path, log_level="error")

    def run(*command: str) -> str:
        ended = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    message = run(str(program), "serve", "--replay", str(INCIDENT), "--once")
    found = re.search(r"with: (\S+ incidents [0-9a-f]{16})", message)
    assert found is not None, message
    assert "memory" in run(*found[1].split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_no_word_of_trouble(
    tmp_path: Path, number: signal.Signals
) -> None:
    running = start(environment_for(tmp_path))
    running.process.send_signal(number)
    _, err = running.process.communicate(timeout=15)
    assert running.process.returncode == 0
    assert "Traceback" not in err
    assert "ERROR" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_program_is_still_being_read_ends_it_without_a_word(
    tmp_path: Path, number: signal.Signals
) -> None:
    slow = tmp_path / "uvicorn.py"  # read instead of the library
    slow.write_text("import time\nprint('is being read', flush=True)\ntime.sleep(60)\n")
    running = subprocess.Popen(
        [sys.executable, "-m", "aegis_sink", "serve"],
        env={**environment_for(tmp_path), "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "is being read\n"
    running.send_signal(number)
    assert running.communicate(timeout=15) == ("", "")
    assert running.returncode == 128 + number


def test_a_signal_ends_it_though_a_client_holds_a_connection_open(tmp_path: Path) -> None:
    running = start(environment_for(tmp_path))
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as idle:
        idle.sendall(b"POST /webhook HTTP/1.1\r\n")
        running.process.send_signal(signal.SIGTERM)
        running.process.communicate(timeout=20)
    assert running.process.returncode == 0


def test_a_port_in_use_is_said(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", port=str(port))
    assert ended.code == 1
    assert ended.err.startswith(f"aegis-sink: cannot listen on 127.0.0.1:{port}: Address already")
    assert "AEGIS_PORT" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_an_address_of_nobody_is_said(run: Any) -> None:
    ended = run("serve", host="192.0.2.1", allow_unauthenticated="true")
    assert ended.code == 1
    assert "cannot listen on 192.0.2.1:0" in ended.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.test"])
def test_an_open_door_beyond_this_machine_is_refused(run: Any, host: str) -> None:
    ended = run("serve", host=host)
    assert ended.code == 1
    assert f"refusing to listen on {host}:0 without a token" in ended.err
    for way_out in ("AEGIS_WEBHOOK_TOKEN", "AEGIS_HOST", "AEGIS_ALLOW_UNAUTHENTICATED"):
        assert way_out in ended.err


def test_two_services_on_one_database_are_refused(run: Any, tmp_path: Path) -> None:
    running = start(environment_for(tmp_path))
    try:
        ended = run("serve")
        assert ended.code == 1
        assert "another aegis-sink works on" in ended.err
        assert len(ended.err.splitlines()) == 1
    finally:
        stop(running)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"database_url": "sqlite:////nowhere/at/all.db"}, "/nowhere/at/all.db"),
        ({"database_url": "not a url"}, "AEGIS_DATABASE_URL"),
        ({"slack_bot_token": "xoxb-planted-secret"}, "AEGIS_SLACK_CHANNEL"),
        ({"signing_secret": "whsec_!!!"}, "AEGIS_SIGNING_SECRET"),
        ({"playbooks_dir": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"port": "http"}, "AEGIS_PORT (environment)"),
    ],
)
def test_what_cannot_work_ends_with_1_and_says_why(
    run: Any, settings: dict[str, str], says: str
) -> None:
    ended = run("serve", **settings)
    assert ended.code == 1
    assert says in ended.err
    assert "Traceback" not in ended.err
    assert "planted" not in ended.err


def test_a_variable_that_is_no_setting_is_told_of(tmp_path: Path) -> None:
    environment = environment_for(tmp_path, slack_chanel="C123")
    running = subprocess.run(
        [sys.executable, "-m", "aegis_sink", "settings"],
        env={**environment, "AEGIS_SINK_PORT": "tcp://10.0.0.1:80"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "warning: AEGIS_SLACK_CHANEL is no setting" in running.stderr
    assert "AEGIS_SINK_PORT" not in running.stderr


def test_the_module_runs_as_a_program() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "aegis_sink", "version"],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=60,
        check=True,
    )
    assert ended.stdout.strip()[0].isdigit()


def test_two_colons_are_every_address_of_ipv4_and_ipv6() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this kernel has no IPv6")
    with listen("::", 0) as listener:
        listener.listen()
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, listener.getsockname()[1]), 5).close()


def test_two_colons_are_every_address_where_there_is_no_ipv6(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with listen("::", 0) as listener:
        assert listener.family == socket.AF_INET
