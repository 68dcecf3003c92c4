"""What keeps incidents from being told, kept true: looked at again whenever one is told or changes.

A mute is written down with its incident, so that every list shows it, and said in the history
when it begins and ends. An incident that is muted no longer is collected anew: it was not asked
about meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis_sink.model import Incident, Mute, MuteKind
from aegis_sink.store import history, jobs, listing, mutes, silences
from aegis_sink.store.database import Connection
from aegis_sink.triage.inhibition import CHILD_LEAD
from aegis_sink.triage.matchers import labels, matches
from aegis_sink.triage.muting import Scope, mute_of
from aegis_sink.triage.silence import Silence

# Followers come in crowds; the message of the one they follow from is edited once for many.
EDIT_DELAY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Muting:
    """Says what mutes an incident now. All methods run inside a transaction of the store."""

    scope: Scope
    clock: Callable[[], datetime]

    def mute_of(self, connection: Connection, incident: Incident) -> Mute | None:
        """What mutes it at this moment; nothing is written."""
        now = self.clock()
        return mute_of(
            incident,
            now=now,
            scope=self.scope,
            silences=silences.not_ended(connection, now),
            parents=listing.open_ones(connection, parents_only=True),
        )

    def refresh(self, connection: Connection, incident: Incident) -> Incident:
        """The incident with what mutes it now, written down where that changed."""
        mute = self.mute_of(connection, incident)
        before = incident.mute
        if mute == before:
            return incident
        now = self.clock()
        mutes.store_mute(connection, incident.id, mute)
        if mute is None:
            history.note(connection, incident.id, now, "unmuted", "nothing mutes it any more")
            jobs.enqueue(connection, incident.id, jobs.COLLECT, now)
        elif before is None or (mute.kind, mute.by) != (before.kind, before.by):
            history.note(connection, incident.id, now, "muted", mute.because)
        # It may speak for these no more, or again.
        for follower in mutes.muted_by(connection, incident.id):
            jobs.enqueue(connection, follower, jobs.TELL, now)
        for one in (before, mute):
            if one is not None and one.kind is MuteKind.INCIDENT:
                jobs.enqueue(connection, one.by, jobs.TELL, now + EDIT_DELAY)
        return replace(incident, mute=mute)

    def parent_appeared(self, connection: Connection, parent: Incident) -> None:
        """It opened, or is back: what may follow from it is looked at again, told or not."""
        since = parent.began_at - CHILD_LEAD
        for incident_id in mutes.not_muted(connection, parent.cluster, since=since):
            if incident_id != parent.id:
                jobs.enqueue(connection, incident_id, jobs.TELL, self.clock())

    def silence_ended(self, connection: Connection, silence_id: str) -> None:
        """What it muted is looked at again."""
        for incident_id in mutes.muted_by(connection, silence_id):
            jobs.enqueue(connection, incident_id, jobs.TELL, self.clock())

    def silence_began(self, connection: Connection, silence: Silence) -> None:
        """What it fits is looked at again, so that lists and messages say so at once."""
        for incident in fitting(connection, silence):
            jobs.enqueue(connection, incident.id, jobs.TELL, max(self.clock(), silence.starts_at))


def fitting(connection: Connection, silence: Silence) -> tuple[Incident, ...]:
    """The open incidents that all matchers of a silence fit, oldest first."""
    return tuple(
        incident
        for incident in listing.open_ones(connection)
        if matches(silence.matchers, labels(incident))
    )
