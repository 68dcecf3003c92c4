"""The end of an incident: what K8sGPT no longer reports, after a hold, when the objects agree.

K8sGPT never says that something is over. Its Result goes, and a failed analysis looks the same
(facts/k8sgpt.md §0.9). So an object that still looks ill keeps its incident open.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aegis_sink.cluster.client import KubernetesCluster, NoCluster
from aegis_sink.cluster.errors import ClusterUnavailable
from aegis_sink.cluster.health import Health
from aegis_sink.flow.worker import Done, Later, Outcome, back_off, lives
from aegis_sink.model import Incident, ObjectRef, State
from aegis_sink.store import endings, history, incidents, jobs
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.decisions import HELD, Decided
from aegis_sink.store.endings import Gone
from aegis_sink.store.jobs import Job

log = logging.getLogger(__name__)

VANISHED_LIMIT = timedelta(hours=1)
"""All Results of a K8sGPT CR vanished at once: after this the objects alone decide."""
VANISHED_HELD = "all Results of its K8sGPT CR vanished at once, which may be a failed analysis"
HIDDEN_LIMIT = timedelta(hours=1)
"""Another object took the Result: after this, this one counts as over. One whose incident has
nothing else is judged, and only then when it cannot be."""
UNREAD_LIMIT = timedelta(hours=1)
"""An object may not be read: after this K8sGPT's silence alone counts as its end."""
RECHECK = timedelta(minutes=5)
FALLING = 10
"""So many incidents that ended within the hold may be the beginning of all of them."""
MOST_JUDGED = 20
STILL_ILL = "still ill"


@dataclass(frozen=True, slots=True)
class Resolving:
    """The stage `resolve`."""

    database: Database
    cluster: KubernetesCluster | NoCluster
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    hold: timedelta

    async def resolve(self, job: Job) -> Outcome:
        """Resolve what is over; come again while that is not known."""
        now = self.clock()
        incident, gone = await self.database.read(
            lambda c: (
                incidents.get(c, job.incident_id),
                endings.gone(c, job.incident_id, since=now - self.hold),
            )
        )
        if not lives(incident, job) or gone is None:
            return Done()
        vanished = gone.how.startswith(endings.VANISHED)
        due = gone.at + (max(VANISHED_LIMIT, self.hold) if vanished else self.hold)
        if now < due:
            return self._held(due, VANISHED_HELD) if vanished else Later(due)
        if gone.falling >= FALLING and not vanished:
            because = "many incidents end at once, which may be a failed analysis"
            return self._held(now + self.hold, because)
        try:
            health = await self._judge(gone)
        except ClusterUnavailable as error:
            return Later(now + back_off(job.attempts + 3, jitter=self.jitter()), error=str(error))
        ill = [ref for ref, state in health.items() if state is Health.ILL]
        if ill:
            await self._still_ill(incident, gone, ill[0], now)
            return self._held(now + RECHECK, f"{ill[0]} does not look well")
        unread = [ref for ref, state in health.items() if state is Health.UNREAD]
        if unread and now < (limit := gone.at + UNREAD_LIMIT):
            because = f"{unread[0]} may not be read, so whether it is well is not known"
            return self._held(min(limit, now + RECHECK), because)
        if gone.how == endings.HIDDEN and Health.UNKNOWN in health.values():
            limit = gone.at + HIDDEN_LIMIT
            if now < limit:
                return self._held(limit, "another object took its Result, and it cannot be judged")
        await self.database.write(lambda c: self._resolve(c, incident.id, gone, health, now))
        return Done()

    def _held(self, until: datetime, because: str) -> Later:
        held = Decided(self.clock(), jobs.RESOLVE, HELD, because, until)
        return Later(until, decided=(held,))

    async def _judge(self, gone: Gone) -> dict[ObjectRef, Health]:
        """How the objects that showed it look, up to the first that is ill."""
        health: dict[ObjectRef, Health] = {}
        for ref in gone.objects[:MOST_JUDGED]:
            health[ref] = await self.cluster.health(ref)
            if health[ref] is Health.ILL:
                break
        return health

    async def _still_ill(
        self, incident: Incident, gone: Gone, ref: ObjectRef, now: datetime
    ) -> None:
        if any(h.what == STILL_ILL and h.at >= gone.at for h in incident.history):
            return
        why = f"K8sGPT no longer reports it, but {ref} does not look well: it stays open"
        log.info("incident %s: %s", incident.id, why)
        await self.database.write(lambda c: history.note(c, incident.id, now, STILL_ILL, why))

    def _resolve(
        self,
        connection: Connection,
        incident_id: str,
        seen: Gone,
        health: dict[ObjectRef, Health],
        now: datetime,
    ) -> None:
        gone = endings.gone(connection, incident_id, since=now - self.hold)
        if gone is None or gone.at != seen.at or not incidents.lives(connection, incident_id):
            return  # it came back while the cluster was asked
        told = [
            f"{ref} {'may not be read' if state is Health.UNREAD else f'is {state}'}"
            for ref, state in health.items()
            if state is not Health.UNKNOWN
        ]
        reason = "; ".join(["K8sGPT no longer reports it", *told[:3]])
        incidents.set_state(
            connection, incident_id, State.RESOLVED, at=now, what="resolved", reason=reason
        )
        jobs.enqueue(connection, incident_id, jobs.TELL, now)
