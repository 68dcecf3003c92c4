"""The program starts in a cluster whose Results it knows."""

from dataclasses import replace

from aegis_sink.store import jobs, tables
from tests.fakes.results_api import result
from tests.integration.reconcile.conftest import Sink, make_sink

MANY = 10_000
WORKLOADS = 500


async def test_ten_thousand_known_results_make_no_work_and_no_message(sink: Sink) -> None:
    await sink.flow.stop_working()
    sink.api.put(
        *(
            result(
                f"shop/app{n % WORKLOADS}-6d5f7c9b8d-{n:05x}",
                f"the last termination reason is Error container=app{n % WORKLOADS} pod=app",
            )
            for n in range(MANY)
        )
    )
    first = make_sink(sink.flow, sink.api, sink.pace).reconciler
    assert (await first.look()).new == MANY
    await first.results.connection.close()
    # It was all told, and the program is started anew.
    await sink.flow.database.write(lambda c: c.execute(tables.jobs.delete()) and None)
    again = make_sink(sink.flow, sink.api, sink.pace).reconciler
    report = await again.look()
    await again.results.connection.close()
    assert replace(report, known=0) == type(report)()
    assert report.known == MANY
    assert await sink.flow.database.read(jobs.counts) == {}
    await sink.flow.start()
    await sink.after(3600)
    assert sink.flow.channel.tries == 0
