"""The stage `forward`: each telling of an incident also as an event for other systems.

It decides as `tell` does, from what was forwarded before, so that either goes on while the other is
away. An event is written down before it is sent and sent until the other side takes it, always
under the same id.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis_sink.flow.muting import Muting
from aegis_sink.flow.worker import BACK_OFF_LIMIT, Done, Later, Outcome, back_off
from aegis_sink.model import Incident, Notice, Posted
from aegis_sink.notify.errors import NotifyError, NotifyRefused
from aegis_sink.notify.notifier import Notifier
from aegis_sink.store import forwarded, incidents, jobs
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.jobs import Job
from aegis_sink.triage.tell import TellRules, decide, what_is_told

log = logging.getLogger(__name__)

REFUSED_LIMIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The stage `forward`. `link` gives an incident's page, "" without a public address."""

    database: Database
    notifier: Notifier
    rules: TellRules
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    new_id: Callable[[], str]
    link: Callable[[str], str]
    muting: Muting

    def beside(
        self, tell: Callable[[Job], Awaitable[Outcome]]
    ) -> Callable[[Job], Awaitable[Outcome]]:
        """The stage `tell`, which makes this one due first: what is to be told is to be forwarded."""

        async def both(job: Job) -> Outcome:
            now = self.clock()
            await self.database.write(lambda c: jobs.enqueue(c, job.incident_id, jobs.FORWARD, now))
            return await tell(job)

        return both

    async def forward(self, job: Job) -> Outcome:
        """Send what is to be said of the incident now."""
        incident, told, event = await self.database.read(lambda c: self._load(c, job.incident_id))
        if incident is None or incident.id != job.incident_id:
            return Done()
        now = self.clock()
        if event is None:
            decision = decide(replace(incident, notices=told), now=now, rules=self.rules)
            if decision.reason is None:
                return Done() if decision.wait_until is None else Later(decision.wait_until)
            posted = Posted(self.notifier.name)
            notice = what_is_told(incident, decision.reason, at=now, posted=posted)
            event_id = self.new_id()
            await self.database.write(
                lambda c: forwarded.intend(c, job.incident_id, event_id, notice)
            )
        else:
            event_id, notice = event
        incident = replace(incident, url=self.link(incident.id))
        try:
            await self.notifier.post(incident, notice.reason, nonce=event_id)
        except NotifyError as error:
            return self._again(job, error)
        await self.database.write(lambda c: forwarded.sent(c, event_id, at=self.clock()))
        log.info("incident %s forwarded (%s): %s", incident.id, notice.reason, incident.title)
        return Later(self.clock())  # for what changed meanwhile, and to know when to look again

    def _again(self, job: Job, error: NotifyError) -> Later:
        if isinstance(error, NotifyRefused):
            log.error("incident %s cannot be forwarded: %s", job.incident_id, error)
        else:
            log.warning("incident %s is not forwarded yet: %s", job.incident_id, error)
        limit = REFUSED_LIMIT if isinstance(error, NotifyRefused) else BACK_OFF_LIMIT
        wait = back_off(job.attempts, jitter=self.jitter(), limit=limit)
        wait = max(wait, timedelta(seconds=getattr(error, "retry_after", None) or 0))
        return Later(self.clock() + wait, error=str(error))

    def _load(
        self, connection: Connection, incident_id: str
    ) -> tuple[Incident | None, tuple[Notice, ...], tuple[str, Notice] | None]:
        incident = incidents.get(connection, incident_id)
        if incident is None:
            return None, (), None
        return (
            replace(incident, mute=self.muting.mute_of(connection, incident)),
            forwarded.forwarded(connection, incident.id),
            forwarded.unsent(connection, incident.id),
        )
