"""How long Results take to be taken in: a backfill of what was told, and a storm of new ones.

    nice python -m tests.bench.reconcile_bench

Prints seconds, and the longest time the event loop stood still meanwhile.
"""

import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aegis_sink.ambient import new_id
from aegis_sink.cluster.results import Pace, Results
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.flow.reconciler import Reconciler
from aegis_sink.store import jobs
from aegis_sink.store.database import Database, open_engine
from aegis_sink.store.schema import migrate
from tests.fakes.results_api import ResultsApi, connection, result, serving

BACKFILL = 10_000


def objects(count: int, workloads: int) -> list[dict[str, object]]:
    """Pods of so many Deployments, each failing in a way of its own."""
    return [
        result(
            f"shop/app{n % workloads}-6d5f7c9b8d-{n:05x}",
            f"the last termination reason is Error container=app{n % workloads} pod=app",
            details="Error: the container ends. Solution: look at its log. " * 6,
        )
        for n in range(count)
    ]


async def measure() -> dict[str, float]:
    """Take BACKFILL Results in as new, then begin again with what is known, then lose all."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'bench.db'}")
        migrate(engine)
        database = Database(engine)
        database.start()
        api = ResultsApi()
        api.put(*objects(BACKFILL, 500))
        async with serving(api):
            found: dict[str, float] = {}

            def reconciler() -> Reconciler:
                return Reconciler(
                    database=database,
                    results=Results(connection(api), "", Pace(), lambda: 1.0, lambda reason: None),
                    redact=Redactor(b"0" * 32),
                    clock=lambda: datetime.now(UTC),
                    new_id=new_id,
                    wake=lambda: None,
                    cluster="bench",
                    hold=timedelta(seconds=90),
                )

            for what in ("new", "known", "gone"):
                if what == "gone":
                    api.delete()
                one = reconciler()
                still = asyncio.create_task(_longest_stand())
                started = time.monotonic()
                report = await one.look()
                found[f"{what}_seconds"] = round(time.monotonic() - started, 2)
                assert getattr(report, what) == BACKFILL
                still.cancel()
                found[f"{what}_stood_ms"] = round(max(_stands) * 1000, 1)
                waiting = await database.read(jobs.counts)
                found[f"{what}_jobs"] = sum(waiting.values())
                await one.results.connection.close()
        await database.close()
        return found


_stands: list[float] = []


async def _longest_stand() -> None:
    _stands.clear()
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        _stands.append(time.monotonic() - before - 0.005)


if __name__ == "__main__":
    for name, value in asyncio.run(measure()).items():
        sys.stdout.write(f"{name:20} {value}\n")
