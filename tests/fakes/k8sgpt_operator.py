"""The K8sGPT operator as it really behaves towards its sink (facts/k8sgpt.md §0, §1.5, §2.3).

It posts every new problem twice, once for every changed text, and never again; it stops at the
first answer that is not 200 and analyses anew after a back-off; the post of an *updated* Result
that fails is lost; a Result that is not found again is deleted without a word; all of that in a
random order. Two objects may share one Result, and the last one wins. A Result that the API server
refuses stops the pass before anything is posted.
"""

import asyncio
import hashlib
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.fakes.results_api import ResultsApi, result
from tests.fakes.small_cluster import AnalysisFailed, Problem

Object = dict[str, Any]
Sink = Callable[[bytes], Awaitable[int]]
"""Posts a body; the status of the answer. Raises OSError when nobody answers."""

FIRST_WAIT_SECONDS = 0.005
LONGEST_WAIT_SECONDS = 1000.0
SINK_TIMEOUT_SECONDS = 30.0
POST_SECONDS = 0.004
"""What one post takes at least, on its side."""
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""What an object may be called."""


class Aborted(Exception):
    """The reconcile ended with an error: all of it is done anew after a back-off."""


@asynccontextmanager
async def over_http(url: Callable[[], str]) -> AsyncIterator[Sink]:
    """The sink at a URL, posted to as Go's client does: the connection is kept."""
    timeout = aiohttp.ClientTimeout(total=SINK_TIMEOUT_SECONDS)
    headers = {"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:

        async def post(body: bytes) -> int:
            async with session.post(url(), data=body, allow_redirects=False) as response:
                await response.read()
                return response.status

        yield post


async def always_there(body: bytes) -> int:
    """A Slack webhook that takes everything: what K8sGPT's own Slack sink posts to."""
    return 200


@dataclass
class FakeOperator:
    """One K8sGPT CR. `run` reconciles each `interval` seconds."""

    api: ResultsApi
    analyse: Callable[[], Sequence[Problem]]
    sink: Sink
    chance: random.Random
    name: str = "main"
    namespace: str = "k8sgpt"
    interval: float = 30.0
    dialect: str = "slack"
    webhook: str = "http://sink/webhook"
    """`spec.sink.webhook`, kept with what was posted. Where only a Secret has the URL it is "", and
    everything is posted at each pass (§0.6)."""
    details: Callable[[Problem], str] = lambda problem: ""
    posts: int = 0
    """Tries, answered or not."""
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    """Objects whose changed text was posted in vain, and is not posted again."""
    conflicts: int = 0
    """So many of the next writes of a status meet a stale cache (409) after the post."""
    deleted: bool = False

    async def run(self) -> None:
        """Reconcile without end."""
        wait = FIRST_WAIT_SECONDS
        while not self.deleted:
            try:
                await self.reconcile()
            except (Aborted, AnalysisFailed):
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            else:
                wait = FIRST_WAIT_SECONDS
                await asyncio.sleep(self.interval)

    async def reconcile(self) -> None:
        """One pass: analyse, delete what is stale, create or update, post."""
        found = self._results(self.analyse())
        for place in [place for place in self._mine() if place not in found]:
            self.api.delete(place[1], namespace=place[0])
        for place, fresh in _shuffled(self.chance, found.items()):
            self._create_or_update(place, fresh)
        for place in _shuffled(self.chance, self._mine()):
            await self._emit(place)

    def delete(self) -> None:
        """The CR is deleted, and with it its Results (since v0.2.26)."""
        self.deleted = True
        for place in self._mine():
            self.api.delete(place[1], namespace=place[0])

    def _mine(self) -> list[tuple[str, str]]:
        label = "k8sgpts.k8sgpt.ai/name"
        return [
            place
            for place, one in self.api.kept.items()
            if one["metadata"]["labels"].get(label) == self.name
        ]

    def _results(self, problems: Sequence[Problem]) -> dict[tuple[str, str], Object]:
        """By name, which the kind is no part of: the last one of a random order wins."""
        found: dict[tuple[str, str], Object] = {}
        for one in _shuffled(self.chance, problems):
            fresh = result(
                one.name,
                *one.errors,
                kind=one.kind,
                k8sgpt=self.name,
                namespace=self.namespace,
                details=self.details(one),
            )
            found[self.namespace, fresh["metadata"]["name"]] = fresh
        return found

    def _create_or_update(self, place: tuple[str, str], fresh: Object) -> None:
        before = self.api.kept.get(place)
        if before is None:
            if not NAME.fullmatch(place[1]):
                raise Aborted
            self.api.put({**fresh, "status": {}})  # the status of a new object is dropped
            return
        status = dict(before.get("status", {}))
        if status.get("contentHash") == _hash(fresh):
            if status.get("lifecycle") != "historical":
                self.api.put({**before, "status": {**status, "lifecycle": "historical"}})
            return
        status |= {"lifecycle": "updated", "contentHash": _hash(fresh)}
        self.api.put({**before, "spec": fresh["spec"], "status": status})

    async def _emit(self, place: tuple[str, str]) -> None:
        one = self.api.kept[place]
        status = one.get("status", {})
        if status.get("lifecycle") == "historical" and status.get("webhook"):
            return
        self.posts += 1
        await asyncio.sleep(POST_SECONDS)
        try:
            answer = await self.sink(self._body(one["spec"]))
        except (OSError, TimeoutError, aiohttp.ClientError):
            answer = 0
        if answer != 200:
            self.refused += 1
            if status.get("webhook"):
                self.lost.append(one["spec"]["name"])
            raise Aborted
        if self.conflicts:
            self.conflicts -= 1
            raise Aborted
        self.api.put({**one, "status": {**status, "webhook": self.webhook}})

    def _body(self, spec: Object) -> bytes:
        """What Go's encoder makes of it: one line, < > & escaped."""
        title = f">*[{self.name}] K8sGPT analysis of the {spec['kind']} {spec['name']}*"
        details = str(spec["details"])
        attachment = {"text": details, "color": "danger", "title": "Report"}
        if self.dialect == "slack":
            attachment = {"type": "mrkdwn", **attachment}
        elif not details:
            lines = (f"{n}. {e['text']}\n" for n, e in enumerate(spec["error"], 1))
            attachment["text"] = "".join(lines)
        text = json.dumps(
            {"text": title, "attachments": [attachment]}, ensure_ascii=False, separators=(",", ":")
        )
        for sign in "<>&":
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        return text.encode()


def _hash(one: Object) -> str:
    """Neither details nor masks are part of it, but the order of the texts is."""
    spec = one["spec"]
    said = [spec["kind"], spec["name"], "", len(spec["error"]), [e["text"] for e in spec["error"]]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _shuffled(chance: random.Random, items: Any) -> list[Any]:
    """A Go map's order."""
    listed = list(items)
    chance.shuffle(listed)
    return listed
