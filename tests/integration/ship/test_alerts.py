"""The chart's alerts, asked of Prometheus' own promtool: they fire, and they keep quiet."""

import itertools
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.ship.conftest import Render, of

OURS = 'namespace="aegis",service="aegis-sink"'
POSTS = f'aegis_sink_posts_total{{{OURS},door="webhook",outcome='
JOBS = f'aegis_sink_job_seconds_count{{{OURS},stage="collect",outcome='
QUESTIONS = f"aegis_sink_model_seconds_count{{{OURS},outcome="


def replica(pod: str) -> str:
    """Whether this one reads Results."""
    return f'aegis_sink_reconciler_reading{{{OURS},pod="{pod}"}}'


def failing_posts() -> str:
    """A counter of posts that all fail, one sample in 30 s for 3 hours: K8sGPT's operator tries
    again after 5 ms, doubling up to 1000 s, and analyses for 2 minutes each time."""
    waits = (min(0.005 * 2**n, 1000) + 120 * (n > 12) for n in itertools.count())
    posts = list(itertools.takewhile(lambda t: t < 3 * 3600, itertools.accumulate(waits)))
    counts = (sum(post <= second for post in posts) for second in range(30, 3 * 3600, 30))
    return f"0 {' '.join(str(count) for count in counts)}"


@dataclass(frozen=True, slots=True)
class Case:
    """Series in promtool's notation (a sample each 30 s), and at which minutes the alert fires."""

    alert: str
    says: str
    series: dict[str, str]
    fires: list[int] = field(default_factory=list)
    quiet: list[int] = field(default_factory=list)


EVERY_5 = [*range(20, 180, 5)]
CASES = [
    Case("Away", "the program is down", {f"up{{{OURS}}}": "0x30"}, [6], [4]),
    Case("Away", "nothing is scraped", {}, [6], [4]),
    Case("Away", "all is well", {f"up{{{OURS}}}": "1x60"}, [], [6, 30]),
    Case("Away", "another is there", {'up{namespace="aegis",service="web"}': "1x60"}, [6]),
    Case("CannotStore", "a full disk", {f"aegis_sink_store_refuses{{{OURS}}}": "0x9 1x30"}, [11], [9]),
    Case("CannotStore", "a blink", {f"aegis_sink_store_refuses{{{OURS}}}": "0x9 1x4 0x30"}, [], [*range(20)]),
    Case("CannotStore", "another's disk", {'aegis_sink_store_refuses{namespace="b",service="aegis-sink"}': "1x60"}, [], [20]),
    Case("PostsNotStored", "K8sGPT backs off", {f'{POSTS}"not_stored"}}': failing_posts()}, EVERY_5, [8]),
    Case("PostsNotStored", "one that was stored at once", {f'{POSTS}"not_stored"}}': "0x9 1x120"}, [], [*range(60)]),
    Case("RefusesPosts", "K8sGPT backs off", {f'{POSTS}"refused"}}': failing_posts()}, EVERY_5, [8]),
    Case("RefusesPosts", "somebody's one curl", {f'{POSTS}"refused"}}': "0x9 1x120"}, [], [*range(60)]),
    Case("RefusesPosts", "mended an hour ago", {f'{POSTS}"refused"}}': "0+1x20 20x160"}, [20], [70, 80]),
    Case("InboxStays", "never empty", {f"aegis_sink_inbox_posts{{{OURS}}}": "5x60"}, [11], [4]),
    Case("InboxStays", "emptied each minute", {f"aegis_sink_inbox_posts{{{OURS}}}": "5 0 5 0 5 0 5 0 5 0 5 0 5 0 5 0 5 0 5 0 5 0 5 0 5 0"}, [], [11, 12]),
    Case("Quarantine", "a body that nobody looked at", {f"aegis_sink_quarantine_items{{{OURS}}}": "1x60"}, [16], [14]),
    Case("Quarantine", "empty", {f"aegis_sink_quarantine_items{{{OURS}}}": "0x60"}, [], [16]),
    Case("ResultsNotRead", "no replica reads them", {replica("a"): "0x60", replica("b"): "0x60"}, [16], [14]),
    Case("ResultsNotRead", "it read them before", {replica("a"): "1x20 0x60"}, [26], [11, 24]),
    Case("ResultsNotRead", "a follower beside the one that reads", {replica("a"): "1x60", replica("b"): "0x60"}, [], [16, 30]),
    Case("ResultsNotRead", "one takes over from the other", {replica("a"): "1x20 0x60", replica("b"): "0x22 1x60"}, [], [16, 30]),
    Case("ResultsNotRead", "no cluster to read them from", {replica("a"): "NaN " * 60}, [], [16, 30]),
    Case("StageFails", "each five minutes", {f'{JOBS}"failed"}}': "1x9 2x9 3x9 4x9 5x9 6x9 7x9 8x9"}, [35], [10]),
    Case("StageFails", "it failed before and works", {f'{JOBS}"failed"}}': "7x90", f'{JOBS}"done"}}': "0+1x90"}, [], [20, 40]),
    Case("CannotTell", "Slack refuses", {f'aegis_sink_jobs_failing{{{OURS},stage="tell"}}': "1x60"}, [16], [14]),
    Case("CannotTell", "only the model is away", {f'aegis_sink_jobs_failing{{{OURS},stage="diagnose"}}': "1x60"}, [], [16]),
    Case("ModelAway", "no answer for an hour", {f'{QUESTIONS}"unavailable"}}': "0+1x140"}, [35, 60], [20]),
    Case("ModelAway", "some answers come", {f'{QUESTIONS}"unavailable"}}': "0+1x140", f'{QUESTIONS}"ok"}}': "0+1x140"}, [], [35, 60]),
]  # fmt: skip


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: it is in Debian's package prometheus")
    return found


def told(promtool: str, *arguments: str) -> str:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def alerts(objects: list[dict[str, Any]]) -> list[str]:
    (group,) = of("PrometheusRule", objects)["spec"]["groups"]
    return [rule["alert"] for rule in group["rules"]]


def written(objects: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(of("PrometheusRule", objects)["spec"]))
    return path


@pytest.mark.parametrize("scraped", [True, False])
def test_prometheus_takes_the_rules(
    render: Render, promtool: str, scraped: bool, tmp_path: Path
) -> None:
    objects = render("full", {"serviceMonitor": {"enabled": scraped}})
    assert "SUCCESS" in told(promtool, "check", "rules", str(written(objects, tmp_path)))


def test_each_alert_is_seen_to_fire_and_to_keep_quiet(render: Render) -> None:
    named = {f"AegisSink{case.alert}" for case in CASES if case.fires}
    assert named == set(alerts(render("full")))
    assert {f"AegisSink{case.alert}" for case in CASES if case.quiet and not case.fires} == named


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.alert}: {c.says}")
def test_an_alert_fires_when_it_should(
    render: Render, promtool: str, case: Case, tmp_path: Path
) -> None:
    written(render("full"), tmp_path)
    firing = f'count(ALERTS{{alertname="AegisSink{case.alert}",alertstate="firing"}}) or vector(0)'
    expected = [(minute, 1) for minute in case.fires] + [(minute, 0) for minute in case.quiet]
    test = {
        "interval": "30s",
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "promql_expr_test": [
            {
                "expr": firing,
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": value}],
            }
            for minute, value in expected
        ],
    }
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": [test]}
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(document))
    told(promtool, "test", "rules", str(path))


def test_without_a_service_monitor_no_alert_waits_for_what_only_it_brings(render: Render) -> None:
    """`up` has the labels of whoever scrapes: AegisSinkAway would fire for ever."""
    objects = render("full", {"serviceMonitor": {"enabled": False}})
    assert "AegisSinkAway" not in alerts(objects)
    (group,) = of("PrometheusRule", objects)["spec"]["groups"]
    assert not [rule for rule in group["rules"] if "namespace=" in rule["expr"]]
