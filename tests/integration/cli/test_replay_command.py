"""`aegis-sink replay`: incidents by hand, through a running service's own door."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

RESULT = """
apiVersion: core.k8sgpt.ai/v1alpha1
kind: Result
metadata: {name: shopapi0, namespace: k8sgpt}
spec: {kind: Pod, name: shop/%s, error: [{text: Back-off pulling image nginx:nope}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """One Result as YAML."""
    path = tmp_path / "result.yaml"
    path.write_text(RESULT % "api-0")
    return path


def test_a_file_becomes_an_incident_and_is_known_the_second_time(
    run: Any, running: Any, file: Path
) -> None:
    first = run("replay", str(file), "--url", running.url, "--json")
    again = run("replay", str(file), "--url", running.url)
    forced = run("replay", str(file), "--url", running.url, "--force", "--wait", "20", "--json")
    incident = first.json["incidents"][0]
    assert (first.code, again.code, forced.code) == (0, 0, 0)
    assert again.out.startswith(f"{incident['id']}  known  ")
    assert forced.json["incidents"][0]["created"]
    assert forced.json["incidents"][0]["diagnosis"]["root_cause"]
    assert forced.json["incidents"][0]["id"] != incident["id"]


def test_a_folder_goes_through_with_a_progress_bar_on_standard_error(
    run: Any, running: Any, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    for number in range(3):
        (tmp_path / "deep" / f"{number}.yaml").write_text(RESULT % f"folder-{number}")
    (tmp_path / "README.md").write_text("not an incident")
    ended = run("replay", str(tmp_path), "--url", running.url)
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 3
    assert "100%" in ended.err
    assert "%" not in ended.out


def test_standard_input_may_hold_many_documents(
    run: Any, running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{RESULT % 'in-a'}---{RESULT % 'in-b'}"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    ended = run("replay", "-", "--url", running.url, "--json")
    assert (ended.code, len(ended.json["incidents"])) == (0, 2)


def test_a_document_that_is_refused_is_named_and_the_others_go_through(
    run: Any, running: Any, tmp_path: Path
) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(f"{RESULT % 'fine'}---\nkind: Result\nspec: {{kind: Pod}}\n")
    ended = run("replay", str(path), "--url", running.url, "--json")
    assert ended.code == 1
    assert len(ended.json["incidents"]) == 1
    assert f"{path}, document 2: 422: result: $.spec.name is missing" in ended.err


def test_an_incident_is_replayed_from_its_own_bodies(run: Any, running: Any, file: Path) -> None:
    first = run("replay", str(file), "--url", running.url, "--json").json["incidents"][0]
    ended = run("replay", "--incident", first["id"], "--url", running.url, "--json")
    assert ended.code == 0
    assert ended.json["incidents"][0]["created"]
    assert ended.json["incidents"][0]["id"] != first["id"]
    unknown = run("replay", "--incident", "nobody?x=1", "--url", running.url)
    assert (unknown.code, unknown.out) == (1, "")
    assert "404: no incident nobody?x=1" in unknown.err


def test_a_dry_run_shows_finding_and_fingerprint_and_sends_nothing(
    run: Any, running: Any, tmp_path: Path
) -> None:
    path = tmp_path / "dry.yaml"
    path.write_text(RESULT % "never-sent")
    ended = run("replay", "--dry-run", str(path), "--json")
    shown = ended.json["findings"][0]
    assert ended.code == 0
    assert shown["finding"]["object"]["name"] == "never-sent"
    assert len(shown["fingerprint"]) >= 16
    text = run("replay", "--dry-run", str(path))
    assert shown["fingerprint"] in text.out
    assert "nothing was sent" in text.out
    listed = run("incidents", "--json", "--limit", "500", environment=running.environment)
    assert "never-sent" not in listed.out


def test_a_dry_run_gives_the_fingerprint_that_the_incident_will_have(
    run: Any, running: Any, tmp_path: Path
) -> None:
    path = tmp_path / "same.yaml"
    path.write_text(RESULT % "same-0")
    dry = run("replay", "--dry-run", str(path), "--json").json["findings"][0]
    made = run("replay", str(path), "--url", running.url, "--wait", "20", "--json")
    assert made.json["incidents"][0]["fingerprint"] == dry["fingerprint"]


def test_a_dry_run_shows_no_secret(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    finding = {
        "spec": {
            "kind": "Pod",
            "name": "shop/x",
            "error": [{"text": "cannot log in with password=hunter2hunter2"}],
            "details": "",
        }
    }
    path.write_text(json.dumps(finding))
    assert "hunter2" not in run("replay", "--dry-run", str(path)).out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("file.yaml", "--incident", "x"),
        ("--incident", "x", "--dry-run"),
        ("--nothing",),
        ("file.yaml", "--wait", "long"),
    ],
)
def test_wrong_usage_exits_with_2(run: Any, arguments: tuple[str, ...]) -> None:
    ended = run("replay", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"{", "not JSON"),
        (b"", "nothing in it"),
        (b"\xff\xfe", "UTF-16, as PowerShell writes files"),
        (b"a: [", "neither JSON nor YAML"),
    ],
)
@pytest.mark.parametrize("flag", ["--dry-run", "--force"])
def test_a_file_that_cannot_be_read_is_one_line(
    run: Any, tmp_path: Path, content: bytes | None, says: str, flag: str
) -> None:
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_bytes(content)
    ended = run("replay", str(path), flag)
    assert ended.code == 1
    assert ended.err.startswith(f"aegis-sink: {path}")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


def test_an_empty_folder_is_said(run: Any, tmp_path: Path) -> None:
    ended = run("replay", str(tmp_path))
    assert ended.code == 1
    assert "holds no .json" in ended.err


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1", "connection refused"),
        ("nonsense", "the address is none"),
        ("ftp://127.0.0.1", "the address is none"),
        ("http://[::1", "the address is none"),
        ("http://x y", "its name is not known (DNS)"),
    ],
)
def test_a_service_that_cannot_be_reached_is_one_line(
    run: Any, file: Path, url: str, why: str
) -> None:
    ended = run("replay", str(file), "--url", url)
    assert ended.code == 1
    assert f" answers at {url} ({why}); start one with `aegis-sink serve`" in ended.err
    assert len(ended.err.splitlines()) == 1
