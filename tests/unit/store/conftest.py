"""A real SQLite file in a temporary folder, and bodies to put into it."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from aegis_sink.flow.door import sighting
from aegis_sink.model import Finding, ObjectRef
from aegis_sink.store.accept import Arrival
from aegis_sink.store.database import Database, open_engine
from tests.stores import new_store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Arrive = Callable[..., Arrival]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def database_file(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    new_store(path)
    return path


@pytest.fixture
async def database(database_file: Path) -> AsyncIterator[Database]:
    database = Database(open_engine(f"sqlite:///{database_file}"))
    database.start()
    yield database
    await database.close()


@pytest.fixture
def arrive() -> Arrive:
    """One body: `arrive("Pod shop/api-1", "it fails", at=3)`; `at` is seconds after NOW."""
    numbers = count(1)

    def make(
        *names: str,
        errors: tuple[str, ...] = ("it fails",),
        at: float = 0,
        gone: bool = False,
        force: bool = False,
        k8sgpt: str = "k8sgpt",
    ) -> Arrival:
        when = NOW + timedelta(seconds=at)
        sightings = []
        for name in names:
            kind, _, path = name.partition(" ")
            namespace, _, bare = path.rpartition("/")
            finding = Finding(
                "east",
                ObjectRef(kind, bare, namespace),
                "result",
                k8sgpt=k8sgpt,
                errors=() if gone else errors,
                gone=gone,
            )
            sightings.append(
                sighting(finding, redact=str, now=when, incident_id=f"incident{next(numbers)}")
            )
        return Arrival(
            delivery_id=f"delivery{next(numbers)}",
            received_at=when,
            door="test",
            dialect="result",
            body=b"{}",
            sightings=tuple(sightings),
            force=force,
            hold=timedelta(seconds=90),
        )

    return make
