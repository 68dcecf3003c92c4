"""`aegis-sink why` tells the whole story of an incident."""

import json
from pathlib import Path

from tests.integration.cli.conftest import Run, Running

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
    assert story["decision"]["because"]
    assert story["findings"][0]["times"] == 1


def test_an_unknown_incident_is_one_line(run: Run) -> None:
    assert run("migrate").code == 0
    ended = run("why", "nope")
    assert (ended.code, ended.err) == (
        1,
        "aegis-sink: no incident nope; `aegis-sink incidents` lists them\n",
    )
