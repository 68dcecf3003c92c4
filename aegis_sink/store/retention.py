"""What is dropped when its time is over."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from aegis_sink.model import State
from aegis_sink.store import quarantine
from aegis_sink.store.tables import (
    answers,
    deliveries,
    digests,
    incidents,
    presses,
    silences,
)


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many rows of each kind went."""

    deliveries: int
    incidents: int
    answers: int
    quarantined: int


def drop(connection: Connection, *, before: datetime, quarantine_max_bytes: int) -> Dropped:
    """Drop raw bodies, resolved incidents with their evidence, answers and quarantine of old.

    Incidents that are not resolved stay, however old.
    """
    i = incidents.c
    old = connection.execute(
        incidents.delete().where(i.state == State.RESOLVED, i.resolved_at < before)
    ).rowcount
    alive = select(i.id).where(i.merged_into.is_(None)).scalar_subquery()
    connection.execute(
        incidents.delete().where(i.merged_into.is_not(None), i.merged_into.not_in(alive))
    )
    connection.execute(presses.delete().where(presses.c.at < before))
    connection.execute(silences.delete().where(silences.c.ends_at < before))
    connection.execute(digests.delete().where(digests.c.told_at < before))
    return Dropped(
        deliveries=connection.execute(
            deliveries.delete().where(deliveries.c.received_at < before)
        ).rowcount,
        incidents=old,
        answers=connection.execute(answers.delete().where(answers.c.at < before)).rowcount,
        quarantined=quarantine.trim(connection, before=before, max_bytes=quarantine_max_bytes),
    )
