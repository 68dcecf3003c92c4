"""`aegis-sink why` tells the whole story of an incident."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aegis_sink.dialects.table import read
from aegis_sink.flow.door import sighting
from aegis_sink.store.accept import Arrival, accept
from aegis_sink.store.database import open_engine
from tests.integration.cli.conftest import Environment, Run, Running

RESULT = {
    "apiVersion": "core.k8sgpt.ai/v1alpha1",
    "kind": "Result",
    "metadata": {"name": "shopapi", "namespace": "k8sgpt"},
    "spec": {
        "kind": "Pod",
        "name": "shop/api-66959989c5-d222p",
        "error": [{"text": 'Back-off pulling image "registry/api:nope"'}],
        "details": "",
    },
}


def decided(
    wanted: Callable[[dict[str, Any]], bool], run: Run, incident: str, environment: Environment
) -> dict[str, Any]:
    """The service's last decision, once it is the one that is wanted: it follows the diagnosis."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = run("why", incident, "--json", environment=environment).json["decision"]
        if found is not None and wanted(found):
            return dict(found)
        time.sleep(0.05)
    raise AssertionError(f"not decided within 20 s: {found}")


def test_it_says_what_makes_the_fingerprint_what_was_told_and_what_is_decided(
    run: Run, running: Running, tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(RESULT), "utf-8")
    posted = run(
        "replay", str(file), "--wait", "30", "--json", "--url", running.url,
        environment=running.environment,
    )  # fmt: skip
    [made] = posted.json["incidents"]
    told = run("why", made["id"], environment=running.environment)
    assert told.code == 0, told.err
    for words in (
        made["fingerprint"],
        "+ subject      Deployment shop/api (known by its name",
        'Back-off pulling image "registry/api:nope"',
        "opened: result by findings",
        "What is decided now",
    ):
        assert words in told.out
    story = run("why", made["id"], "--json", environment=running.environment).json
    assert story["incident"]["id"] == made["id"]
    assert story["findings"][0]["times"] == 1
    assert decided(lambda one: bool(one["because"]), run, made["id"], running.environment)


def test_it_repeats_what_the_service_decided_whatever_is_set_where_it_is_asked(
    run: Run, running: Running, tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(RESULT), "utf-8")
    posted = run(
        "replay", str(file), "--wait", "30", "--json", "--url", running.url,
        environment=running.environment,
    )  # fmt: skip
    [made] = posted.json["incidents"]
    elsewhere = {
        **running.environment,
        "AEGIS_REPEAT_INTERVAL": "1m",
        "AEGIS_ROUTES": '[{match: namespace="shop", repeat_interval: 2m}]',
    }

    decision = decided(lambda one: one["reason"] == "unchanged", run, made["id"], elsewhere)
    assert decision["because"] == "it was told and nothing is new"
    waits = datetime.fromisoformat(decision["wait_until"]) - datetime.fromisoformat(decision["at"])
    assert waits > timedelta(hours=3)
    assert decision["route"] == "everything else"
    text = run("why", made["id"], environment=elsewhere).out
    assert "the service, which has other settings, took: everything else" in text
    assert "other settings" not in run("why", made["id"], environment=running.environment).out


def test_what_was_not_looked_at_yet_says_so(run: Run, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/sink.db")
    assert run("migrate").code == 0
    finding = read(json.dumps(RESULT).encode(), cluster="default").findings[0]
    seen = sighting(finding, redact=str, now=datetime.now(UTC), incident_id="i1")
    arrival = Arrival("d1", datetime.now(UTC), "webhook", "result", b"", (seen,))
    with engine.connect().execution_options(aegis_write=True) as connection, connection.begin():
        accept(connection, [arrival])
    engine.dispose()
    told = run("why", "i1")
    assert "nothing yet: what K8sGPT reports is looked into first" in told.out
    assert run("why", "i1", "--json").json["decision"] is None


def test_an_unknown_incident_is_one_line(run: Run) -> None:
    assert run("migrate").code == 0
    ended = run("why", "nope")
    assert (ended.code, ended.err) == (
        1,
        "aegis-sink: no incident nope; `aegis-sink incidents` lists them\n",
    )
