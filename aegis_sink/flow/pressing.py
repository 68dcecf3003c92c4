"""Buttons: a press is written down, and the stage `press` does what it asks for and answers.

What a press does and that it was done are one transaction, so that a kill at any point neither
loses nor repeats it. The person who pressed hears of it afterwards, for as long as Slack takes it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from aegis_sink.flow import acts
from aegis_sink.flow.acts import Acted, Person
from aegis_sink.flow.worker import Done, Later, Outcome, back_off
from aegis_sink.model import Incident
from aegis_sink.notify.actions import Action
from aegis_sink.notify.answers import PrivateAnswers
from aegis_sink.notify.buttons import ActionKind
from aegis_sink.notify.errors import NotifyError, NotifyRefused, NotifyUnavailable
from aegis_sink.notify.people import People
from aegis_sink.store import incidents, jobs, presses
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.jobs import Job
from aegis_sink.store.presses import Press

log = logging.getLogger(__name__)

ANSWERS_LIVE = timedelta(minutes=30)
"""How long Slack takes an answer to a press (docs.slack.dev, `response_url`)."""
ASK_WHO = timedelta(minutes=30)
"""How long Slack is asked who is in a group before a press is dropped."""

UNKNOWN = "AEGIS Sink does not know this incident any more: it is older than AEGIS_RETENTION."
NOT_ALLOWED = (
    "You are not among those who may do this (AEGIS_SLACK_ALLOWED_USERS, "
    "AEGIS_SLACK_ALLOWED_GROUPS). Nothing was done."
)
NOT_ASKED = "Slack did not say whether you may do this, so nothing was done. Try again."


class Act(Protocol):
    """What a button does, in a transaction."""

    def __call__(
        self, c: Connection, incident: Incident, person: Person, *, at: datetime
    ) -> Acted: ...


ACTS: dict[ActionKind, Act] = {
    ActionKind.ACKNOWLEDGE: acts.acknowledge,
    ActionKind.SILENCE_HOUR: partial(acts.silence, length=timedelta(hours=1)),
    ActionKind.SILENCE_DAY: partial(acts.silence, length=timedelta(days=1)),
    ActionKind.SILENCE_UNTIL_RESOLVED: partial(acts.silence, length=None),
    ActionKind.END_SILENCE: acts.end_silence,
    ActionKind.DIAGNOSE_AGAIN: acts.diagnose_again,
    ActionKind.RESOLVE: acts.resolve,
    ActionKind.RIGHT: partial(acts.judge, right=True),
    ActionKind.WRONG: partial(acts.judge, right=False),
}


@dataclass(frozen=True, slots=True)
class Pressing:
    """Keeps presses, and is the stage `press`."""

    database: Database
    people: People
    answers: PrivateAnswers
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    wake: Callable[[], None]

    async def keep(self, action: Action) -> str:
        """Write the press down; words for the person when there is nothing to do it to."""
        now = self.clock()

        def write(connection: Connection) -> bool:
            current = incidents.resolve_id(connection, action.incident_id)
            if current is None:
                return False
            presses.note_press(
                connection,
                key=action.key,
                incident_id=current,
                at=now,
                action=action.kind,
                user=action.user_id,
                by=action.user_name,
                response_url=action.response_url,
            )
            jobs.enqueue(connection, current, jobs.PRESS, now)
            return True

        if not await self.database.write(write):
            return UNKNOWN
        self.wake()
        return ""

    async def press(self, job: Job) -> Outcome:
        """Work off the presses of an incident in their order, then answer those who pressed."""
        waiting = await self._open(job.incident_id)
        trouble: NotifyUnavailable | None = None
        for press in waiting:
            if press.answer is None:
                try:
                    await self._work_off(job.incident_id, press)
                except NotifyUnavailable as error:
                    trouble = error
                    break  # those behind it come after it
        done = [press for press in await self._open(job.incident_id) if press.answer is not None]
        for untold in await asyncio.gather(*map(self._answer, done)):
            trouble = trouble or untold
        if trouble is None:
            return Done()
        wait = back_off(job.attempts, jitter=self.jitter())
        wait = max(wait, timedelta(seconds=trouble.retry_after or 0))
        return Later(self.clock() + wait, error=str(trouble))

    async def _open(self, incident_id: str) -> tuple[Press, ...]:
        return await self.database.read(lambda c: presses.open_presses(c, incident_id))

    async def _work_off(self, incident_id: str, press: Press) -> None:
        """NotifyUnavailable: it must wait, because it is not known who may press."""
        refusal = await self._refusal(press)

        def write(connection: Connection) -> str:
            incident = incidents.get(connection, incident_id)
            assert incident is not None  # its presses would be gone with it
            words = refusal or self._do(connection, incident, press)
            presses.worked_off(connection, press, words)
            return words

        words = await self.database.write(write)
        log.info("%s pressed %s on incident %s: %s", press.by, press.action, incident_id, words)
        self.wake()

    def _do(self, connection: Connection, incident: Incident, press: Press) -> str:
        act = ACTS[ActionKind(press.action)]
        return act(connection, incident, Person(press.by, press.user), at=press.at).words

    async def _refusal(self, press: Press) -> str:
        """Why this person may not act; "" when they may."""
        try:
            allowed = await self.people.may_press(press.user)
        except NotifyRefused as error:
            log.error("nobody can be let press: %s", error)
            return NOT_ASKED
        except NotifyError as error:
            if self.clock() - press.at < ASK_WHO:
                raise NotifyUnavailable(str(error)) from None
            return NOT_ASKED
        return "" if allowed else NOT_ALLOWED

    async def _answer(self, press: Press) -> NotifyUnavailable | None:
        """Tell the person; what to try again for."""
        if self.clock() - press.at < ANSWERS_LIVE:
            try:
                await self.answers.tell(press.response_url, press.answer or "")
            except NotifyUnavailable as error:
                return error
            except NotifyError as error:
                log.warning("%s was not told %r: %s", press.by, press.answer, error)
        await self.database.write(lambda c: presses.answered(c, press))
        return None
