"""Quarantine: bodies that could be read but not understood. Kept, counted, shown, retryable."""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from aegis_sink.store.tables import quarantine

FIRST_BYTES = 200


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One quarantined body. `first` are its first bytes as text, for people."""

    id: str
    received_at: datetime
    door: str
    reason: str
    size: int
    retries: int
    body: bytes

    @property
    def first(self) -> str:
        """The first bytes, printable."""
        return "".join(
            c if c.isprintable() else "·"
            for c in self.body[:FIRST_BYTES].decode("utf-8", "replace")
        )


def put(
    connection: Connection, *, id: str, at: datetime, door: str, reason: str, body: bytes
) -> None:
    """Keep one body."""
    packed = zlib.compress(body, 1)
    connection.execute(
        quarantine.insert().values(
            id=id,
            received_at=at,
            door=door,
            reason=reason,
            size=len(body),
            body=packed,
            stored=len(packed),
        )
    )


def items(connection: Connection, *, limit: int = 100) -> tuple[Quarantined, ...]:
    """The newest first, each with no more of its body than a list shows."""
    rows = connection.execute(
        select(quarantine).order_by(quarantine.c.received_at.desc()).limit(limit)
    )
    return tuple(_item(row, first_bytes=FIRST_BYTES) for row in rows)


def get(connection: Connection, id: str) -> Quarantined | None:
    """One body, or None."""
    row = connection.execute(select(quarantine).where(quarantine.c.id == id)).first()
    return None if row is None else _item(row)


def remove(connection: Connection, id: str) -> None:
    """It was understood after all."""
    connection.execute(quarantine.delete().where(quarantine.c.id == id))


def retried(connection: Connection, id: str, reason: str) -> None:
    """It was tried again and still not understood."""
    connection.execute(
        quarantine.update()
        .where(quarantine.c.id == id)
        .values(retries=quarantine.c.retries + 1, reason=reason)
    )


def size(connection: Connection) -> tuple[int, int]:
    """How many bodies, and how many bytes they take."""
    count, stored = connection.execute(
        select(func.count(), func.coalesce(func.sum(quarantine.c.stored), 0))
    ).one()
    return count, stored


def trim(connection: Connection, *, before: datetime, max_bytes: int) -> int:
    """Drop what is older than `before`, then the oldest until the rest fits; how many went."""
    dropped = connection.execute(
        quarantine.delete().where(quarantine.c.received_at < before)
    ).rowcount
    return dropped + fit(connection, max_bytes=max_bytes)


def fit(connection: Connection, *, max_bytes: int) -> int:
    """Drop the oldest until the rest fits; how many went."""
    _, stored = size(connection)
    if stored <= max_bytes:
        return 0
    dropped = 0
    oldest = connection.execute(
        select(quarantine.c.id, quarantine.c.stored).order_by(quarantine.c.received_at)
    ).all()
    for row in oldest:
        if stored <= max_bytes:
            break
        remove(connection, row.id)
        stored -= row.stored
        dropped += 1
    return dropped


def _item(row: Row[*tuple[Any, ...]], *, first_bytes: int = 0) -> Quarantined:
    """With 0 the whole body."""
    return Quarantined(
        id=row.id,
        received_at=row.received_at,
        door=row.door,
        reason=row.reason,
        size=row.size,
        retries=row.retries,
        body=zlib.decompressobj().decompress(row.body, first_bytes),
    )
