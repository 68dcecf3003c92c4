"""A storm through the whole program: the pods of 2,000 Deployments crash at once.

    nice python -m tests.bench.storm_bench [COUNT]

Once with the operator posting each to the webhook, once with Results that only the reconciler
sees. Prints seconds from the first problem on until all are stored as incidents (`recorded`), and
until each stands in a message, its own or the digest (`told`); root messages, the digest's own
among them; questions to the model; how much memory grew. The fakes run in the same process, and
Slack's pace of one message a second is kept.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from sqlalchemy import Connection, func, select

from aegis_sink.model import NoticeReason
from aegis_sink.server import Server, address, listen
from aegis_sink.service import build
from aegis_sink.settings import load
from aegis_sink.store import tables
from tests.fakes.diagnosis_cases import answer_text
from tests.fakes.k8sgpt_operator import FakeOperator, always_there, over_http
from tests.fakes.ollama import Says, serve_ollama
from tests.fakes.slack import PUBLIC_CHANNEL, FakeSlack
from tests.fakes.small_cluster import SmallCluster, serving

COUNT = 2000
NAMESPACES = 40
LIMIT_SECONDS = 900.0
LOOK_SECONDS = 0.25


def many(count: int) -> SmallCluster:
    """A cluster in which as many Deployments crash, each in a way of its own."""
    cluster = SmallCluster(failing={"Deployment"})
    for number in range(count):
        path = f"team-{number % NAMESPACES}/app{number:04}"
        cluster.deploy(path, f"n{number % 50}", service=False).ill = "crash"
    return cluster


def _so_far(connection: Connection) -> tuple[int, int]:
    """(incidents, those that were told)."""
    n = tables.notices.c
    told = select(func.count(func.distinct(n.incident_id))).where(
        n.reason.in_((NoticeReason.FIRST, NoticeReason.DIGEST))
    )
    incidents = select(func.count()).select_from(tables.incidents)
    return connection.execute(incidents).scalar_one(), connection.execute(told).scalar_one()


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure(count: int, *, by_webhook: bool) -> dict[str, float]:
    """One storm, from an empty database on."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster, slack = many(count), FakeSlack()
        await stack.enter_async_context(serving(cluster, folder / "kubeconfig"))
        model = await stack.enter_async_context(serve_ollama())
        model.default = Says(answer_text())
        await slack.start()
        stack.push_async_callback(slack.stop)
        os.environ["KUBECONFIG"] = str(folder / "kubeconfig")
        environment = {
            "AEGIS_DATABASE_URL": f"sqlite:///{folder}/sink.db",
            "AEGIS_LLM_URL": model.url,
            "AEGIS_LLM_ALWAYS_ASK": "true",
            "AEGIS_SLACK_BOT_TOKEN": slack.token,
            "AEGIS_SLACK_CHANNEL": PUBLIC_CHANNEL,
            "AEGIS_SLACK_API_URL": slack.api_url,
        }
        listener = stack.enter_context(listen("127.0.0.1", 0))
        service = await build(load(environment).settings)
        server = Server(service)
        serving_ = await server.start(listener)
        await asyncio.sleep(1)
        memory = _resident_mib()
        url = f"{address(listener)}/webhook"
        post = await stack.enter_async_context(over_http(lambda: url))
        sink = post if by_webhook else always_there
        operator = FakeOperator(cluster.results, cluster.analyse, sink, random.Random(1))  # noqa: S311
        started = time.monotonic()
        first_pass = asyncio.create_task(operator.reconcile())
        recorded = told = 0
        found: dict[str, float] = {}
        while told < count and time.monotonic() < started + LIMIT_SECONDS:
            await asyncio.sleep(LOOK_SECONDS)
            recorded, told = await service.database.read(_so_far)
            if recorded >= count:
                found.setdefault("recorded_seconds", time.monotonic() - started)
            if first_pass.done():
                found.setdefault("posted_seconds", time.monotonic() - started)
        found["told_seconds"] = time.monotonic() - started
        found |= {
            "told": told,
            "roots": len(slack.channel.roots),
            "questions": len(model.chats),
            "grew_mib": _resident_mib() - memory,
        }
        await first_pass
        server.should_exit = True
        await serving_
        return found


def run(count: int = COUNT) -> dict[str, dict[str, float]]:
    """Both ways."""
    return {
        "webhook": asyncio.run(measure(count, by_webhook=True)),
        "reconciler": asyncio.run(measure(count, by_webhook=False)),
    }


if __name__ == "__main__":
    for way, numbers in run(*map(int, sys.argv[1:])).items():
        shown = "  ".join(f"{name} {value:.1f}" for name, value in numbers.items())
        sys.stdout.write(f"{way:12} {shown}\n")
