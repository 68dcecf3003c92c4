"""What people say of diagnoses: read for an incident, and all of it for evaluations."""

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from aegis_sink.model import Feedback
from aegis_sink.model.codec import diagnosis_from_json, diagnosis_to_json
from aegis_sink.store import tables

_f = tables.feedback.c
_insert = insert(tables.feedback)
_UPSERT = _insert.on_conflict_do_update(
    index_elements=["incident_id", "user"],
    set_={name: _insert.excluded[name] for name in ("by", "at", "right", "diagnosis")},
)


def store_feedback(connection: Connection, incident_id: str, feedback: Feedback) -> None:
    """Keep what a person says of an incident's diagnosis, in place of what they said before."""
    connection.execute(
        _UPSERT,
        {
            "incident_id": incident_id,
            "user": feedback.user,
            "by": feedback.by,
            "at": feedback.at,
            "right": feedback.right,
            "diagnosis": diagnosis_to_json(feedback.diagnosis),
        },
    )


def feedback_of(connection: Connection, incident_id: str) -> tuple[Feedback, ...]:
    """What was said of one incident's diagnosis, oldest first."""
    rows = connection.execute(
        select(_f.at, _f.by, _f.user, _f.right, _f.diagnosis)
        .where(_f.incident_id == incident_id)
        .order_by(_f.at, _f.user)
    )
    return tuple(
        Feedback(row.at, row.by, row.user, row.right, diagnosis_from_json(row.diagnosis))
        for row in rows
    )


def judged_incidents(connection: Connection) -> tuple[str, ...]:
    """The ids of all incidents of whose diagnosis somebody said something, the last word first.

    `store.incidents.get` gives each with its evidence, findings' texts and `feedback`.
    """
    rows = connection.execute(select(_f.incident_id).order_by(_f.at.desc(), _f.incident_id))
    return tuple(dict.fromkeys(rows.scalars()))
