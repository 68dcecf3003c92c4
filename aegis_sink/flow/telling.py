"""The stage `tell`: one root message per incident, kept true by edits.

The intent is written down before the post and the outcome after it. When a run finds an intent
without an outcome, the channel is searched for the message before anything is posted again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from aegis_sink.flow.digests import Digests, traffic
from aegis_sink.flow.muting import Muting
from aegis_sink.flow.worker import Done, Later, Outcome, back_off
from aegis_sink.model import Audience, DigestKind, Incident, Mute, NoticeReason, Posted, State
from aegis_sink.notify.errors import (
    MessageFrozen,
    MessageGone,
    NotifyRefused,
    NotifyUnavailable,
    OutcomeUnknown,
)
from aegis_sink.notify.notifier import Notifier
from aegis_sink.store import decisions, history, incidents, jobs, notices
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.decisions import Decided
from aegis_sink.store.jobs import Job
from aegis_sink.triage.matchers import labels
from aegis_sink.triage.routing import Route, Routes
from aegis_sink.triage.storm import Traffic, is_crowded
from aegis_sink.triage.tell import (
    Decision,
    Held,
    TellRules,
    decide,
    silence_is_over,
    what_is_told,
)

log = logging.getLogger(__name__)

REFUSED_LIMIT = timedelta(hours=1)
MODEL_PATIENCE = timedelta(seconds=30)
FOR_THE_MODEL = "waits for the model, because the message cannot be edited later"
CALLING = (NoticeReason.FIRST, NoticeReason.REOPENED, NoticeReason.REPEAT)


@dataclass(frozen=True, slots=True)
class Telling:
    """The stage `tell`. `link` gives an incident's address, `silence_link` that of what a silence
    of its like would hide, "" without a public address."""

    database: Database
    notifier: Notifier
    rules: TellRules
    routes: Routes
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    new_id: Callable[[], str]
    link: Callable[[str], str]
    silence_link: Callable[[str], str]
    muting: Muting
    digests: Digests

    async def tell(self, job: Job) -> Outcome:
        """Tell what should be told now, or bring the message up to date."""
        incident, root, mute, crowd = await self.database.read(
            lambda c: self._look(c, job.incident_id)
        )
        if incident is None or incident.id != job.incident_id:
            return Done()
        if mute != incident.mute:
            incident = await self.database.write(partial(self.muting.refresh, incident=incident))
        now = self.clock()
        if incident.state is State.SILENCED and silence_is_over(incident, now):
            incident = await self._wake(incident, now)
        incident = replace(
            incident, url=self.link(incident.id), silence_url=self.silence_link(incident.id)
        )
        route, rules = self.routes.of(labels(incident)), self._rules(incident)
        decision = decide(incident, now=now, rules=rules)
        if decision.reason is not None and root is None:
            decision = decide(incident, now=now, rules=rules, crowded=is_crowded(crowd))
        # It goes on as another incident: its message is brought to its end, nobody is told again.
        decided = () if incident.superseded_by else (_decided(decision, route, now),)
        if decision.digest is not None and not incident.superseded_by:
            join = partial(
                self._join,
                job=job,
                decided=decided,
                kind=decision.digest,
                channel=route.audience.channel,
                finished=root is None,
            )
            await self.database.write(join)
            if root is None:
                return Done(recorded=True)
        wait_until = decision.wait_until
        if decision.reason is not None and not incident.superseded_by:
            if patience := self._patience(incident, now):
                waits = Decision(None, FOR_THE_MODEL, patience, Held.WAITS)
                return Later(patience, decided=(_decided(waits, route, now),))
            try:
                await self._send(incident, decision.reason, root, _called(route, decision))
            except (NotifyUnavailable, OutcomeUnknown) as error:
                return await self._again(job, error, decided)
            except NotifyRefused as error:
                log.error("incident %s cannot be told: %s", incident.id, error)
                return await self._refused(job, error, decided)
            return await self._next(job, decided)
        if root is not None and root.ts and incident.notices and self.notifier.can_edit:
            try:
                edited = await self.notifier.edit(
                    incident, incident.notices[-1].reason, Posted(root.channel or "", root.ts)
                )
                await self._keep_refusal(incident, edited)
            except NotifyUnavailable as error:
                return await self._again(job, error, decided)
            except (MessageFrozen, MessageGone) as error:
                log.warning("incident %s: %s", incident.id, error)
            except NotifyRefused as error:
                log.error("the message of incident %s cannot be edited: %s", incident.id, error)
                return await self._refused(job, error, decided)
        return Done(decided=decided) if wait_until is None else Later(wait_until, decided=decided)

    async def _wake(self, incident: Incident, now: datetime) -> Incident:
        """The incident after its silence, however long ago that ended."""

        def wake(connection: Connection) -> Incident:
            incidents.wake(connection, incident, at=now, reason="its time is over")
            return incidents.get(connection, incident.id) or incident

        return await self.database.write(wake)

    def _look(
        self, connection: Connection, incident_id: str
    ) -> tuple[Incident | None, notices.Root | None, Mute | None, Traffic]:
        incident, root = _load(connection, incident_id)
        mute = self.muting.mute_of(connection, incident) if incident is not None else None
        return incident, root, mute, traffic(connection, self.clock())

    def _join(
        self,
        connection: Connection,
        job: Job,
        decided: tuple[Decided, ...],
        kind: DigestKind,
        channel: str,
        *,
        finished: bool,
    ) -> None:
        self.digests.join(connection, kind, job.incident_id, channel)
        for one in decided:
            decisions.keep(connection, job.incident_id, one)
        if finished:
            jobs.finish(connection, job, now=self.clock())

    async def _next(self, job: Job, decided: tuple[Decided, ...]) -> Outcome:
        """When to look again, after something was told."""
        incident, _ = await self.database.read(lambda c: _load(c, job.incident_id))
        if incident is None:
            return Done()
        now = self.clock()
        decision = decide(incident, now=now, rules=self._rules(incident))
        if decision.reason is not None:
            return Later(now, decided=decided)
        decided = (*decided, _decided(decision, self.routes.of(labels(incident)), now))
        if decision.wait_until is None:
            return Done(decided=decided)
        return Later(decision.wait_until, decided=decided)

    def _rules(self, incident: Incident) -> TellRules:
        route = self.routes.of(labels(incident))
        return replace(self.rules, repeat_interval=route.repeat_interval)

    def _patience(self, incident: Incident, now: datetime) -> datetime | None:
        """A message that cannot be edited waits a little for the model, so that it says why."""
        if self.notifier.can_edit or not incident.diagnosing or incident.notices:
            return None
        until = incident.first_seen + self.rules.group_wait + MODEL_PATIENCE
        return until if now < until else None

    async def _send(
        self, incident: Incident, reason: NoticeReason, root: notices.Root | None, to: Audience
    ) -> None:
        """Post or edit, add to the thread, and only then write the telling down: what fails on
        the way is done again, and all of it may be done twice but the root message.

        Whoever is mentioned is called by a new message only.
        """
        if root is None or root.ts is None:
            posted = await self._post_root(incident, reason, root, to)
            if posted is None:
                return
            await self._keep_refusal(incident, posted)
            if self.notifier.can_edit:
                await self.database.write(
                    partial(notices.root_posted, incident_id=incident.id, posted=posted)
                )
                await self._reply(incident, reason, posted)
            await self._told(incident, reason, posted, root=True)
            return
        posted = Posted(root.channel or "", root.ts)
        if not self.notifier.can_edit:
            posted = await self.notifier.post(incident, reason, nonce=self.new_id(), to=to)
            await self._keep_refusal(incident, posted)
        else:
            try:
                await self._edit_and_reply(incident, reason, posted, to.mentions)
            except MessageGone as error:
                # Somebody deleted it: they do not want it back.
                log.warning("incident %s: %s; not posted again", incident.id, error)
        await self._told(incident, reason, posted, root=False)

    async def _edit_and_reply(
        self, incident: Incident, reason: NoticeReason, posted: Posted, mentions: tuple[str, ...]
    ) -> None:
        frozen = False
        try:
            edited = await self.notifier.edit(incident, reason, posted)
            await self._keep_refusal(incident, edited)
        except MessageFrozen as error:
            log.warning("incident %s: %s; its thread says it", incident.id, error)
            frozen = True
        await self._reply(incident, reason, posted, mentions, whole=frozen)

    async def _reply(
        self,
        incident: Incident,
        reason: NoticeReason,
        posted: Posted,
        mentions: tuple[str, ...] = (),
        *,
        whole: bool = False,
    ) -> None:
        try:
            replied = await self.notifier.reply(
                incident, reason, posted, mentions=mentions, whole=whole
            )
            await self._keep_refusal(incident, replied)
        except OutcomeUnknown as error:
            log.warning("incident %s: %s; the thread may lack it", incident.id, error)

    async def _post_root(
        self, incident: Incident, reason: NoticeReason, root: notices.Root | None, to: Audience
    ) -> Posted | None:
        """The root message, found or posted; None when the incident is no longer one of its own."""
        if root is not None and root.intended_at is not None:
            # Where it was intended to go: the routes may have changed since.
            to = replace(to, channel=root.channel or "")
            found = await self.notifier.find(root.nonce, since=root.intended_at, channel=to.channel)
            if found is not None:
                log.info("incident %s had been posted before a crash", incident.id)
                return found
            nonce = root.nonce
        else:
            nonce = self.new_id()
            intend = partial(self._intend, incident.id, nonce, to.channel)
            if not await self.database.write(intend):
                return None
        return await self.notifier.post(incident, reason, nonce=nonce, to=to)

    def _intend(self, incident_id: str, nonce: str, channel: str, connection: Connection) -> bool:
        """Whether the root message may be posted now. Many are told side by side: who is one too
        many for people in a storm is found out here, one after the other."""
        now = self.clock()
        if is_crowded(traffic(connection, now)):
            return False
        return notices.intend_root(connection, incident_id, nonce, channel=channel, now=now)

    async def _told(
        self, incident: Incident, reason: NoticeReason, posted: Posted, *, root: bool
    ) -> None:
        notice = what_is_told(
            incident, reason, at=self.clock(), posted=posted, thread=self.notifier.can_edit
        )
        await self.database.write(lambda c: notices.told(c, incident.id, notice, root=root))
        log.info("incident %s told (%s): %s", incident.id, reason, incident.title)

    async def _refused(self, job: Job, error: NotifyRefused, decided: tuple[Decided, ...]) -> Later:
        """What somebody must set right: kept, and tried less and less, at least every hour."""
        now = self.clock()
        await self.database.write(
            lambda c: history.note_once(c, job.incident_id, now, "not told", str(error))
        )
        wait = back_off(job.attempts, jitter=self.jitter(), limit=REFUSED_LIMIT)
        return Later(now + wait, error=str(error), decided=decided)

    async def _keep_refusal(self, incident: Incident, posted: Posted) -> None:
        if posted.refusal:
            now, what = self.clock(), "told as plain text"
            await self.database.write(
                lambda c: history.note_once(c, incident.id, now, what, posted.refusal)
            )

    async def _again(
        self, job: Job, error: NotifyUnavailable | OutcomeUnknown, decided: tuple[Decided, ...]
    ) -> Later:
        """What is away for now: an attempt that failed stays in the history, one that was only
        asked to wait does not."""
        log.warning("incident %s is not told yet: %s", job.incident_id, error)
        now = self.clock()
        wait = back_off(job.attempts, jitter=self.jitter())
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            wait = max(wait, timedelta(seconds=asked))
        else:
            await self.database.write(
                lambda c: history.note_once(c, job.incident_id, now, "not told yet", str(error))
            )
        return Later(now + wait, error=str(error), decided=decided)


def _called(route: Route, decision: Decision) -> Audience:
    """Who is told, and mentioned only for what wants a hand."""
    calls = decision.reason in CALLING or decision.worse
    return route.audience if calls else replace(route.audience, mentions=())


def _decided(decision: Decision, route: Route, now: datetime) -> Decided:
    what = decision.reason or decision.held
    assert what is not None
    return Decided(now, jobs.TELL, what, decision.because, decision.wait_until, str(route))


def _load(connection: Connection, incident_id: str) -> tuple[Incident | None, notices.Root | None]:
    incident = incidents.get(connection, incident_id)
    if incident is None:
        return None, None
    return incident, notices.root_of(connection, incident.id)
