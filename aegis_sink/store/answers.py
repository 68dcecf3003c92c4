"""What the model answered to which evidence, so that nobody asks twice."""

from datetime import datetime

from sqlalchemy import Connection, select

from aegis_sink.model import Diagnosis
from aegis_sink.model.codec import diagnosis_from_json, diagnosis_to_json
from aegis_sink.store import tables


def answer(connection: Connection, key: str, *, after: datetime) -> Diagnosis | None:
    """The model's answer to the same evidence, if it was asked after `after`."""
    a = tables.answers.c
    data = connection.execute(select(a.diagnosis).where(a.key == key, a.at > after)).scalar()
    return None if data is None else diagnosis_from_json(data)


def store_answer(connection: Connection, key: str, diagnosis: Diagnosis, *, at: datetime) -> None:
    """Keep the model's answer, so that nobody asks again."""
    connection.execute(tables.answers.delete().where(tables.answers.c.key == key))
    connection.execute(
        tables.answers.insert().values(key=key, at=at, diagnosis=diagnosis_to_json(diagnosis))
    )
