"""`aegis-sink doctor` as a person and a program meet it."""

import socket
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Run, Running, environment_for

NAMES = ["settings", "service", "database", "disk space", "disk speed", "kubernetes", "model"]


def test_a_sound_machine_ends_with_0(run: Run) -> None:
    ended = run("doctor")
    assert ended.code == 0, ended.out
    assert "✓ database:" in ended.out
    assert "– service: none runs at" in ended.out
    assert "    fix: aegis-sink serve" in ended.out
    assert ended.out.splitlines()[-1].endswith("skipped")


def test_a_program_gets_each_check_with_name_health_finding_and_fix(run: Run) -> None:
    told = run("doctor", "--json").json
    assert told["ok"] is True
    assert [check["name"] for check in told["checks"]] == [*NAMES, "slack", "public URL"]
    assert {tuple(check) for check in told["checks"]} == {("name", "health", "found", "fix")}


def test_what_failed_ends_with_1(run: Run) -> None:
    ended = run("doctor", "--json", llm_api="ollama", llm_url="http://127.0.0.1:1")
    assert ended.code == 1
    assert ended.json["ok"] is False


def test_settings_that_cannot_be_used_are_the_one_finding(run: Run) -> None:
    ended = run("doctor", "--json", port="a lot")
    assert ended.code == 1
    (check,) = ended.json["checks"]
    assert "AEGIS_PORT" in check["found"]


def test_a_misspelt_setting_and_an_open_door_are_told(run: Run, tmp_path: Path) -> None:
    environment = environment_for(tmp_path, host="0.0.0.0") | {"AEGIS_SLACK_CHANEL": "#ops"}
    found = [c for c in run("doctor", "--json", environment=environment).json["checks"]
             if c["name"] == "settings"]  # fmt: skip
    assert "AEGIS_SLACK_CHANEL" in found[0]["found"]
    assert found[0]["fix"] == "AEGIS_SLACK_CHANNEL=…   # for AEGIS_SLACK_CHANEL"
    assert found[1]["health"] == "failed"
    assert "AEGIS_WEBHOOK_TOKEN=" in found[1]["fix"]
    assert "refuses to listen on 0.0.0.0:0, where others could post" in found[1]["found"]


def test_a_token_that_fits_no_url_is_warned_of(run: Run) -> None:
    (check,) = [c for c in run("doctor", "--json", webhook_token="a/b@c").json["checks"]
                if c["name"] == "settings"]  # fmt: skip
    assert check["health"] == "warning"
    assert "a/b@c" not in check["found"] + check["fix"]


def test_who_waits_is_told_why(run: Run) -> None:
    ended = run("doctor")
    assert "a model that must be loaded first takes minutes" in ended.err
    assert "minutes" not in ended.out


def test_only_slack_is_looked_at_when_asked(run: Run) -> None:
    assert [c["name"] for c in run("doctor", "--slack", "--json").json["checks"]] == ["slack"]


def test_a_post_without_slack_is_wrong_usage(run: Run) -> None:
    assert run("doctor", "--post").code == 2


def test_a_running_service_is_found(run: Run, running: Running) -> None:
    port = running.url.rpartition(":")[2]
    service = run("doctor", "--json", port=port).json["checks"][1]
    assert service == {"name": "service", "health": "ok", "fix": "",
                       "found": f"answers at http://127.0.0.1:{port}"}  # fmt: skip


def test_what_listens_and_never_answers_is_no_service_and_is_not_waited_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_sink.doctor.examination.REACH_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        service = run("doctor", "--json", port=port).json["checks"][1]
    assert service["health"] == "failed"
    assert service["found"].endswith("and does not answer")
    assert service["fix"].startswith(f"curl -m 10 http://127.0.0.1:{port}/healthz")


@pytest.mark.parametrize("url", ["http://localhost:9", "http://127.0.0.1:9"])
def test_links_to_this_machine_are_warned_of(run: Run, url: str) -> None:
    check = run("doctor", "--json", public_url=url).json["checks"][-1]
    assert check["health"] == "warning"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "names no file that can be read"),
        ("", "it is empty"),
        ("users: [", "it is not YAML"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_fails(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, says: str
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if text is not None:
        kubeconfig.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    ended = run("doctor", "--json", kubernetes="auto")
    (check,) = [c for c in ended.json["checks"] if c["name"] == "kubernetes"]
    assert (ended.code, check["health"]) == (1, "failed")
    assert says in check["found"]
    assert str(kubeconfig) in check["found"]
    assert check["fix"]


def test_a_pod_without_a_token_is_told_from_a_machine_without_a_cluster(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def kubernetes() -> dict[str, str]:
        checks = run("doctor", "--json", kubernetes="auto").json["checks"]
        (check,) = [one for one in checks if one["name"] == "kubernetes"]
        return dict(check)

    assert kubernetes()["health"] == "skipped"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert kubernetes()["health"] == "failed"
    assert kubernetes()["fix"].startswith("automountServiceAccountToken: true")


def test_no_secret_of_the_settings_is_printed(run: Run) -> None:
    secret = "correct-horse-battery"
    ended = run(
        "doctor",
        llm_api="ollama",
        llm_url=f"http://user:{secret}@127.0.0.1:1",
        public_url=f"http://user:{secret}@127.0.0.1:1",
        webhook_token=secret,
    )
    assert secret not in ended.out + ended.err
