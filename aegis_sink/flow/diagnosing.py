"""The stage `diagnose`: the model is asked, once for the same evidence."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis_sink.diagnosis.assess import Assessment, assess
from aegis_sink.diagnosis.case import Case
from aegis_sink.diagnosis.diagnoser import Diagnoser
from aegis_sink.diagnosis.errors import AnswerInvalid, ModelRefused, ModelUnavailable
from aegis_sink.diagnosis.playbooks import Playbooks
from aegis_sink.flow.digests import spare_the_model, traffic
from aegis_sink.flow.worker import Done, Later, Outcome, back_off, lives
from aegis_sink.model import Collected, Diagnosis, Incident, OwnerChain
from aegis_sink.store import answers, digests, history, incidents, jobs, notices
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.jobs import Job
from aegis_sink.triage.storm import asked_enough, is_storm

log = logging.getLogger(__name__)

ANSWER_WINDOW = timedelta(hours=24)
MODEL_REFUSED_WAIT = timedelta(minutes=5)
MODEL_AWAY_LIMIT = timedelta(minutes=10)
STORM_WAIT = timedelta(minutes=1)
STORM_LOOK = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Assessing:
    """What the playbooks say of a case, and whether a model should be asked."""

    playbooks: Playbooks
    always_ask: bool = False

    async def __call__(self, case: Case) -> Assessment:
        """On a thread: all patterns on all lines of a log take up to a second, and posts must not
        wait behind them.
        """
        return await asyncio.to_thread(assess, case, self.playbooks, always_ask=self.always_ask)


@dataclass(frozen=True, slots=True)
class Diagnosing:
    """Asks the model, or keeps the playbooks' answer and says why."""

    database: Database
    assess: Assessing
    diagnoser: Diagnoser | None
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    redact: Callable[[str], str]

    async def diagnose(self, job: Job) -> Outcome:
        """Ask the model, once for the same evidence; without it the playbooks' answer stays."""
        incident, stored, collected_at = await self.database.read(
            lambda c: (
                incidents.get(c, job.incident_id),
                incidents.findings_of(c, job.incident_id),
                incidents.collected_at(c, job.incident_id),
            )
        )
        if not lives(incident, job) or self.diagnoser is None:
            return Done()
        if incident.mute is not None:
            return Done()  # nobody is told; it is collected anew when it is told again
        if (outcome := await self._in_a_storm(incident)) is not None:
            return outcome
        case = Case(
            incident.cluster,
            incident.subject,
            tuple(item.finding for item in incidents.still_said(stored)),
            Collected(
                incident.evidence,
                incident.missing,
                OwnerChain((incident.subject,), "as found before"),
            ),
        )
        assessment = await self.assess(case)
        if not assessment.ask:
            return Done()
        key = f"{incident.fingerprint}:{self.diagnoser.key(assessment)}"
        after = self.clock() - ANSWER_WINDOW
        known = await self.database.read(lambda c: answers.answer(c, key, after=after))
        if known is not None and known.model:
            await self._diagnosed(job.incident_id, known, of=collected_at)
            return Done()
        if known is not None:
            await self._not_answered(incident, assessment, known.model_note, of=collected_at)
            return Done()
        try:
            diagnosis = await self.diagnoser.ask(case, assessment)
        except ModelUnavailable as error:
            note = f"the model did not answer: {error}"
            await self._not_answered(incident, assessment, note, of=collected_at)
            wait = min(back_off(job.attempts + 3, jitter=self.jitter()), MODEL_AWAY_LIMIT)
            return Later(self.clock() + wait, error=str(error))
        except ModelRefused as error:
            note = f"the model did not answer: {error}"
            await self._not_answered(incident, assessment, note, of=collected_at)
            return Later(self.clock() + MODEL_REFUSED_WAIT, error=str(error))
        except AnswerInvalid as error:
            # The same question gets the same answer, so this one is kept too.
            note = self.redact(f"the model's answer could not be used: {error}")
            told, now = replace(assessment.diagnosis, model_note=note), self.clock()
            await self.database.write(lambda c: answers.store_answer(c, key, told, at=now))
            await self._not_answered(incident, assessment, note, of=collected_at)
            return Done()
        now = self.clock()
        await self.database.write(lambda c: answers.store_answer(c, key, diagnosis, at=now))
        await self._diagnosed(job.incident_id, diagnosis, of=collected_at)
        return Done()

    async def _in_a_storm(self, incident: Incident) -> Outcome | None:
        """Who is asked about when more appears than a model can be asked about; None: this one."""
        now = self.clock()
        crowd, alone, with_others = await self.database.read(
            lambda c: (
                traffic(c, now),
                notices.root_of(c, incident.id) is not None,
                digests.is_member(c, incident.id),
            )
        )
        if not is_storm(crowd):
            return None
        if alone:
            return Later(now + STORM_WAIT) if asked_enough(crowd) else None
        if not with_others:
            return Later(now + STORM_LOOK)  # not told yet: alone or with others
        await self.database.write(lambda c: spare_the_model(c, incident.id))
        return Done()

    async def _not_answered(
        self, incident: Incident, assessment: Assessment, note: str, *, of: datetime | None
    ) -> None:
        note = self.redact(
            note
        )  # a model's server may repeat what it was asked, or its own secrets
        diagnosis = replace(assessment.diagnosis, model_note=note)
        told = incident.diagnosis.model_note if incident.diagnosis else ""
        if told.startswith(note.partition(":")[0]) and not incident.diagnosing:
            return  # said already; each further try would only word the same differently
        log.warning("incident %s: %s", incident.id, note)
        now = self.clock()

        def write(connection: Connection) -> None:
            if not incidents.store_diagnosis(connection, incident.id, diagnosis, of=of):
                return
            if incident.diagnosing:
                history.note(connection, incident.id, now, "not diagnosed by the model", note)
            jobs.enqueue(connection, incident.id, jobs.TELL, now)

        await self.database.write(write)

    async def _diagnosed(
        self, incident_id: str, diagnosis: Diagnosis, *, of: datetime | None
    ) -> None:
        now = self.clock()

        def write(connection: Connection) -> None:
            if not incidents.store_diagnosis(connection, incident_id, diagnosis, of=of):
                return  # newer evidence came while the model thought: it is asked about that next
            history.note(connection, incident_id, now, "diagnosed", diagnosis.model)
            jobs.enqueue(connection, incident_id, jobs.TELL, now)

        await self.database.write(write)
