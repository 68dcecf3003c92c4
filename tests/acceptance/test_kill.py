"""The real program is killed with SIGKILL: every accepted problem is told, in one root message.

Every step of posting in every run of the tests, and as many more installations as AEGIS_TEST_KILLS
asks for, each killed at one of these steps or at a random moment.
"""

import asyncio
import json
import os
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.acceptance.mortal_sink import start
from tests.fakes.diagnosis_cases import answer_text
from tests.fakes.ollama import FakeOllama, Says, ollama
from tests.fakes.slack import PUBLIC_CHANNEL, FakeSlack, Fault, shown, slack
from tests.stores import new_store

__all__ = ["ollama", "slack"]

JSON = {"Content-Type": "application/json"}
PATIENCE_SECONDS = 120
KILLS = int(os.environ.get("AEGIS_TEST_KILLS", "2"))
MANY = 20
"""From so many kills on, presses and events are killed at every place, not only at the hardest."""
SEED = 20260301

STORE, FLOW = "aegis_sink.store", "aegis_sink.flow"
PLACES = {
    "a post is not written down yet": (f"{STORE}.inbox:Inbox.note", "before"),
    "a post is on disk and not answered": (f"{FLOW}.inbox:Sorting.note", "after"),
    "its incident is made and not committed": (f"{FLOW}.inbox:accept", "after"),
    "evidence is read and not stored": (f"{STORE}.incidents:store_collected", "before"),
    "evidence is stored and the job open": (f"{FLOW}.collecting:Collecting.collect", "after"),
    "the model is being asked": ("aegis_sink.diagnosis.diagnoser:Diagnoser.ask", "before"),
    "the model's answer is not kept": ("aegis_sink.diagnosis.diagnoser:Diagnoser.ask", "after"),
    "a message is about to be intended": (f"{STORE}.notices:intend_root", "before"),
    "a message is intended and not sent": ("aegis_sink.notify.slack:SlackBot.post", "before"),
    "Slack has the message, the store not": ("aegis_sink.notify.slack:SlackBot.post", "after"),
    "Slack has the message, the thread not": ("aegis_sink.notify.slack:SlackBot.reply", "before"),
    "the thread has its reply, the store not": ("aegis_sink.notify.slack:SlackBot.reply", "after"),
    "the message is recorded, not committed": (f"{STORE}.notices:told", "after"),
    "all is told and the job open": (f"{FLOW}.telling:Telling.tell", "after"),
}


AT_ANY_MOMENT = len(PLACES)
"""The first runs are killed at random moments: the places have tests of their own."""
ONE_FOR_EACH = [*PLACES][7:]
"""What happens once for each incident, so that the program can die at the second or third."""

ENDING = {
    "it is over and not committed": (f"{STORE}.incidents:set_state", "after"),
    "the edit is not sent": ("aegis_sink.notify.slack:SlackBot.edit", "before"),
    "Slack has the edit, the thread not": ("aegis_sink.notify.slack:SlackBot.edit", "after"),
    "the thread has the end, the store not": ("aegis_sink.notify.slack:SlackBot.reply", "after"),
    "the end is told, not committed": (f"{STORE}.notices:told", "after"),
}

DIGEST = {
    "a digest is about to be intended": (f"{STORE}.digests:intend", "before"),
    "a digest is intended and not sent": ("aegis_sink.notify.slack:SlackBot.post_digest", "before"),
    "Slack has the digest, the store not": (
        "aegis_sink.notify.slack:SlackBot.post_digest",
        "after",
    ),
    "the digest is recorded, not committed": (f"{STORE}.digests:told", "after"),
}
STORM = 30
"""So many at once are told in a digest, but for the first few."""

PRESSING = f"{FLOW}.pressing:Pressing"
PRESSED = {
    "it is on disk and Slack was not told so": (f"{PRESSING}.keep", "after"),
    "Slack was told and nothing is done": (f"{PRESSING}._work_off", "before"),
    "it is done and not committed": (f"{STORE}.presses:worked_off", "after"),
    "the person was told and that is not recorded": (f"{STORE}.presses:answered", "before"),
}


@dataclass
class Sink:
    """One run of the program."""

    process: ForkServerProcess
    url: str
    session: aiohttp.ClientSession

    async def post(self, body: bytes, path: str = "/webhook") -> bool:
        """Whether it was answered 200."""
        try:
            async with self.session.post(self.url + path, data=body, headers=JSON) as response:
                await response.read()
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def press(self, slack: FakeSlack, payload: dict[str, object]) -> bool:
        """Whether Slack was told that the press arrived."""
        body, headers = slack.signed(payload)
        url = f"{self.url}/slack/actions"
        try:
            async with self.session.post(url, data=body, headers=headers) as response:
                await response.read()
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def incidents(self) -> list[dict[str, Any]]:
        """All, whole."""
        cursor, found = "", []
        while cursor is not None:
            page = await self._get(f"/v1/incidents?limit=500&cursor={cursor}")
            found += page["incidents"]
            cursor = page["next_cursor"]
        return [await self._get(f"/v1/incidents/{one['id']}") for one in found]

    async def until(self, state: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until `count` incidents are `told`, or `resolved` and told so."""
        async with asyncio.timeout(PATIENCE_SECONDS + count):
            while True:
                found = await self.incidents()
                done = [
                    one
                    for one in found
                    if any(
                        n["reason"] == ("resolved" if state == "resolved" else "first")
                        for n in one["notices"]
                    )
                    and not one["diagnosing"]
                ]
                if len(done) >= count:
                    return found
                await asyncio.sleep(0.1)

    async def dead(self) -> None:
        await asyncio.to_thread(self.process.join, PATIENCE_SECONDS)
        assert self.process.exitcode == -9, "it was to die at the named place"

    async def _get(self, path: str) -> Any:
        async with self.session.get(self.url + path) as response:
            return await response.json()


@dataclass
class Installation:
    """A database, a Slack and a model that outlive the program."""

    folder: Path
    slack: FakeSlack
    ollama: FakeOllama
    more: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def sink(
        self, place: str = "", when: str = "before", call: int = 1
    ) -> AsyncIterator[Sink]:
        """The program; with `place` it dies there."""
        said = self.folder / "stderr.txt"
        said.unlink(missing_ok=True)
        process = start(
            (place, when, call) if place else None,
            {
                "PATH": os.environ["PATH"],
                "AEGIS_PORT": "0",
                "AEGIS_DATABASE_URL": f"sqlite:///{self.folder}/sink.db",
                "AEGIS_KUBERNETES": "off",
                "AEGIS_GROUP_WAIT": "0s",
                "AEGIS_RESOLVE_HOLD": "0s",
                "AEGIS_LLM_URL": self.ollama.url,
                "AEGIS_LLM_ALWAYS_ASK": "true",
                "AEGIS_SLACK_BOT_TOKEN": self.slack.token,
                "AEGIS_SLACK_CHANNEL": PUBLIC_CHANNEL,
                "AEGIS_SLACK_API_URL": self.slack.api_url,
                "AEGIS_SLACK_SIGNING_SECRET": self.slack.signing_secret,
                **self.more,
                "AEGIS_LOG_LEVEL": "warning",
            },
            said,
        )
        try:
            url = await self._address(process, said)
            timeout = aiohttp.ClientTimeout(total=10)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                yield Sink(process, url, session)
        finally:
            process.terminate()
            await asyncio.to_thread(process.join, PATIENCE_SECONDS)
            process.kill()

    async def _address(self, process: ForkServerProcess, said: Path) -> str:
        """Where it says that it listens."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                alive = process.is_alive()
                text = read(said)
                if found := re.search(r"listens on (http://\S+)", text):
                    return found[1]
                assert alive, f"the program did not start: {text}"
                await asyncio.sleep(0.02)

    def replies(self) -> list[str]:
        """What people read in the thread of the only root message."""
        [root] = self.slack.channel.roots
        return [shown(reply) for reply in self.slack.channel.replies(str(root["ts"]))]

    def roots(self, name: str) -> list[str]:
        """What people read in the root messages about one object."""
        return [text for text in map(shown, self.slack.channel.roots) if name in text]


def read(said: Path) -> str:
    """What the program said so far."""
    return said.read_text() if said.exists() else ""


@pytest.fixture
def installation(tmp_path: Path, slack: FakeSlack, ollama: FakeOllama) -> Installation:
    ollama.default = Says(answer_text())
    new_store(tmp_path / "sink.db")
    return Installation(tmp_path, slack, ollama)


def problem(name: str) -> bytes:
    """A post of K8sGPT about one Ingress."""
    title = f">*[main] K8sGPT analysis of the Ingress shop/{name}*"
    text = f"1. Ingress uses the service shop/{name}-v2 which does not exist.\n"
    return json.dumps({"text": title, "attachments": [{"text": text, "title": "Report"}]}).encode()


def result(name: str, *more: str) -> dict[str, object]:
    """The same as K8sGPT's Result, with `more` errors."""
    errors = (f"Ingress uses the service shop/{name}-v2 which does not exist.", *more)
    return {
        "apiVersion": "core.k8sgpt.ai/v1alpha1",
        "kind": "Result",
        "metadata": {"name": f"shop{name}", "namespace": "k8sgpt"},
        "spec": {
            "kind": "Ingress",
            "name": f"shop/{name}",
            "backend": "",
            "details": "",
            "parentObject": "",
            "error": [{"text": text} for text in errors],
        },
    }


def over(name: str) -> bytes:
    """The watch event that ends it."""
    return json.dumps({"type": "DELETED", "object": result(name)}).encode()


@pytest.mark.parametrize("place", PLACES)
async def test_a_problem_is_told_once_although_the_program_was_killed_when(
    place: str, installation: Installation
) -> None:
    async with installation.sink(*PLACES[place]) as sink:
        accepted = await sink.post(problem("web"))
        await sink.dead()
    async with installation.sink() as sink:
        if not accepted:
            # The operator was not answered, so it comes again.
            assert await sink.post(problem("web"))
        [incident] = await sink.until("told")
    assert [n["reason"] for n in incident["notices"]].count("first") == 1
    assert len(installation.roots("web")) == 1


async def test_one_root_message_although_slack_hung_up_and_the_program_died_then(
    installation: Installation,
) -> None:
    installation.slack.faults["chat.postMessage"].append(Fault.DROP_AFTER)
    async with installation.sink(f"{FLOW}.telling:Telling._again", "before") as sink:
        assert await sink.post(problem("web"))
        await sink.dead()
    assert len(installation.roots("web")) == 1
    async with installation.sink() as sink:
        await sink.until("told")
    assert len(installation.roots("web")) == 1


async def test_a_thread_is_whole_although_the_program_was_killed_between_two_of_its_replies(
    installation: Installation,
) -> None:
    # A reply holds 12,000 characters of JSON at most; a quote takes two.
    quotes = '"' * 380
    long = [f"host {n} of the Ingress is {quotes}" for n in range(20)]
    body = json.dumps(result("web", *long)).encode()
    root_and_first_reply = 2
    async with installation.sink(
        "aegis_sink.notify.slack:SlackBot._post", "after", root_and_first_reply
    ) as sink:
        accepted = await sink.post(body, "/v1/findings")
        await sink.dead()
    [root] = installation.slack.channel.roots
    assert len(installation.slack.channel.replies(str(root["ts"]))) == 1
    async with installation.sink() as sink:
        if not accepted:
            assert await sink.post(body, "/v1/findings")
        [incident] = await sink.until("told")
        async with asyncio.timeout(PATIENCE_SECONDS):
            # What a diagnosis adds comes a moment after it was made.
            while "Or this" not in installation.replies()[-1]:  # noqa: ASYNC110 — the fake sets no event
                await asyncio.sleep(0.05)
    assert [n["reason"] for n in incident["notices"]].count("first") == 1
    cut, *again = installation.replies()
    assert "All that K8sGPT says" in cut
    assert cut == again[0]
    assert "Or this" in again[-1]


@pytest.mark.parametrize("place", [*DIGEST][2:3] if KILLS < MANY else DIGEST)
async def test_a_storm_has_one_digest_although_the_program_was_killed_when(
    place: str, installation: Installation
) -> None:
    names = [f"web-{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(STORM)]
    items = [result(name) for name in names]
    body = json.dumps({"kind": "ResultList", "apiVersion": "v1", "items": items}).encode()
    async with installation.sink(*DIGEST[place]) as sink:
        accepted = await sink.post(body, "/v1/findings")
        await sink.dead()
    async with installation.sink() as sink:
        if not accepted:
            assert await sink.post(body, "/v1/findings")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await sink.incidents()
                told = [[n["reason"] for n in one["notices"]] for one in found]
                if len(found) == STORM and all(told):
                    break
                await asyncio.sleep(0.1)
    assert all(reasons.count("first") + reasons.count("digest") == 1 for reasons in told)
    assert ["digest"] in told
    roots = list(map(shown, installation.slack.channel.roots))
    assert len([text for text in roots if "MANY AT ONCE" in text]) == 1
    assert len(roots) == 1 + sum("first" in reasons for reasons in told)


@pytest.mark.parametrize("place", ENDING)
async def test_the_end_is_told_once_although_the_program_was_killed_when(
    place: str, installation: Installation
) -> None:
    async with installation.sink() as sink:
        assert await sink.post(problem("web"))
        await sink.until("told")
    async with installation.sink(*ENDING[place]) as sink:
        accepted = await sink.post(over("web"), "/v1/findings")
        await sink.dead()
    async with installation.sink() as sink:
        if not accepted:
            assert await sink.post(over("web"), "/v1/findings")
        [incident] = await sink.until("resolved")
    assert [n["reason"] for n in incident["notices"]].count("resolved") == 1
    [root] = installation.slack.channel.roots
    assert "resolved" in shown(root).lower()
    replies = installation.slack.channel.replies(str(root["ts"]))
    assert any("Resolved after" in shown(reply) for reply in replies)


@pytest.mark.parametrize("place", [*PRESSED][-1:] if KILLS < MANY else PRESSED)
async def test_a_press_counts_once_although_the_program_was_killed_when(
    place: str, installation: Installation, slack: FakeSlack
) -> None:
    async with installation.sink(*PRESSED[place]) as sink:
        assert await sink.post(problem("web"))
        [incident] = await sink.until("told")
        payload = slack.pressed("acknowledge", incident["id"], name="ada")
        acknowledged = await sink.press(slack, payload)
        await sink.dead()
    async with installation.sink() as sink:
        if not acknowledged:
            # The person saw that it did not work, and presses again.
            again = slack.pressed("acknowledge", incident["id"], name="ada")
            assert await sink.press(slack, again)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not slack.responses or "Acknowledged by ada" not in installation.roots("web")[0]:
                slack.arrived.clear()
                await slack.arrived.wait()
        [incident] = await sink.incidents()
    assert [h["what"] for h in incident["history"]].count("acknowledged") == 1
    assert incident["state"] == "acknowledged"
    assert len(installation.roots("web")) == 1


@pytest.mark.parametrize("when", ["after"] if KILLS < MANY else ["before", "after"])
async def test_an_event_has_one_id_although_the_program_was_killed_when_it_was_sent(
    when: str, installation: Installation
) -> None:
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        events.put_nowait(json.loads(await request.read()))
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    installation.more["AEGIS_FORWARD_URL"] = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    post = "aegis_sink.notify.forward:CloudEventsForwarder.post"
    async with installation.sink(post, when) as sink:
        assert await sink.post(problem("web"))
        await sink.dead()
    sent = [events.get_nowait() for _ in range(events.qsize())]
    async with installation.sink():
        async with asyncio.timeout(PATIENCE_SECONDS):
            sent.append(await events.get())
    await runner.cleanup()
    firsts = [event["id"] for event in sent if event["type"].endswith(".first")]
    assert len(firsts) == (2 if when == "after" else 1)
    assert len(set(firsts)) == 1


@pytest.mark.parametrize("run", range(KILLS))
async def test_three_problems_are_told_once_each_through_a_kill_somewhere(
    run: int, installation: Installation
) -> None:
    chance = random.Random(SEED + run)  # noqa: S311
    steps = [*PLACES.items(), *[("any moment", None)] * 3]
    name, place = steps[(run + AT_ANY_MOMENT) % len(steps)]
    call = chance.randint(1, 3) if name in ONE_FOR_EACH else 1
    names = [f"web-{number}x" for number in range(3)]
    unanswered = []
    where, when = place or ("", "")
    async with installation.sink(where, when, call) as sink:
        for one in names:
            await asyncio.sleep(chance.uniform(0, 0.3))
            if not await sink.post(problem(one)):
                unanswered.append(one)
        if place is None:
            await asyncio.sleep(chance.uniform(0, 1.0))
            sink.process.kill()
        await sink.dead()
    async with installation.sink() as sink:
        for one in unanswered:
            assert await sink.post(problem(one))
        found = await sink.until("told", len(names))
    firsts = [[n["reason"] for n in incident["notices"]].count("first") for incident in found]
    assert firsts == [1, 1, 1]
    assert {one: len(installation.roots(one)) for one in names} == dict.fromkeys(names, 1)
    assert len(installation.slack.channel.roots) == len(names)
