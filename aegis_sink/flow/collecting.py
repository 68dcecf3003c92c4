"""The stage `collect`: findings are completed, the owner found, evidence read, the playbooks asked.
And `recheck`: a post that says nothing new is only compared with its Result.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis_sink.cluster.client import KubernetesCluster, NoCluster
from aegis_sink.cluster.errors import ClusterError, ClusterUnavailable
from aegis_sink.diagnosis.assess import Assessment
from aegis_sink.diagnosis.case import Case
from aegis_sink.flow.diagnosing import STORM_LOOK, Assessing
from aegis_sink.flow.digests import traffic
from aegis_sink.flow.grouping import Lead, Relations, lead_of, relations
from aegis_sink.flow.muting import Muting
from aegis_sink.flow.worker import Done, Later, Outcome, back_off
from aegis_sink.model import Collected, Diagnosis, Finding, OwnerChain
from aegis_sink.model.facts import Facts
from aegis_sink.store import decisions, incidents, jobs, merging, mutes, notices
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.decisions import Decided
from aegis_sink.store.incidents import StoredFinding
from aegis_sink.store.jobs import Job
from aegis_sink.store.merging import Identity
from aegis_sink.triage.fingerprint import failure_class, fingerprint
from aegis_sink.triage.grouping import FROM_OUTSIDE, LEADING
from aegis_sink.triage.inhibition import may_mute
from aegis_sink.triage.severity import severity, worst
from aegis_sink.triage.storm import is_storm
from aegis_sink.triage.subject import subject_from_name
from aegis_sink.triage.tell import FOR_MORE_FINDINGS, Held
from aegis_sink.triage.title import title

log = logging.getLogger(__name__)

MOST_COMPLETIONS = 50
OLD_EVIDENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Collecting:
    """Makes of findings an incident with evidence. `no_model` says why none is asked, "" where one is."""

    database: Database
    cluster: KubernetesCluster | NoCluster
    assess: Assessing
    no_model: str
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    redact: Callable[[str], str]
    group_wait: timedelta
    muting: Muting

    async def collect(self, job: Job) -> Outcome:
        """Complete the findings, find the owner, fetch evidence, and answer from the playbooks."""
        lives, stored, before = await self.database.read(
            lambda c: (
                incidents.lives(c, job.incident_id),
                incidents.findings_of(c, job.incident_id),
                incidents.collected_at(c, job.incident_id),
            )
        )
        if not lives or not stored:
            return Done()
        stored = tuple(incidents.still_said(stored))
        completed, lacks, unavailable = await self._completed(stored, before)
        lead = lead_of(completed)
        first = lead.finding
        owners, away = await self._owners(first)
        unavailable = unavailable or away
        identity = _identity(lead, owners, completed)
        news = _news(stored, completed)
        current = await self.database.write(
            lambda c: self._identify(c, job.incident_id, identity, news)
        )
        if current != job.incident_id:
            return Done()
        if await self._joined(job.incident_id, lead, owners):
            return Done()

        collected = await self.cluster.collect(first, owners)
        collected = replace(collected, missing=(*collected.missing, *lacks))
        facts = tuple(e.facts for e in collected.evidence if isinstance(e.facts, LEADING))
        looks_again = facts or first.object.resource_kind in FROM_OUTSIDE
        if looks_again and await self._joined(job.incident_id, lead, owners, facts):
            return Done()
        case = Case(first.cluster, owners.subject, tuple(completed), collected)
        assessment = await self.assess(case)
        ask = assessment.ask and not self.no_model
        diagnosis = self._without_model(assessment)
        now = self.clock()
        if before is None:
            log.info(
                "incident %s opened (%s): %s", job.incident_id, identity.severity, identity.title
            )
        await self.database.write(
            lambda c: self._store_collected(
                c, job, collected, diagnosis, now, ask, finished=not unavailable
            )
        )
        if unavailable:
            return Later(now + back_off(job.attempts + 3, jitter=self.jitter()), error=unavailable)
        return Done(recorded=True)

    async def recheck(self, job: Job) -> Outcome:
        """K8sGPT posted again what is known, in a body without error texts: the cluster is read
        anew only when its Result says something else now, or the evidence is old.

        The operator posts at each analysis where a sink has only a Secret (facts/k8sgpt.md §0.6).
        """
        lives, stored, before = await self.database.read(
            lambda c: (
                incidents.lives(c, job.incident_id),
                incidents.findings_of(c, job.incident_id),
                incidents.collected_at(c, job.incident_id),
            )
        )
        if not lives or before is None:
            return Done()  # over, or still to be collected
        stored = tuple(incidents.still_said(stored))
        completed, _, unavailable = await self._completed(stored, before)
        now = self.clock()
        said = {error for item in stored for error in item.finding.errors}
        says = {error for finding in completed for error in finding.errors}
        news = _news(stored, completed)

        def write(connection: Connection) -> None:
            for finding_id, finding in news:
                incidents.store_finding(connection, finding_id, finding)
            if says != said or now - before >= OLD_EVIDENCE:
                jobs.enqueue(connection, job.incident_id, jobs.COLLECT, now)

        await self.database.write(write)
        if unavailable:
            return Later(now + back_off(job.attempts + 3, jitter=self.jitter()), error=unavailable)
        return Done()

    async def _joined(
        self,
        incident_id: str,
        lead: Lead,
        owners: OwnerChain,
        facts: tuple[Facts, ...] | None = None,
    ) -> bool:
        """Whether it became part of the incident of the same workload, which is collected anew."""

        def look(connection: Connection) -> Relations:
            return relations(connection, incident_id, lead, owners, now=self.clock(), facts=facts)

        def run(connection: Connection) -> bool:
            found, now = look(connection), self.clock()
            for other in found.shown_by:
                jobs.enqueue(connection, other, jobs.COLLECT, now)
            if found.joins is None:
                return False
            into, because = found.joins.incident.id, found.joins.because
            if found.told:
                merging.fold(connection, incident_id, into, now=now, because=because)
                jobs.enqueue(connection, incident_id, jobs.TELL, now)
            else:
                merging.merge(connection, incident_id, into, because=because)
            jobs.enqueue(connection, into, jobs.COLLECT, now)
            return True

        # Most incidents have nothing to do with others, and reading holds nobody up.
        return bool(await self.database.read(look)) and await self.database.write(run)

    async def _completed(
        self, stored: Sequence[StoredFinding], before: datetime | None
    ) -> tuple[list[Finding], tuple[str, ...], str]:
        """(findings with the error texts of their Results, what lacks, why to come again or "").

        Results are asked again of what was seen since `before`. Findings of one incident say the
        same, so of thousands only the first are asked.
        """
        unavailable = ""
        lacks: dict[str, None] = {}
        asked = 0
        completed: list[Finding] = []
        for item in stored:
            finding = item.finding
            due = before is None or item.last_seen >= before or not finding.completed
            if finding.needs_completion and due and asked < MOST_COMPLETIONS and not unavailable:
                asked += 1
                try:
                    finding = await self._complete(finding)
                except ClusterUnavailable as error:
                    unavailable = str(error)
                except ClusterError as error:
                    lacks[f"the Result was not read: {error}"] = None
            completed.append(finding)
        return completed, tuple(lacks), unavailable

    async def _complete(self, finding: Finding) -> Finding:
        completed = await self.cluster.complete(finding)
        if not completed.errors:
            return finding
        return replace(
            completed,
            errors=tuple(self.redact(error) for error in completed.errors),
            details=self.redact(completed.details) if completed.details else finding.details,
            completed=True,
        )

    async def _owners(self, finding: Finding) -> tuple[OwnerChain, str]:
        """The owners, by the name alone where the cluster is away, and why it is."""
        try:
            return await self.cluster.owners(finding, subject_from_name), ""
        except ClusterUnavailable as error:
            log.info("owner of %s told by its name: %s", finding.object, error)
            return subject_from_name(finding.object), str(error)

    def _without_model(self, assessment: Assessment) -> Diagnosis:
        diagnosis = assessment.diagnosis
        if assessment.ask and self.no_model:
            return replace(diagnosis, model_note=self.no_model)
        return diagnosis

    def _identify(
        self,
        connection: Connection,
        incident_id: str,
        identity: Identity,
        news: Sequence[tuple[int, Finding]],
    ) -> str | None:
        for finding_id, finding in news:
            incidents.store_finding(connection, finding_id, finding)
        was_parent = mutes.may_mute(connection, incident_id)
        current = merging.identify(connection, incident_id, identity)
        if identity.may_mute and not was_parent and current == incident_id:
            parent = incidents.get(connection, incident_id)
            assert parent is not None
            self.muting.parent_appeared(connection, parent)
        if current is not None and current != incident_id:
            # The other incident has a new object; what it says about itself may change.
            jobs.enqueue(connection, current, jobs.TELL, self.clock())
            if notices.root_of(connection, incident_id) is not None:
                jobs.enqueue(connection, incident_id, jobs.TELL, self.clock())
        return current

    def _store_collected(
        self,
        connection: Connection,
        job: Job,
        collected: Collected,
        diagnosis: Diagnosis,
        now: datetime,
        ask: bool,
        *,
        finished: bool,
    ) -> None:
        incident_id = job.incident_id
        if finished:
            jobs.finish(connection, job, now=now)
        incident = incidents.get(connection, incident_id)
        if incident is None or not incidents.lives(connection, incident_id):
            return  # dropped, merged or over since the cluster was read
        incident = self.muting.refresh(connection, replace(incident, evidence=collected.evidence))
        ask = ask and incident.mute is None
        incidents.store_collected(
            connection, incident_id, collected, diagnosis, now=now, diagnosing=ask
        )
        wait = timedelta(0) if incident.notices else self.group_wait
        tell_at = max(now, incident.first_seen + wait)
        jobs.enqueue(connection, incident_id, jobs.TELL, tell_at)
        if tell_at > now:
            waits = Decided(now, jobs.TELL, Held.WAITS, FOR_MORE_FINDINGS, tell_at)
            decisions.keep(connection, incident_id, waits)
        if ask:
            # In a storm only what is told alone is asked about, which is not known before.
            crowd = is_storm(traffic(connection, now))
            ask_at = tell_at + STORM_LOOK if crowd and not incident.notices else now
            jobs.enqueue(connection, incident_id, jobs.DIAGNOSE, ask_at)


def _news(
    stored: Sequence[StoredFinding], completed: Sequence[Finding]
) -> list[tuple[int, Finding]]:
    """(row, finding) of those of which their Results say more than is stored."""
    pairs = zip(stored, completed, strict=True)
    return [(item.id, finding) for item, finding in pairs if finding != item.finding]


def _identity(lead: Lead, owners: OwnerChain, findings: Sequence[Finding]) -> Identity:
    """The lead names it; how bad it is the worst of all findings says, symptoms too."""
    first, errors = lead.finding, lead.errors
    what = failure_class(first.object.kind, errors)
    return Identity(
        subject=owners.subject,
        subject_how=owners.how,
        failure_class=what,
        fingerprint=fingerprint(first.cluster, owners.subject, what),
        severity=worst(severity(finding.object, finding.errors) for finding in findings),
        title=title(owners.subject, errors),
        may_mute=may_mute(owners.subject, errors),
    )
