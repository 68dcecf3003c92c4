"""A day of a cluster with 200 workloads: every message that people get, and what K8sGPT alone sends.

Three rollouts go wrong, a node is away (600 findings), an analyzer fails, the sink is restarted,
two of the operator's updates are lost.
"""

import os

import pytest

from tests.acceptance.timeline import LONG, Timeline, seconds
from tests.fakes.small_cluster import Problem

WORKLOADS = 200
NAMESPACES = ("shop", "pay", "search", "ops")
NODES = ("n1", "n2", "n3")
HINTS = (
    Problem(
        "ConfigMap",
        "shop/flags-old",
        ("ConfigMap flags-old is not used by any pods in the namespace",),
    ),
    Problem(
        "ConfigMap",
        "pay/rates-old",
        ("ConfigMap rates-old is not used by any pods in the namespace",),
    ),
    Problem("CronJob", "ops/tidy", ("CronJob tidy is suspended",)),
)


@pytest.mark.skipif(not os.environ.get("AEGIS_TEST_LONG"), reason=LONG)
@pytest.mark.timeout(1200)  # a minute of a machine's time, and many of a busy one's
def test_a_day_is_twelve_messages(timeline: Timeline) -> None:
    at, expect, cluster = timeline.at, timeline.expect, timeline.cluster
    timeline.interval = "1m"
    cluster.more += HINTS
    for number in range(WORKLOADS):
        namespace = NAMESPACES[number % len(NAMESPACES)]
        cluster.deploy(f"{namespace}/app{number:03}", *NODES)
    checkout, ledger, index = (
        f"{namespace}/app{number:03}"
        for namespace, number in (("shop", 0), ("pay", 1), ("search", 2))
    )

    # A rollout whose pods crash, and are restarted again and again until it is taken back.
    at("08:15:30").rolls_out(checkout, "crash")
    flips(timeline, checkout, "08:18", "08:45")
    at("08:45:30").rolls_out(checkout)
    expect.root_message(f"Deployment {checkout}").between("08:16:10", "08:16:20")
    expect.thread(f"Deployment {checkout}", "resolved").between("08:47", "08:48")

    # What can wait is told once a day.
    expect.digest(problems=3).between("09:00", "09:00:31")

    # One whose image does not exist; the next try lacks a ConfigMap, and that update is lost.
    at("10:30:30").rolls_out(ledger, "image")
    at("11:10:10").sink_is_shielded()
    at("11:10:30").fails(ledger, "config")
    at("11:14:30").sink_is_reached()
    at("11:31:30").recovers(ledger)
    expect.root_message(f"Deployment {ledger}").between("10:31:10", "10:31:20")
    expect.thread(f"Deployment {ledger}", "changed").between("11:11", "11:11:30")
    expect.thread(f"Deployment {ledger}", "resolved").between("11:33", "11:34")

    # A node goes away, and all of the workloads have a pod there.
    at("13:00:30").node_goes_down("n3")
    at("13:40:30").node_comes_back("n3")
    expect.root_message("Node n3").between("13:01:10", "13:01:30")
    expect.thread("Node n3", "resolved").between("13:42", "13:46")

    # The sink is restarted, and a rollout goes wrong meanwhile.
    at("15:00").sink_is_restarted(down="5m")
    at("15:01:30").rolls_out(index, "oom")
    expect.root_message(f"Deployment {index}").between("15:05", "15:06")

    # An analyzer fails for one run; later all of them for a while.
    at("15:30:30").analyzers_fail("Pod")
    at("15:31:30").analyzers_work_again()
    at("16:00:30").analyzers_fail("Pod", "Deployment", "Service", "ConfigMap", "CronJob")
    at("16:15:30").analyzers_work_again()

    # Its pods fail in another way; this update is lost, too.
    at("17:00:10").sink_is_shielded()
    at("17:00:30").fails(index, "probe")
    at("17:03:30").sink_is_reached()
    expect.thread(f"Deployment {index}", "changed").between("17:00:30", "17:01")

    # Nobody mends it: it is told again after AEGIS_REPEAT_INTERVAL, and then its end.
    expect.thread(f"Deployment {index}", "repeat").between("21:00:30", "21:01")
    at("22:00:30").recovers(index)
    expect.thread(f"Deployment {index}", "resolved").between("22:02", "22:03")

    timeline.run("24h")
    [operator] = timeline.operators
    assert len(operator.lost) >= 2
    # In this order; and what K8sGPT's own Slack sink would have sent.
    assert [str(told)[9:] for told in timeline.told] == [
        str(one).split(" ", 1)[1] for one in expect
    ]
    assert (len(timeline.told), timeline.own_sink_posts) == (12, 1308)


def flips(timeline: Timeline, path: str, since: str, until: str) -> None:
    """Between two restarts K8sGPT says something else of a crashing pod."""
    moment, number = seconds(since), 0
    while moment < seconds(until):
        number += 1
        timeline.at(f"{int(moment)}s").fails(path, "back-off" if number % 2 else "crash")
        moment += 120
