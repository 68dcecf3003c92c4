"""Buttons that people pressed: written down before Slack hears so, worked off afterwards."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select
from sqlalchemy.dialects.sqlite import insert

from aegis_sink.store import tables

_p = tables.presses.c
_insert = insert(tables.presses)


@dataclass(frozen=True, slots=True)
class Press:
    """One press. `answer` is what the person is to hear of it, None until it was worked off."""

    id: int
    at: datetime
    action: str
    user: str
    by: str
    response_url: str
    answer: str | None


def note_press(
    connection: Connection,
    *,
    key: str,
    incident_id: str,
    at: datetime,
    action: str,
    user: str,
    by: str,
    response_url: str,
) -> bool:
    """Write a press down; False when it is there already."""
    noted = connection.execute(
        _insert.on_conflict_do_nothing(index_elements=["key"]),
        {
            "key": key,
            "incident_id": incident_id,
            "at": at,
            "action": action,
            "user": user,
            "by": by,
            "response_url": response_url,
        },
    )
    return noted.rowcount == 1


def open_presses(connection: Connection, incident_id: str) -> tuple[Press, ...]:
    """Those of one incident that are not worked off or not answered yet, in their order."""
    rows = connection.execute(
        select(_p.id, _p.at, _p.action, _p.user, _p.by, _p.response_url, _p.answer)
        .where(_p.incident_id == incident_id, or_(_p.answer.is_(None), _p.response_url != ""))
        .order_by(_p.id)
    )
    return tuple(Press(*row) for row in rows)


def worked_off(connection: Connection, press: Press, answer: str) -> bool:
    """What a press led to, in the transaction that did it. False when that was done before."""
    done = connection.execute(
        tables.presses.update().where(_p.id == press.id, _p.answer.is_(None)).values(answer=answer)
    )
    return done.rowcount == 1


def answered(connection: Connection, press: Press) -> None:
    """The person was told, or cannot be told any more."""
    connection.execute(tables.presses.update().where(_p.id == press.id).values(response_url=""))
