"""`aegis-sink incidents --feedback`: what people say of diagnoses."""

from rich.table import Table

from aegis_sink.commands.terminal import out, print_json, print_table, read_store
from aegis_sink.model import Incident
from aegis_sink.model.codec import feedback_to_json, incident_summary
from aegis_sink.store import incidents
from aegis_sink.store.database import Connection
from aegis_sink.store.feedback import judged_incidents


def show_feedback(*, limit: int, as_json: bool) -> None:
    """The incidents whose diagnosis somebody judged, the last word first."""
    judged = read_store(lambda c: _judged(c, limit))
    if as_json:
        shown = [
            {**incident_summary(one), "feedback": [feedback_to_json(f) for f in one.feedback]}
            for one in judged
        ]
        print_json({"incidents": shown})
        return
    if not judged:
        out.print("nobody has said anything of a diagnosis yet")
        return
    table = Table("id", "said", "by", "at", "of", "what", box=None)
    for one in judged:
        for word in reversed(one.feedback):
            at = word.at.astimezone().strftime("%d %b %H:%M")
            cause = word.diagnosis.cause_id or word.diagnosis.verdict
            said = "right" if word.right else "wrong"
            table.add_row(one.id, said, word.by, at, cause, one.title)
    print_table(table)


def _judged(connection: Connection, limit: int) -> list[Incident]:
    found = (incidents.get(connection, i) for i in judged_incidents(connection)[:limit])
    return [one for one in found if one is not None]
