"""The stream of Results goes on through everything an API server does to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn
from unittest.mock import AsyncMock, Mock

import pytest

from aegis_sink.cluster.connection import Body, Connection, Request, Stream
from aegis_sink.cluster.errors import ClusterUnavailable
from aegis_sink.cluster.results import (
    Began,
    Changed,
    Complete,
    Hindered,
    Listed,
    News,
    Object,
    Pace,
    Results,
    Watched,
)
from tests.acceptance import virtual_time
from tests.fakes.results_api import RESULTS, ResultsApi, connection, result
from tests.integration.reconcile.conftest import PACE, until


@dataclass
class Reader:
    """What a reader of the stream knows: the Results, and what it was told of hindrances."""

    results: Results
    restarts: list[str]
    known: dict[str, str] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    hindered: list[Hindered] = field(default_factory=list)
    lists: int = 0
    changes: int = 0

    def take(self, news: News) -> None:
        match news:
            case Began():
                self.listed = {}
            case Listed(objects):
                self.listed |= {_name(o): _said(o) for o in objects}
            case Complete():
                self.known, self.lists = dict(self.listed), self.lists + 1
            case Changed(changes):
                self.changes += len(changes)
                for change in changes:
                    if change.gone:
                        self.known.pop(_name(change.object), None)
                    else:
                        self.known[_name(change.object)] = _said(change.object)
            case Hindered():
                self.hindered.append(news)


def _name(one: Object) -> str:
    return str(one["metadata"]["name"])  # type: ignore[index]


def _said(one: Object) -> str:
    return str(one["spec"]["details"])  # type: ignore[index]


@asynccontextmanager
async def reading(api: ResultsApi, pace: Pace = PACE, namespace: str = "") -> AsyncIterator[Reader]:
    restarts: list[str] = []
    one = connection(api)
    reader = Reader(Results(one, namespace, pace, lambda: 1.0, restarts.append), restarts)

    async def read() -> None:
        async for news in reader.results.follow():
            reader.take(news)

    task = asyncio.create_task(read())
    try:
        yield reader
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await one.close()


async def test_a_list_comes_in_pages_and_the_watch_goes_on_behind_it(api: ResultsApi) -> None:
    api.put(*(result(f"shop/api-{n}") for n in range(7)))
    api.page = 3
    async with reading(api) as reader:
        await until(lambda: api.watching)
        assert len(reader.known) == 7
        api.put(result("shop/web", details="new"))
        api.delete("shopapi3")
        await until(lambda: reader.known.get("shopweb") == "new" and "shopapi3" not in reader.known)
        assert api.lists == 1
        assert api.watches[0]["allowWatchBookmarks"] == "true"


async def test_results_that_are_too_large_for_one_page_come_in_smaller_ones(
    api: ResultsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_sink.cluster.results.PAGE_BYTES", 10_000)
    api.put(*(result(f"shop/api-{n}", details="x" * 2000) for n in range(9)))
    pages: list[int] = []
    api.before_page = pages.append
    async with reading(api) as reader:
        await until(lambda: reader.lists)
        assert (len(reader.known), reader.hindered) == (9, [])
        assert pages[-3:] == [0, 3, 6]


async def test_a_list_whose_pages_expire_begins_again(api: ResultsApi) -> None:
    api.put(*(result(f"shop/api-{n}") for n in range(4)))
    api.page = 2
    expired: list[int] = []

    def forget(start: int) -> None:
        if start and not expired:
            expired.append(start)
            api.delete("shopapi0")  # it was in the first page, and is not there any more
            api.compact()

    api.before_page = forget
    async with reading(api) as reader:
        await until(lambda: reader.lists)
        assert set(reader.known) == {"shopapi1", "shopapi2", "shopapi3"}
        assert reader.restarts == ["expired"]


@pytest.mark.parametrize("body", [{}, [], {"kind": "Status", "status": "Failure", "code": 500}])
async def test_an_answer_that_is_no_list_is_not_taken_for_an_empty_one(
    api: ResultsApi, body: object
) -> None:
    api.put(result("shop/one"))
    async with reading(api) as reader:
        await until(lambda: reader.lists)
        api.list_body = body
        reader.results.list_now()
        await until(lambda: reader.hindered)
        assert (reader.hindered[0].hindrance, set(reader.known)) == ("away", {"shopone"})


async def test_410_inside_the_stream_takes_a_new_list_and_not_the_old_version(
    api: ResultsApi,
) -> None:
    async with reading(api) as reader:
        await until(lambda: api.watching)
        api.gone_in_stream()
        await until(lambda: reader.lists == 2 and api.watching)
        assert reader.restarts == ["expired"]


async def test_a_cut_watch_goes_on_behind_the_last_event_without_a_list(api: ResultsApi) -> None:
    async with reading(api) as reader:
        await until(lambda: api.watching)
        api.put(result("shop/one"))
        await until(lambda: "shopone" in reader.known)
        api.cut()
        api.put(result("shop/two"))
        await until(lambda: "shoptwo" in reader.known)
        assert api.lists == 1
        assert reader.changes == 2
        assert reader.restarts == ["cut"]


async def test_after_a_bookmark_a_watch_outlives_that_the_server_forgets(api: ResultsApi) -> None:
    async with reading(api) as reader:
        await until(lambda: api.watching)
        api.version += 50  # other objects of the cluster change too
        api.bookmark()
        api.put(result("shop/one"))
        await until(lambda: "shopone" in reader.known)
        api.compact()
        api.cut()
        await until(lambda: len(api.watches) == 2 and api.watching)
        api.put(result("shop/two"))
        await until(lambda: "shoptwo" in reader.known)
        assert api.lists == 1


@pytest.mark.parametrize("by_status", [False, True], ids=["in the stream", "as its status"])
async def test_a_watch_that_begins_with_410_takes_a_new_list(
    api: ResultsApi, by_status: bool
) -> None:
    api.gone_by_status = by_status
    async with reading(api) as reader:
        await until(lambda: api.watching)
        api.silent = True
        api.put(result("shop/one"), result("shop/two"))
        api.compact()
        api.put(result("shop/three"))
        api.compact()
        api.silent = False
        api.cut()
        await until(lambda: len(reader.known) == 3 and api.watching)
        assert reader.lists == 2
        assert (reader.restarts, reader.hindered) == (["cut", "expired"], [])


async def test_a_silent_connection_is_given_up(api: ResultsApi) -> None:
    pace = Pace(resync=3600, silence=0.2, first_wait=0.02, longest_wait=0.1)
    async with reading(api, pace) as reader:
        await until(lambda: api.watching)
        api.silent = True
        api.put(result("shop/one"))
        await until(lambda: "silent" in reader.restarts)
        api.silent = False
        await until(lambda: "shopone" in reader.known)


async def test_a_server_that_ends_each_watch_at_once_is_not_asked_in_a_frenzy(
    api: ResultsApi,
) -> None:
    pace = Pace(resync=3600, silence=3600, first_wait=60, longest_wait=60)
    async with reading(api, pace) as reader:
        await until(lambda: api.watching)
        api.cut()
        await until(lambda: reader.restarts == ["cut"])
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(api.watches) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_begins_is_asked_again_until_it_answers(
    api: ResultsApi, status: int
) -> None:
    api.away = (status, "")
    api.put(result("shop/one"))
    async with reading(api) as reader:
        await until(lambda: len(reader.hindered) >= 2)
        assert reader.hindered[0].hindrance == "away"
        api.away = None
        await until(lambda: "shopone" in reader.known)


@pytest.mark.parametrize(("jitter", "waits"), [(1.0, [1, 2, 4, 8, 8]), (0.0, [0.5, 1, 2, 4, 4])])
def test_each_failure_doubles_the_wait_up_to_a_limit(jitter: float, waits: list[float]) -> None:
    tries: list[float] = []

    class Away(Connection):
        async def read(self, *_: object, **__: object) -> NoReturn:
            tries.append(asyncio.get_running_loop().time())
            raise ClusterUnavailable("etcd is away")

    async def follow() -> None:
        pace = Pace(first_wait=1, longest_wait=8)
        results = Results(Away(), "", pace, lambda: jitter, lambda reason: None)
        async with aclosing(results.follow()) as news:
            async for _ in news:
                if len(tries) > len(waits):
                    return

    virtual_time.run(follow())
    assert [after - before for before, after in pairwise(tries)] == waits


class EndOfScript(Exception):
    pass


class Scripted(Connection):
    """An API server with no Results, whose watches bring these bytes, one after the other; None is
    one that fails. Whoever asks for more hears so."""

    def __init__(self, *watches: bytes | None) -> None:
        self.watches, self.tries = list(watches), list[float]()

    async def read(self, *_: object, **__: object) -> Body:
        return Body(b'{"metadata": {"resourceVersion": "1"}, "items": []}')

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncIterator[Stream]:
        self.tries.append(asyncio.get_running_loop().time())
        if not self.watches:
            raise EndOfScript
        if (brings := self.watches.pop(0)) is None:
            raise ClusterUnavailable("etcd is away")
        response = Mock()
        response.content.readany = AsyncMock(side_effect=[brings, b""])
        yield Stream(response)


ADDED = b'{"type": "ADDED", "object": {"metadata": {"name": "one", "resourceVersion": "2"}}}\n'


async def test_after_a_watch_that_told_something_the_wait_begins_anew() -> None:
    scripted = Scripted(None, None, None, ADDED, None, None)
    results = Results(scripted, "", Pace(first_wait=1), lambda: 1.0, lambda reason: None)

    async def follow() -> None:
        with suppress(EndOfScript):
            async for _ in results.follow():
                pass

    await asyncio.to_thread(virtual_time.run, follow())
    assert [b - a for a, b in pairwise(scripted.tries)] == [1, 2, 4, 1, 2, 4]


@pytest.mark.parametrize(
    "ends", [*(b'{"type": "ERROR", "object": {"code": %d}}\n' % n for n in (410, 500)), b"<html>\n"]
)
async def test_what_stands_before_an_error_in_one_read_is_told_before_a_new_list(
    ends: bytes,
) -> None:
    results = Results(Scripted(ADDED + ends), "", PACE, lambda: 1.0, lambda reason: None)
    told: list[News] = []
    async with aclosing(results.follow()) as stream:
        async for news in stream:
            told.append(news)
            if isinstance(news, Changed):
                break
    assert [type(news) for news in told] == [Began, Listed, Complete, Watched, Changed]


async def test_retry_after_is_obeyed(api: ResultsApi) -> None:
    api.away = (503, "3600")
    async with reading(api) as reader:
        await until(lambda: reader.hindered)
        asked = len(api.asked)
        api.away = None
        for _ in range(30):
            await asyncio.sleep(0.01)  # longer than any wait of its own
        assert len(api.asked) == asked


async def test_a_crd_that_is_deleted_while_its_results_are_watched_is_said_to_be_missing(
    api: ResultsApi,
) -> None:
    async with reading(api) as reader:
        await until(lambda: api.watching)
        api.installed = False
        api.cut()
        await until(lambda: len(reader.hindered) >= 2)
        assert {(one.hindrance, one.listed) for one in reader.hindered} == {("missing", False)}


async def test_without_the_crd_it_says_so_and_finds_it_when_it_comes(api: ResultsApi) -> None:
    api.installed = False
    async with reading(api) as reader:
        await until(lambda: len(reader.hindered) >= 2)
        assert "is not installed" in reader.hindered[0].why
        api.installed = True
        api.put(result("shop/one"))
        await until(lambda: "shopone" in reader.known)


async def test_without_the_right_it_names_the_rule_and_goes_on_when_it_is_given(
    api: ResultsApi,
) -> None:
    api.put(result("shop/one"))
    async with reading(api) as reader:
        await until(lambda: api.watching)
        api.allowed = False
        api.cut()
        await until(lambda: reader.hindered)
        assert 'resources: ["results"], verbs: ["watch"]' in reader.hindered[0].why
        await until(lambda: len(reader.hindered) > 1)
        assert 'verbs: ["list"]' in reader.hindered[-1].why
        api.put(result("shop/two"))
        api.allowed = True
        await until(lambda: "shoptwo" in reader.known)


async def test_a_list_can_be_asked_for_and_comes_by_itself(api: ResultsApi) -> None:
    async with reading(api) as reader:
        await until(lambda: api.watching)
        reader.results.list_now()
        await until(lambda: reader.lists == 2)
    async with reading(api, Pace(resync=0.05, silence=3600)) as reader:
        await until(lambda: reader.lists >= 3)
        assert set(reader.restarts) == {"resync"}


async def test_one_namespace_only(api: ResultsApi) -> None:
    api.put(result("shop/a", namespace="east"), result("shop/b", namespace="west"))
    async with reading(api, namespace="west") as reader:
        await until(lambda: reader.lists)
        assert set(reader.known) == {"shopb"}
        assert not any(path.endswith(RESULTS) for path in api.asked)
