"""`aegis-sink silence` against a running service."""

import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import Run, Running


@pytest.fixture
def here(run: Run, running: Running) -> Any:
    """Runs a command against the service and its database."""

    def once(*arguments: str) -> Any:
        return run(*arguments, environment=running.environment)

    return once


def test_a_silence_is_added_listed_and_ended(here: Any, running: Running) -> None:
    url = ("--url", running.url)
    added = here("silence", "add", 'namespace="dev"', "--for", "2h", "--by", "ada", *url)
    assert added.code == 0, added.err
    silence_id = added.out.split()[0]
    listed = here("silence", "--json").json["silences"]
    assert [(one["id"], one["author"], one["status"]) for one in listed] == [
        (silence_id, "ada", "active")
    ]
    assert here("silence", "end", silence_id, *url).out == f"{silence_id}  ended\n"
    assert here("silence", "--json").json["silences"][0]["status"] == "ended"


def test_matchers_may_come_in_one_argument_each(here: Any, running: Running) -> None:
    one_each = ('namespace="dev"', 'kind=~"Pod|Job"')
    seen = here("silence", "preview", *one_each, "--url", running.url)
    assert seen.out == "would mute 0\n"
    silence = here("silence", "add", *one_each, "--for", "2h", "--url", running.url, "--json").json
    assert silence["matchers"] == ['namespace="dev"', 'kind=~"Pod|Job"']


def test_a_preview_counts_and_mutes_nothing(here: Any, running: Running) -> None:
    seen = here("silence", "preview", 'namespace="nowhere"', "--url", running.url)
    assert seen.out == "would mute 0\n"


def test_a_matcher_that_is_wrong_is_one_line_that_says_where(here: Any, running: Running) -> None:
    ended = here("silence", "add", "namspace=dev", "--for", "2h", "--url", running.url)
    assert ended.code == 1
    assert "did you mean namespace?" in ended.err


def test_without_silences_it_says_so(run: Run, tmp_path: Path) -> None:
    assert run("migrate").code == 0
    assert run("silence").out == "no silences\n"


def test_the_list_says_which_incidents_are_muted(
    here: Any, running: Running, payloads: tuple[Path, ...]
) -> None:
    url = ("--url", running.url)
    silence = here("silence", "add", 'kind="Node"', "--for", "2h", *url, "--json").json
    node = next(path for path in payloads if "node-cluster-scoped" in path.name)
    request = urllib.request.Request(f"{running.url}/webhook", node.read_bytes())  # noqa: S310
    urllib.request.urlopen(request).close()  # noqa: S310
    urllib.request.urlopen(f"{running.url}/v1/incidents").close()  # noqa: S310 — sorts the inbox
    for _ in range(600):
        listed = here("incidents").out
        if "muted" in listed:
            break
        time.sleep(0.05)
    assert "open, muted" in listed
    here("silence", "end", silence["id"], *url)
