"""The inbox: the operator's bodies, on disk before anything is made of them.

One row a body is all that stands between a post and its 200; the same body again is counted. The
row carries the fingerprint that the body's words give, and the incident the sender was told of;
everything else is made from the body afterwards, in order.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from aegis_sink.model import State
from aegis_sink.store.tables import inbox, microseconds


@dataclass(frozen=True, slots=True)
class Post:
    """A body that was understood, with one finding. `fresh_id` is its incident's if it is new."""

    received_at: datetime
    key: str
    fresh_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Noted:
    """What the sender is told: the incident, and whether it was open already."""

    incident_id: str
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """One row of the inbox: a body, and how often it came between its first and last time."""

    id: int
    received_at: datetime
    last_received_at: datetime
    times: int
    incident_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Latest:
    """The latest row of a key. `digest` tells whether a body is the same; b"": not known."""

    id: int
    incident_id: str
    digest: bytes


@dataclass(slots=True)
class Inbox:
    """Writes posts down and hands them out again. Used by one writer at a time, as the database
    lets them."""

    _latest: dict[str, _Latest] | None = None
    """Key → its latest row; None: to be read again."""
    _last_id: int = 0

    def forget(self) -> None:
        """A transaction was rolled back: what is remembered of it may be wrong."""
        self._latest = None

    def note(self, connection: DBAPIConnection, posts: Sequence[Post]) -> list[Noted]:
        """Write down all posts; for each, the incident it belongs to.

        K8sGPT's operator posts the same again and again: a body that waits already is counted.
        """
        cursor = connection.cursor()
        latest = self._remembered(cursor)
        unknown = {post.key for post in posts if post.key not in latest}
        known = _known(cursor, unknown) if unknown else {}
        noted: list[Noted] = []
        again: dict[int, int] = {}
        rows: list[tuple[int, int, int, str, str, bytes]] = []
        for post in posts:
            digest = sha256(post.body).digest()
            before = latest.get(post.key)
            if before is not None:
                noted.append(Noted(before.incident_id, duplicate=True))
                if before.digest == digest:
                    again[before.id] = again.get(before.id, 0) + 1
                    continue
                incident_id = before.incident_id
            else:
                incident_id, state = known.get(post.key, (post.fresh_id, None))
                noted.append(Noted(incident_id, duplicate=state not in (None, State.RESOLVED)))
            at = microseconds(post.received_at)
            self._last_id += 1
            rows.append((self._last_id, at, at, post.key, incident_id, post.body))
            latest[post.key] = _Latest(self._last_id, incident_id, digest)
        cursor.executemany(
            "INSERT INTO inbox (id, received_at, last_received_at, times, key, incident_id, body)"
            " VALUES (?, ?, ?, 1, ?, ?, ?)",
            rows,
        )
        if again:
            at = microseconds(max(post.received_at for post in posts))
            cursor.executemany(
                "UPDATE inbox SET times = times + ?,"
                " last_received_at = max(last_received_at, ?) WHERE id = ?",
                [(times, at, row_id) for row_id, times in again.items()],
            )
        cursor.close()
        return noted

    def waiting(self, connection: Connection, *, limit: int) -> tuple[Waiting, ...]:
        """The oldest rows, in the order they came."""
        i = inbox.c
        rows = connection.execute(
            select(i.id, i.received_at, i.last_received_at, i.times, i.incident_id, i.body)
            .order_by(i.id)
            .limit(limit)
        )
        return tuple(Waiting(*row) for row in rows)

    def done(self, connection: Connection, *, up_to: int) -> None:
        """Everything up to this row was made into incidents."""
        if self._latest is not None:
            keys = connection.execute(select(inbox.c.key).where(inbox.c.id <= up_to)).scalars()
            for key in keys:
                row = self._latest.get(key)
                if row is not None and row.id <= up_to:
                    del self._latest[key]
        connection.execute(inbox.delete().where(inbox.c.id <= up_to))

    def _remembered(self, cursor: DBAPICursor) -> dict[str, _Latest]:
        if self._latest is None:
            cursor.execute("SELECT key, id, incident_id FROM inbox ORDER BY id")
            rows = cursor.fetchall()
            self._latest = {
                key: _Latest(row_id, incident_id, b"") for key, row_id, incident_id in rows
            }
            self._last_id = rows[-1][1] if rows else 0
        return self._latest


# What stands between a post and its answer goes to the driver's own cursor: SQLAlchemy's
# preparations would cost more than running it.


def _known(cursor: DBAPICursor, keys: Set[str]) -> dict[str, tuple[str, str]]:
    """Key → (incident id, state)."""
    cursor.execute(
        "SELECT k.key, i.id, i.state FROM incident_keys k JOIN incidents i "  # noqa: S608
        f"ON i.id = k.incident_id WHERE k.key IN ({', '.join('?' * len(keys))})",
        tuple(keys),
    )
    return {key: (incident_id, state) for key, incident_id, state in cursor.fetchall()}


def count(connection: Connection) -> int:
    """How many posts wait."""
    waiting: int = connection.execute(
        select(func.coalesce(func.sum(inbox.c.times), 0))
    ).scalar_one()
    return waiting
