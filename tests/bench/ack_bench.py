"""Durable acknowledgements beside a bare Starlette echo on the same uvicorn, in the same run.

Rounds alternate between the two, so that the machine's mood hits both alike; medians are shown.
"""

import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PAYLOADS = HERE.parent / "fixtures" / "k8sgpt" / "payloads"
ROUNDS = 5
SECONDS = 3.0
CONNECTIONS = 32
PROBLEMS = 20_000

Numbers = dict[str, float]


def run() -> dict[str, Numbers]:
    """Measure everything; name → numbers."""
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        place = Path(folder)
        new, again = place / "new.ndjson", place / "again.ndjson"
        body = json.loads((PAYLOADS / "01-slack-pod-oomkilled.json").read_text())
        listed = json.loads((PAYLOADS / "13-mattermost-ai-disabled-multi-error.json").read_text())
        new.write_bytes(b"\n".join(_new_problems(listed)))
        again.write_bytes(json.dumps(body).encode())
        rounds: dict[str, list[Numbers]] = {}
        with _echo() as echo_port, sink(place) as sink_port:
            for number in range(ROUNDS):
                for name, port, connections, bodies in (
                    ("echo", echo_port, CONNECTIONS, again),
                    ("re-posts", sink_port, CONNECTIONS, again),
                    ("echo serial", echo_port, 1, again),
                    ("re-posts serial", sink_port, 1, again),
                ):
                    result = _load(port, connections, bodies)
                    rounds.setdefault(name, []).append(result)
                    _say(f"round {number + 1}: {name:18} {result['per_second']:8.0f}/s")
        for number in range(ROUNDS):
            # A sink of its own each round: the problems are new each time.
            with tempfile.TemporaryDirectory(dir=place) as fresh:
                rounds.setdefault("commit", []).append({"p50_ms": _commit_p50_ms(Path(fresh))})
            with _echo() as echo_port:
                rounds.setdefault("echo beside new", []).append(_load(echo_port, CONNECTIONS, new))
                rounds.setdefault("echo new serial", []).append(_load(echo_port, 1, new))
            with tempfile.TemporaryDirectory(dir=place) as fresh, sink(Path(fresh)) as port:
                rounds.setdefault("new serial", []).append(_load(port, 1, new))
            with tempfile.TemporaryDirectory(dir=place) as fresh, sink(Path(fresh)) as port:
                result = _load(port, CONNECTIONS, new)
                rounds.setdefault("new problems", []).append(result)
                _say(f"round {number + 1}: {'new problems':18} {result['per_second']:8.0f}/s")
    medians = {
        name: {key: statistics.median(one[key] for one in found) for key in found[0]}
        for name, found in rounds.items()
    }
    return {**medians, "ratios": _ratios(medians)}


def _ratios(medians: dict[str, Numbers]) -> Numbers:
    commit = medians["commit"]["p50_ms"]
    echo, again, new = medians["echo"], medians["re-posts"], medians["new problems"]
    bare = commit + medians["echo serial"]["p50_ms"]
    return {
        "re-posts / echo, per second": again["per_second"] / echo["per_second"],
        "new problems / echo, per second": new["per_second"]
        / medians["echo beside new"]["per_second"],
        "serial p50 / (commit + echo p50)": medians["re-posts serial"]["p50_ms"] / bare,
        "new problems serial p50 / (commit + echo p50)": medians["new serial"]["p50_ms"]
        / (commit + medians["echo new serial"]["p50_ms"]),
        "re-posts p99 / p50": again["p99_ms"] / again["p50_ms"],
        "new problems p99 / p50": new["p99_ms"] / new["p50_ms"],
    }


def _new_problems(body: dict[str, object]) -> Iterator[bytes]:
    """The operator's mattermost body with AI off, about another object each time."""
    text = str(body["text"])
    for number in range(PROBLEMS):
        name = re.sub(r"shop/web", f"shop/web-{number}x", text)
        yield json.dumps({**body, "text": name}, ensure_ascii=False).encode()


def _load(port: int, connections: int, bodies: Path) -> Numbers:
    command = [
        sys.executable,
        str(HERE / "load.py"),
        *("127.0.0.1", str(port), "/webhook", str(connections), str(SECONDS), str(bodies)),
    ]
    result: Numbers = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    if result["refused"]:
        raise SystemExit(f"{result['refused']:.0f} requests were not answered 200")
    return result


@contextmanager
def _echo() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "echo.py")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def sink(folder: Path) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "aegis_sink", "serve"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "AEGIS_PORT": "0",
            "AEGIS_DATABASE_URL": f"sqlite:///{folder}/bench.db",
            "AEGIS_KUBERNETES": "off",
            "AEGIS_LLM_API": "off",
            "AEGIS_LOG_LEVEL": "error",
        },
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise SystemExit(f"the service did not start: {line}{process.stderr.read()}")
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate()


def _commit_p50_ms(folder: Path) -> float:
    """One bare SQLite FULL commit of one row, on the same disk."""
    connection = sqlite3.connect(folder / "commit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (a)")
    took = []
    for _ in range(400):
        start = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("COMMIT")
        took.append(time.perf_counter() - start)
    connection.close()
    return statistics.median(took) * 1000


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
