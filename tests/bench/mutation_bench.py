"""50,000 mutated bodies through the operator's door: none may be answered 5xx, none may be lost.

Each is made from one of the operator's own bodies with a fixed seed. What was answered 200 has to
be on the disk afterwards, byte for byte: as a delivery, in the inbox, or in quarantine.
"""

import asyncio
import json
import random
import sqlite3
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.ack_bench import HERE, PAYLOADS, sink

BODIES = 50_000
CONNECTIONS = 32
SEED = 20_260_301
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 1e308, "", " ", "\x00", "\ud800", "<!channel>", [], {}, [[[[]]]], "x" * 5000,
)  # fmt: skip
ODD_BYTES = (b"", b"\xff", b"\x00", b'"', b"{", b"[" * 500, b"\\u0000", b"\xe2\x80\xae", b"*", b"/")


def run(bodies: int = BODIES) -> dict[str, dict[str, float]]:
    """Post them all; what came of it, in numbers."""
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        place = Path(folder)
        started = time.perf_counter()
        with sink(place) as port:
            answers, stored = asyncio.run(_post_all(port, bodies))
        seconds = time.perf_counter() - started
        lost = stored - _on_disk(place / "bench.db")
    return {
        "answers": {str(status): float(count) for status, count in sorted(answers.items())},
        "mutated bodies": {
            "posted": float(answers.total()),
            "5xx": float(sum(n for status, n in answers.items() if status >= 500)),
            "lost": float(len(lost)),
            "seconds": seconds,
        },
    }


def mutated(number: int) -> Iterator[bytes]:
    """`number` bodies, the same each time."""
    chance = random.Random(SEED)  # noqa: S311 — for variety
    seeds = [path.read_bytes() for path in sorted(PAYLOADS.glob("*.json"))]
    ways: tuple[Callable[[bytes, random.Random], bytes], ...] = (_bytes, _bytes, _values, _cut)
    for _ in range(number):
        body = chance.choice(seeds)
        for _ in range(chance.randint(1, 3)):
            body = chance.choice(ways)(body, chance)
        yield body


def _bytes(body: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(body) + 1)
    end = start + chance.choice((0, 0, 1, 5, 40))
    return body[:start] + chance.choice(ODD_BYTES) + body[end:]


def _cut(body: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:start] if chance.random() < 0.5 else body[:end] + body[start:]


def _values(body: bytes, chance: random.Random) -> bytes:
    try:
        document = json.loads(body)
    except ValueError:
        return body
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        for key in keys if isinstance(one, dict | list) else ():
            places.append((one, key))
            if isinstance(one[key], dict | list):
                waiting.append(one[key])
    if not places:
        return body
    owner, key = chance.choice(places)
    value = chance.choice(ODD_VALUES)
    if isinstance(owner, dict) and chance.random() < 0.3:
        owner[str(value)[:20]] = owner.pop(key)
    else:
        owner[key] = value
    return json.dumps(document).encode()


async def _post_all(port: int, number: int) -> tuple[Counter[int], set[bytes]]:
    """(status → how many, the bodies that were answered 200)."""
    answers: Counter[int] = Counter()
    stored: set[bytes] = set()
    waiting = mutated(number)
    url = f"http://127.0.0.1:{port}"

    async def post() -> None:
        for body in waiting:
            async with session.post(f"{url}/webhook", data=body) as answer:
                answers[answer.status] += 1
                if answer.status == 200:
                    stored.add(body)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(post() for _ in range(CONNECTIONS)))
    return answers, stored


def _on_disk(file: Path) -> set[bytes]:
    with closing(sqlite3.connect(file)) as database:
        packed = "SELECT body FROM deliveries UNION ALL SELECT body FROM quarantine"
        found = {zlib.decompress(row[0]) for row in database.execute(packed)}
        return found | {row[0] for row in database.execute("SELECT body FROM inbox")}
