"""`incidents`, `quarantine`, `settings`, `migrate`: text for people, JSON for programs, 0/1/2."""

import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis_sink.model import Diagnosis, Feedback, Verdict
from aegis_sink.store.database import open_engine
from aegis_sink.store.feedback import store_feedback

SECRETS = {
    "webhook_token": "planted-webhook-token",
    "api_token": "planted-api-token",
    "signing_secret": "whsec_cGxhbnRlZC1zaWduaW5nLXNlY3JldA==",
    "slack_bot_token": "xoxb-planted-bot-token",
    "slack_channel": "C1",
    "slack_webhook_url": "https://hooks.slack.test/services/planted/hook",
    "llm_url": "http://me:planted-p@ss/word@llm.test:11434/?key=planted-key",
}


def post(url: str, body: bytes) -> dict[str, Any]:
    """One body for the operator's door."""
    request = urllib.request.Request(f"{url}/webhook", body)  # noqa: S310 — our own server
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
        return found


def test_incidents_lists_filters_and_shows_one(
    run: Any, running: Any, payloads: tuple[Path, ...]
) -> None:
    post(running.url, payloads[0].read_bytes())
    post(running.url, payloads[3].read_bytes())
    # Who asks the service for incidents gets them after all that was posted before.
    with urllib.request.urlopen(f"{running.url}/v1/incidents") as answer:  # noqa: S310
        assert len(json.loads(answer.read())["incidents"]) == 2

    def ask(*arguments: str) -> Any:
        return run("incidents", *arguments, environment=running.environment)

    listed = ask("--json").json["incidents"]
    assert {"Node", "Deployment"} <= {one["subject"]["kind"] for one in listed}
    assert len(ask("--json", "--limit", "1").json["incidents"]) == 1
    cursor = ask("--json", "--limit", "1").json["next_cursor"]
    assert cursor in ask("--limit", "1").out
    assert ask("--json", "--cursor", cursor).json["incidents"] == listed[1:]
    assert ask("--json", "--state", "acknowledged").json["incidents"] == []
    node = next(one for one in listed if one["subject"]["kind"] == "Node")
    assert ask("--json", "-q", node["subject"]["name"]).json["incidents"][0]["id"] == node["id"]
    assert ask("--json", "--namespace", "nobody").json["incidents"] == []
    assert node["id"] in ask().out
    assert node["subject"]["name"] in ask(node["id"]).out
    assert ask(node["id"], "--json").json["id"] == node["id"]
    assert ask("--namespace", "nobody").out == "no incidents\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("no-such-id",), 1),
        (("--cursor", "nonsense"), 1),
        (("--state", "broken"), 2),
        (("--limit", "0"), 2),
        (("--limit", "501"), 2),
    ],
)
def test_incidents_says_what_cannot_be(
    run: Any, running: Any, arguments: tuple[str, ...], code: int
) -> None:
    ended = run("incidents", *arguments, environment=running.environment)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err
    assert "Traceback" not in ended.err


def test_reading_without_a_database_says_so_and_makes_none(run: Any, tmp_path: Path) -> None:
    for command in (
        ("incidents",),
        ("incidents", "x"),
        ("quarantine",),
        ("quarantine", "show", "x"),
    ):
        ended = run(*command)
        assert ended.code == 1
        assert f"there is no database at {tmp_path}/sink.db" in ended.err
        assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "sink.db").exists()


def test_a_file_that_is_no_database_is_said(run: Any, tmp_path: Path) -> None:
    (tmp_path / "sink.db").write_text("this is a letter to my aunt\n" * 100)
    for command in ("incidents", "quarantine", "migrate", "serve"):
        ended = run(command)
        assert (ended.code, len(ended.err.splitlines())) == (1, 1), ended.err
        assert "file is not a database" in ended.err


def test_migrate_makes_the_schema_once(run: Any) -> None:
    first, again = run("migrate"), run("migrate")
    assert (first.code, again.code) == (0, 0)
    assert "(was empty)" in first.out
    assert "was" not in again.out
    assert run("migrate", "--json").json["before"] == run("migrate", "--json").json["now"]
    assert run("incidents").out == "no incidents\n"


def test_an_older_schema_asks_for_migrate(run: Any, tmp_path: Path) -> None:
    (tmp_path / "sink.db").touch()
    ended = run("incidents")
    assert ended.code == 1
    assert "aegis-sink migrate" in ended.err


def test_quarantine_lists_shows_and_retries(run: Any, running: Any) -> None:
    item = post(running.url, b'{"from": "[/red] :bomb:"}')["id"]

    def ask(*arguments: str) -> Any:
        return run("quarantine", *arguments, environment=running.environment)

    listed = ask("--json").json["quarantine"]
    assert [(one["id"], one["size"], one["retries"]) for one in listed] == [(item, 25, 0)]
    assert f"{item} " in ask().out
    assert ask().out.rstrip().endswith('{"from": "[/red] :bomb:"}')
    assert ask("show", item).out == '{"from": "[/red] :bomb:"}\n'
    assert ask("show", item, "--json").json["body"] == '{"from": "[/red] :bomb:"}'
    tried = ask("retry", item, "--url", running.url)
    assert (tried.code, tried.out) == (1, f"{item}  quarantined  {item}\n")
    assert ask("retry", "--all", "--url", running.url, "--json").code == 1
    assert ask("--json").json["quarantine"][0]["retries"] == 2
    assert ask("show", "nobody").code == 1
    assert ask("retry", "nobody", "--url", running.url).code == 1
    assert ask("retry").code == 2
    assert ask("retry", item, "--all").code == 2
    assert ask("--limit", "0").code == 2


def test_settings_shows_every_setting_and_no_secret(run: Any) -> None:
    for arguments in (("settings",), ("settings", "--json")):
        ended = run(*arguments, **SECRETS)
        assert ended.code == 0
        assert "planted" not in ended.out + ended.err
        assert "cGxhbnRl" not in ended.out
        assert "AEGIS_SLACK_BOT_TOKEN" in ended.out


def test_settings_says_where_each_value_came_from(run: Any, tmp_path: Path) -> None:
    config = tmp_path / "aegis.yaml"
    config.write_text("AEGIS_CLUSTER_NAME: blue\nrepeat_interval: 2h\nkubernetes: off\nport: 81\n")
    ended = run("settings", "--json", config=str(config), port="82")
    rows = {row["name"]: row for row in ended.json["settings"]}
    shown = {name: (rows[name]["value"], rows[name]["source"]) for name in rows}
    assert shown["AEGIS_CLUSTER_NAME"] == ("blue", str(config))
    assert shown["AEGIS_REPEAT_INTERVAL"] == ("2h", str(config))
    assert shown["AEGIS_PORT"] == ("82", "environment")
    assert shown["AEGIS_RETENTION"] == ("14d", "default")


@pytest.mark.parametrize("command", ["settings", "serve", "incidents", "migrate", "quarantine"])
def test_a_setting_that_cannot_be_used_names_itself_and_no_secret(run: Any, command: str) -> None:
    ended = run(command, retention="planted", llm_trust="planted", port="99999")
    assert ended.code == 1
    assert "AEGIS_RETENTION (environment): is not a duration" in ended.err
    assert "AEGIS_LLM_TRUST (environment)" in ended.err
    assert "AEGIS_PORT (environment)" in ended.err
    assert "planted" not in ended.err
    assert "Traceback" not in ended.err


def test_no_command_shows_help_and_an_unknown_one_is_wrong_usage(run: Any) -> None:
    assert "replay" in run("--help").out
    assert run("nothing").code == 2
    assert run("version", "--json").json["version"] == run("--version").out.strip()


def test_feedback_lists_who_said_what_of_which_diagnosis(
    run: Any, running: Any, payloads: tuple[Path, ...]
) -> None:
    incident_id = post(running.url, payloads[1].read_bytes())["id"]
    with urllib.request.urlopen(f"{running.url}/v1/incidents/{incident_id}") as answer:  # noqa: S310
        assert json.loads(answer.read())["feedback"] == []

    def ask(*arguments: str) -> Any:
        return run("incidents", "--feedback", *arguments, environment=running.environment)

    assert ask().out == "nobody has said anything of a diagnosis yet\n"
    engine = open_engine(running.environment["AEGIS_DATABASE_URL"])
    diagnosis = Diagnosis(Verdict.LIKELY, "too little memory", 0.6, cause_id="memory.limit")
    said = Feedback(datetime(2026, 3, 1, tzinfo=UTC), "ada", "U1", False, diagnosis)
    with engine.begin() as connection:
        store_feedback(connection, incident_id, said)
    engine.dispose()
    [judged] = ask("--json").json["incidents"]
    [word] = judged["feedback"]
    assert (judged["id"], word["by"], word["right"]) == (incident_id, "ada", False)
    assert (word["cause_id"], word["verdict"]) == ("memory.limit", "likely")
    assert all(text in ask().out for text in (incident_id, "wrong", "ada", "memory.limit"))
    assert ask("--state", "open").code == 2
