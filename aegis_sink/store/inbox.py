"""The inbox: the operator's bodies, on disk before anything is made of them.

One row a body is all that stands between a post and its 200. The row carries the fingerprint that
the body's words give, and the incident the sender was told of; everything else is made from the
body afterwards, in order.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

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
    """One row of the inbox."""

    id: int
    received_at: datetime
    incident_id: str
    body: bytes


@dataclass(slots=True)
class Inbox:
    """Writes posts down and hands them out again. Used on the database's writer thread only."""

    _new: dict[str, str] | None = None
    """Key → incident id of posts whose incident is not made yet; None: to be read again."""

    def forget(self) -> None:
        """A transaction was rolled back: what is remembered of it may be wrong."""
        self._new = None

    def note(self, connection: Connection, posts: Sequence[Post]) -> list[Noted]:
        """Write down all posts; for each, the incident it belongs to."""
        new = self._remembered(connection)
        unknown = {post.key for post in posts} - new.keys()
        known = _known(connection, unknown) if unknown else {}
        noted: list[Noted] = []
        rows: list[tuple[object, ...]] = []
        for post in posts:
            row = known.get(post.key)
            if row is not None:
                one = Noted(row[0], row[1] != State.RESOLVED)
            else:
                seen = new.get(post.key)
                one = Noted(seen or post.fresh_id, seen is not None)
                new[post.key] = one.incident_id
            noted.append(one)
            rows.append((microseconds(post.received_at), post.key, one.incident_id, post.body))
        mark = _mark(connection)
        cursor = connection.connection.cursor()
        cursor.executemany(
            "INSERT INTO inbox (received_at, key, incident_id, body) "  # noqa: S608 — only marks
            f"VALUES ({mark}, {mark}, {mark}, {mark})",
            rows,
        )
        cursor.close()
        return noted

    def waiting(self, connection: Connection, *, limit: int) -> tuple[Waiting, ...]:
        """The oldest rows, in the order they came."""
        rows = connection.execute(
            select(inbox.c.id, inbox.c.received_at, inbox.c.incident_id, inbox.c.body)
            .order_by(inbox.c.id)
            .limit(limit)
        )
        return tuple(Waiting(*row) for row in rows)

    def done(self, connection: Connection, *, up_to: int) -> None:
        """Everything up to this row was made into incidents."""
        new = self._remembered(connection)
        keys = connection.execute(select(inbox.c.key).where(inbox.c.id <= up_to)).scalars()
        for key in keys:
            new.pop(key, None)
        connection.execute(inbox.delete().where(inbox.c.id <= up_to))

    def _remembered(self, connection: Connection) -> dict[str, str]:
        if self._new is None:
            rows = connection.execute(select(inbox.c.key, inbox.c.incident_id).order_by(inbox.c.id))
            self._new = {}
            for key, incident_id in rows:
                self._new.setdefault(key, incident_id)
        return self._new


# The two statements between a post and its answer go to the driver's own cursor: SQLAlchemy's
# preparations would cost more than running them.


def _known(connection: Connection, keys: Set[str]) -> dict[str, tuple[str, str]]:
    """Key → (incident id, state)."""
    mark = _mark(connection)
    cursor = connection.connection.cursor()
    cursor.execute(
        "SELECT k.key, i.id, i.state FROM incident_keys k JOIN incidents i "  # noqa: S608
        f"ON i.id = k.incident_id WHERE k.key IN ({', '.join([mark] * len(keys))})",
        tuple(keys),
    )
    known = {key: (incident_id, state) for key, incident_id, state in cursor.fetchall()}
    cursor.close()
    return known


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


def count(connection: Connection) -> int:
    """How many bodies wait."""
    return connection.execute(select(func.count()).select_from(inbox)).scalar_one()
