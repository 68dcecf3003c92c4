"""Silences as they stand. An ended one is kept until retention drops it: who muted what, and why."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from aegis_sink.store import tables
from aegis_sink.triage.matchers import parse
from aegis_sink.triage.silence import Silence

_s = tables.silences.c


def put(connection: Connection, silence: Silence) -> None:
    """Keep a new one."""
    connection.execute(
        tables.silences.insert().values(
            id=silence.id,
            matchers=[str(matcher) for matcher in silence.matchers],
            starts_at=silence.starts_at,
            ends_at=silence.ends_at,
            author=silence.author,
            comment=silence.comment,
        )
    )


def get(connection: Connection, silence_id: str) -> Silence | None:
    """One, or None."""
    row = connection.execute(select(tables.silences).where(_s.id == silence_id)).first()
    return None if row is None else _silence(row)


def all_of_them(connection: Connection, *, limit: int) -> tuple[Silence, ...]:
    """Those that end last first."""
    rows = connection.execute(
        select(tables.silences).order_by(_s.ends_at.desc(), _s.id).limit(limit)
    )
    return tuple(map(_silence, rows))


def not_ended(connection: Connection, now: datetime) -> tuple[Silence, ...]:
    """Those that mute now or will."""
    rows = connection.execute(select(tables.silences).where(_s.ends_at > now))
    return tuple(map(_silence, rows))


def end(connection: Connection, silence_id: str, *, now: datetime) -> None:
    """It mutes no longer. One that has not begun goes."""
    connection.execute(tables.silences.delete().where(_s.id == silence_id, _s.starts_at >= now))
    connection.execute(
        tables.silences.update().where(_s.id == silence_id, _s.ends_at > now).values(ends_at=now)
    )


def _silence(row: Row[*tuple[Any, ...]]) -> Silence:
    matchers = tuple(matcher for text in row.matchers for matcher in parse(text))
    return Silence(row.id, matchers, row.starts_at, row.ends_at, row.author, row.comment)
