"""Timelines: what happens in a cluster, and what people are told when, on virtual time.

    timeline.at("1s").fails("shop/api", "crash")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.run("10m")

The whole program runs behind its HTTP door and on its own SQLite file, between a K8sGPT operator,
an API server and a Slack that behave like the real ones. Every message must have been expected.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, TypeVar

import aiohttp
import pytest

from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.durations import parse_duration
from aegis_sink.server import Server, address, listen
from aegis_sink.service import build
from aegis_sink.settings import load
from aegis_sink.store.database import Connection, Database
from tests.acceptance import virtual_time
from tests.fakes.k8sgpt_operator import FakeOperator, Sink, always_there, over_http
from tests.fakes.ollama import FakeOllama, Says, serve_ollama
from tests.fakes.results_api import ResultsApi
from tests.fakes.slack import PUBLIC_CHANNEL, FakeSlack, Fault, shown
from tests.fakes.small_cluster import Problem, SmallCluster, serving
from tests.stores import new_store

T = TypeVar("T")

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
SEED = 20260302
LONG = "takes some minutes: set AEGIS_TEST_LONG=1"


def seconds(when: str) -> float:
    """ "90s" and "2h30m" since the start, or a time of that day: "09:30", "09:30:05"."""
    if ":" not in when:
        return parse_duration(when).total_seconds()
    hours, minutes, *rest = map(int, when.split(":"))
    return float(hours * 3600 + minutes * 60 + sum(rest))


def shown_time(at: float) -> str:
    """The other way round, for people: "09:30:05"."""
    return f"{START + timedelta(seconds=at):%H:%M:%S}"


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that people were told: `kind` is root, thread, edit or digest."""

    at: float
    kind: str
    reason: str
    subject: str
    channel: str

    def __str__(self) -> str:
        return f"{shown_time(self.at)} {self.kind} {self.reason}: {self.subject} in {self.channel}"


@dataclass
class Expected:
    """One message, within a window; nothing else may be told."""

    kind: str
    reason: str
    subject: str
    channel: str = PUBLIC_CHANNEL
    since: float = 0.0
    until: float = float("inf")

    def between(self, since: str, until: str) -> Self:
        """Not before the one and not after the other."""
        self.since, self.until = seconds(since), seconds(until)
        return self

    def fits(self, told: Told) -> bool:
        return (
            (told.kind, told.reason, told.subject, told.channel)
            == (self.kind, self.reason, self.subject, self.channel)
        ) and self.since <= told.at <= self.until

    def __str__(self) -> str:
        window = f"{shown_time(self.since)}…{shown_time(min(self.until, 86_399))}"
        return f"{window} {self.kind} {self.reason}: {self.subject} in {self.channel}"


class Expectations(list[Expected]):
    """What is to be told, in this order where windows do not overlap."""

    def root_message(self, subject: str) -> Expected:
        """A message of its own in the channel."""
        return self._add(Expected("root", "first", subject))

    def thread(self, subject: str, reason: str) -> Expected:
        """The message edited, and a word in its thread."""
        return self._add(Expected("thread", reason, subject))

    def edit(self, subject: str, reason: str) -> Expected:
        """The message edited, nothing more."""
        return self._add(Expected("edit", reason, subject))

    def digest(self, problems: int) -> Expected:
        """One message for so many incidents."""
        return self._add(Expected("digest", "digest", f"{problems} problems"))

    def _add(self, one: Expected) -> Expected:
        self.append(one)
        return one


class PatientServer(Server):
    """The program's server. uvicorn's looks at itself ten times a second, a day long."""

    async def main_loop(self) -> None:
        """Until `stop`."""
        self._stopped = asyncio.Event()
        await self._stopped.wait()

    def stop(self) -> None:
        """As a signal does."""
        self.should_exit = True
        self._stopped.set()


@dataclass
class Moment:
    """What happens at one point of time."""

    timeline: "Timeline"
    at: float

    def does(self, act: Callable[[], object]) -> None:
        """Anything."""
        self.timeline.acts.append((self.at, act))

    def fails(self, path: str, how: str) -> None:
        """A workload's pods fail (`small_cluster._ILL`) from now on."""
        self._set(path, ill=how)

    def rolls_out(self, path: str, how: str = "") -> None:
        """A new revision: other pod names. With `how` its pods fail."""
        one = self.timeline.cluster.workloads[path]
        self.does(lambda: self._change(path, ill=how, revision=one.revision + 1))

    def recovers(self, path: str) -> None:
        """Its pods are well again."""
        self._set(path, ill="")

    def node_goes_down(self, *nodes: str) -> None:
        """The pods there are not ready."""
        self.does(lambda: self._nodes(down=nodes))

    def node_comes_back(self, *nodes: str) -> None:
        """They are ready again."""
        self.does(lambda: self._nodes(up=nodes))

    def analyzers_fail(self, *kinds: str) -> None:
        """They find nothing, and what they had found is deleted; "*": nothing is analysed."""
        self.does(lambda: self.timeline.cluster.failing.update(kinds))

    def analyzers_work_again(self) -> None:
        """All of them."""
        self.does(self.timeline.cluster.failing.clear)

    def sink_is_restarted(self, down: str) -> None:
        """It is stopped, and back after so long."""

        async def restart() -> None:
            await self.timeline.stop_program()
            await asyncio.sleep(seconds(down))
            await self.timeline.start_program()

        self.does(restart)

    def sink_is_shielded(self) -> None:
        """What stands before it answers 503."""
        self.does(lambda: setattr(self.timeline, "shielded", True))

    def sink_is_reached(self) -> None:
        """No longer."""
        self.does(lambda: setattr(self.timeline, "shielded", False))

    def slack_goes_away(self) -> None:
        """It answers 500 to everything."""
        faults = self.timeline.slack.faults
        away = {method: deque([Fault.SERVER_ERROR] * 1000) for method in _POSTS}
        self.does(lambda: faults.update(away))

    def slack_comes_back(self) -> None:
        """It answers."""
        self.does(lambda: self.timeline.slack.faults.clear())

    def _set(self, path: str, **values: object) -> None:
        self.does(lambda: self._change(path, **values))

    def _change(self, path: str, **values: object) -> None:
        one = self.timeline.cluster.workloads[path]
        for name, value in values.items():
            setattr(one, name, value)
        self.timeline.cluster.changed()

    def _nodes(self, *, down: Sequence[str] = (), up: Sequence[str] = ()) -> None:
        cluster = self.timeline.cluster
        cluster.down = (cluster.down | set(down)) - set(up)
        cluster.changed()


_POSTS = ("chat.postMessage", "chat.update", "conversations.history", "auth.test")


@dataclass
class Timeline:
    """One story. `settings` are the program's, as keywords."""

    folder: Path
    patch: pytest.MonkeyPatch
    settings: dict[str, str] = field(default_factory=dict)
    cluster: SmallCluster = field(default_factory=SmallCluster)
    expect: Expectations = field(default_factory=Expectations)
    acts: list[tuple[float, Callable[[], Any]]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    ready: dict[str, str] = field(default_factory=dict)
    shielded: bool = False
    crs: tuple[str, ...] = ("main",)
    only: dict[str, str] = field(default_factory=dict)
    """What begins the names of all that a CR analyses: its `targetNamespace`."""
    operators: list[FakeOperator] = field(default_factory=list)
    beside: list[FakeOperator] = field(default_factory=list)
    """The same, posting to a Slack of their own: what K8sGPT would have sent without us."""
    interval: str = "30s"
    answer: Says | None = None
    """What the model says; None: none is configured."""
    model: FakeOllama | None = None
    slack: FakeSlack = field(init=False)
    _loop: asyncio.AbstractEventLoop | None = None
    """Kept, since threads of the store ask what time it is."""
    _url: str = ""
    _post: Sink = always_there
    _server: PatientServer | None = None
    _serving: asyncio.Task[None] | None = None
    _environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slack = FakeSlack(clock=lambda: self.now().timestamp())
        self.slack.enforce_rate = True

    def now(self) -> datetime:
        """The time of the story, for the program and for Slack."""
        return START + timedelta(seconds=self._loop.time() if self._loop else 0)

    def at(self, when: str) -> Moment:
        """A point of time."""
        return Moment(self, seconds(when))

    @property
    def own_sink_posts(self) -> int:
        """How many messages K8sGPT's own Slack sink would have sent."""
        return sum(operator.posts for operator in self.beside)

    def message(self, subject: str) -> dict[str, Any]:
        """The incident of a subject, as the program's API tells it in the end."""
        [one] = [one for one in self.incidents if _name(one["subject"]) == subject]
        return one

    def text_of(self, subject: str) -> str:
        """All that people read in the root message about a subject."""
        ts = self.message(subject)["notices"][0]["ts"]
        [root] = [root for root in self.slack.channel.roots if root["ts"] == ts]
        return shown(root)

    def delete_crs(self) -> None:
        """Every K8sGPT CR, and with it its Results."""
        for operator in self.operators:
            operator.delete()

    def run(self, until: str) -> None:
        """Let it happen, and hold what was told against what was expected."""
        virtual_time.run(self._run(seconds(until)))
        self.check()

    def check(self) -> None:
        """Everything that was expected was told in its time, and nothing else."""
        missing, surplus = list(self.expect), list(self.told)
        for expected in self.expect:
            found = next((told for told in surplus if expected.fits(told)), None)
            if found is not None:
                surplus.remove(found)
                missing.remove(expected)
        lines = [
            *(f"not told: {one}" for one in missing),
            *(f"not expected: {one}" for one in surplus),
        ]
        assert not lines, "\n".join(["", *lines, "told was:", *map(str, self.told)])

    async def _run(self, until: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._prepare()
        async with self._outside(), over_http(lambda: f"{self._url}/webhook") as self._post:
            await self.start_program()
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(one.run()) for one in (*self.operators, *self.beside)]
                happening = [group.create_task(self._act(*act)) for act in self.acts]
                await asyncio.sleep(until)
                for task in (*running, *happening):
                    task.cancel()
            await self._read()
            self.told = sorted(self._tellings(), key=lambda told: told.at)
            await self.stop_program()

    def _prepare(self) -> None:
        patch, numbers = self.patch, count(1)
        random.seed(SEED)
        patch.setattr("aegis_sink.service.new_id", lambda: f"{next(numbers):016x}")
        patch.setattr(
            "aegis_sink.service.Playbooks", SimpleNamespace(load=lambda *_, **__: _playbooks())
        )
        for name in ("write", "write_one_of"):
            patch.setattr(Database, name, virtual_time.counted(getattr(Database, name)))
        # Handing each read to a thread and back takes most of a day's real time.
        patch.setattr(Database, "read", _read_here)

        async def post(body: bytes) -> int:
            if self.shielded:
                return 503
            if not self._url:
                raise ConnectionRefusedError
            return await self._post(body)

        for number, name in enumerate(self.crs):
            for api, sink, operators in (
                (self.cluster.results, post, self.operators),
                (ResultsApi(), always_there, self.beside),
            ):
                chance = random.Random(SEED + number)  # noqa: S311
                interval = seconds(self.interval)
                analyse = self._analyse(name)
                operators.append(
                    FakeOperator(api, analyse, sink, chance, name=name, interval=interval)
                )

    def _analyse(self, name: str) -> Callable[[], list[Problem]]:
        """What a CR finds: all there is, but for one that has a namespace to look at."""
        only = self.only.get(name, "")
        return lambda: [one for one in self.cluster.analyse() if one.name.startswith(only)]

    @asynccontextmanager
    async def _outside(self) -> AsyncIterator[None]:
        """Slack and the API server."""
        config = self.folder / "kubeconfig"
        self.patch.setenv("KUBECONFIG", str(config))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(serving(self.cluster, config, self.now))
            await self.slack.start()
            stack.push_async_callback(self.slack.stop)
            if self.answer is not None:
                self.model = await stack.enter_async_context(serve_ollama())
                self.model.default = self.answer
                self.settings |= {"llm_api": "ollama", "llm_url": self.model.url}
            yield

    async def _act(self, at: float, act: Callable[[], Any]) -> None:
        await asyncio.sleep(at)
        done = act()
        if isinstance(done, Awaitable):
            await done

    async def start_program(self) -> None:
        """Its database outlives it."""
        environment = {
            "AEGIS_DATABASE_URL": f"sqlite:///{self.folder}/sink.db",
            "AEGIS_LLM_API": "off",
            "AEGIS_SLACK_BOT_TOKEN": self.slack.token,
            "AEGIS_SLACK_CHANNEL": PUBLIC_CHANNEL,
            "AEGIS_SLACK_API_URL": self.slack.api_url,
            **{f"AEGIS_{name.upper()}": value for name, value in self.settings.items()},
        }
        new_store(self.folder / "sink.db")
        listener = listen("127.0.0.1", 0)
        service = await build(load(environment).settings, clock=self.now)
        self._server = PatientServer(service)
        self._serving = await self._server.start(listener)
        self._url = address(listener)

    async def stop_program(self) -> None:
        """As Kubernetes stops a pod."""
        self._url = ""
        if self._server is not None and self._serving is not None:
            self._server.stop()
            await self._serving
        self._server = None

    async def _read(self) -> None:
        """All incidents, whole, and what `/readyz` says, from the program itself."""
        async with aiohttp.ClientSession() as session:

            async def get(path: str) -> Any:
                async with session.get(self._url + path) as response:
                    assert response.status == 200, await response.text()
                    return await response.json()

            self.ready = {name: str(told) for name, told in (await get("/readyz")).items()}
            cursor: str | None = ""
            while cursor is not None:
                page = await get(f"/v1/incidents?limit=500&cursor={cursor}")
                cursor = page["next_cursor"]
                for one in page["incidents"]:
                    self.incidents.append(await get(f"/v1/incidents/{one['id']}"))

    def _tellings(self) -> Iterator[Told]:
        """The program's notices, held against the messages that Slack has."""
        roots = [
            (channel.id, str(root["ts"]))
            for channel in self.slack.channels.values()
            for root in channel.roots
        ]
        digests: dict[tuple[str, str], list[float]] = {}
        for one in self.incidents:
            before = 0.0
            for notice in one["notices"]:
                place = notice["channel"], notice["ts"]
                at = (datetime.fromisoformat(notice["at"]) - START).total_seconds()
                if notice["reason"] == "digest":
                    digests.setdefault(place, []).append(at)
                    continue
                if place in roots:
                    roots.remove(place)
                    kind = "root"
                else:
                    kind = "thread" if self._replied(place, before, at) else "edit"
                yield Told(at, kind, notice["reason"], _name(one["subject"]), place[0])
                before = at
        for place, times in digests.items():
            roots.remove(place)
            yield Told(min(times), "digest", "digest", f"{len(times)} problems", place[0])
        assert not roots, f"root messages that no incident knows: {roots}"

    def _replied(self, place: tuple[str, str], since: float, until: float) -> bool:
        replies = self.slack.channels[place[0]].replies(place[1])
        times = (float(str(reply["ts"])) - START.timestamp() for reply in replies)
        # The API tells whole milliseconds.
        return any(since < at <= until + 0.001 for at in times)


async def _read_here(database: Database, run: Callable[[Connection], T]) -> T:
    return database._read(run)


@cache
def _playbooks() -> Playbooks:
    return Playbooks.load()


def _name(ref: dict[str, str]) -> str:
    where = f"{ref['namespace']}/" if ref["namespace"] else ""
    return f"{ref['kind']} {where}{ref['name']}"
