"""From the door to the disk: what a body becomes before the answer leaves."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from aegis_sink.dialects.table import Recognised, read
from aegis_sink.flow.inbox import Sorting
from aegis_sink.intake.receipt import CannotStore, Receipt, ReceiptItem, Status
from aegis_sink.intake.webhook import DOOR as WEBHOOK
from aegis_sink.model import Finding, Incident, State
from aegis_sink.store import quarantine
from aegis_sink.store.accept import Accepted, Arrival, Sighting, accept
from aegis_sink.store.database import Connection, Database
from aegis_sink.store.errors import StoreBusy, StoreError
from aegis_sink.store.inbox import Post, Waiting
from aegis_sink.triage.fingerprint import failure_class, fingerprint
from aegis_sink.triage.severity import severity
from aegis_sink.triage.subject import subject_from_name
from aegis_sink.triage.title import title

BUSY_RETRY_SECONDS = 1
MANY_FINDINGS = 100  # redacting and naming as many takes some milliseconds
DOWN_RETRY_SECONDS = 5


@dataclass(slots=True)
class Door:
    """Accepts understood bodies and quarantines the others; both return once it is on disk."""

    database: Database
    redact: Callable[[str], str]
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    resolve_hold: timedelta
    wake: Callable[[], None]
    cluster: str
    quarantine_max_bytes: int
    sorting: Sorting = field(init=False)

    def __post_init__(self) -> None:
        self.sorting = Sorting(self.database, self._from_inbox, self.wake, self.new_id)

    async def post(self, raw: bytes, recognised: Recognised, *, door: str) -> Receipt:
        """Write the operator's body down and answer; incidents are made of it right after.

        CannotStore when nothing was stored.
        """
        findings = recognised.findings
        if len(findings) != 1 or findings[0].gone:
            return await self.accept(raw, recognised, door=door)
        finding = findings[0]
        key = _key(finding)
        try:
            noted = await self.sorting.note(Post(self.clock(), key, self.new_id(), raw))
        except StoreError as error:
            raise _cannot(error) from error
        return Receipt(
            Status.DUPLICATE if noted.duplicate else Status.ACCEPTED,
            noted.incident_id,
            (ReceiptItem(noted.incident_id, not noted.duplicate),),
        )

    async def accept(
        self, raw: bytes, recognised: Recognised, *, door: str, force: bool = False
    ) -> Receipt:
        """Store a body and make incidents of it before the answer; CannotStore when nothing was."""
        arrive = partial(self._arrival, raw, recognised, door=door, force=force)
        many = len(recognised.findings) > MANY_FINDINGS
        arrival = await asyncio.to_thread(arrive) if many else arrive()

        def write(connection: Connection) -> tuple[int, tuple[Accepted, ...]]:
            # What came before goes first, or one problem could become two incidents.
            return self.sorting.drain(connection), accept(connection, [arrival])[0]

        try:
            drained, outcome = await self.database.write(write)
        except StoreError as error:
            raise _cannot(error) from error
        self.sorting.made(drained)
        self.wake()
        items = tuple(
            ReceiptItem(one.incident_id, one.created) for one in outcome if one.incident_id
        )
        duplicate = bool(outcome) and all(one.duplicate for one in outcome)
        return Receipt(
            Status.DUPLICATE if duplicate else Status.ACCEPTED,
            items[0].incident_id if items else "",
            items,
        )

    async def quarantine(self, raw: bytes, reason: str, *, door: str) -> Receipt:
        """Keep a body that was not understood; CannotStore when it could not be kept."""
        item_id, at = self.new_id(), self.clock()
        reason = self.redact(reason)

        def write(connection: Connection) -> None:
            quarantine.put(connection, id=item_id, at=at, door=door, reason=reason, body=raw)
            # At once: one broken sender could fill the disk before retention looks again.
            quarantine.fit(connection, max_bytes=self.quarantine_max_bytes)

        try:
            await self.database.write(write)
        except StoreError as error:
            raise _cannot(error) from error
        return Receipt(Status.QUARANTINED, item_id)

    def _from_inbox(self, row: Waiting) -> Arrival:
        """A body that was understood when it came, read again."""
        recognised = read(row.body, cluster=self.cluster)
        return Arrival(
            delivery_id=self.new_id(),
            received_at=row.received_at,
            door=WEBHOOK,
            dialect=recognised.dialect,
            body=row.body,
            sightings=tuple(
                sighting(
                    finding, redact=self.redact, now=row.received_at, incident_id=row.incident_id
                )
                for finding in recognised.findings
            ),
            hold=self.resolve_hold,
            times=row.times,
            last_received_at=row.last_received_at,
        )

    def _arrival(self, raw: bytes, recognised: Recognised, *, door: str, force: bool) -> Arrival:
        now = self.clock()
        return Arrival(
            delivery_id=self.new_id(),
            received_at=now,
            door=door,
            dialect=recognised.dialect,
            body=raw,
            sightings=tuple(
                sighting(finding, redact=self.redact, now=now, incident_id=self.new_id())
                for finding in recognised.findings
            ),
            force=force,
            hold=self.resolve_hold,
        )


def sighting(
    finding: Finding, *, redact: Callable[[str], str], now: datetime, incident_id: str
) -> Sighting:
    """A finding as the store takes it: redacted, with the fingerprint that its words alone give."""
    raw_class = failure_class(finding.object.kind, finding.errors)
    key, content_key = provisional_key(finding, raw_class), _content_key(finding, raw_class)
    finding = replace(
        finding,
        errors=tuple(redact(error) for error in finding.errors),
        details=redact(finding.details) if finding.details else "",
    )
    owners = subject_from_name(finding.object)
    what = failure_class(finding.object.kind, finding.errors)
    return Sighting(
        finding=finding,
        key=key,
        content_key=content_key,
        subject_how=owners.how,
        blank=Incident(
            id=incident_id,
            cluster=finding.cluster,
            state=State.OPEN,
            severity=severity(finding.object, finding.errors),
            title=title(owners.subject, finding.errors),
            subject=owners.subject,
            objects=(finding.object,),
            errors=finding.errors,
            failure_class=what,
            fingerprint=key,
            occurrences=1,
            first_seen=now,
            last_seen=now,
            details=finding.details,
        ),
    )


def _key(finding: Finding) -> str:
    return provisional_key(finding, failure_class(finding.object.kind, finding.errors))


def provisional_key(finding: Finding, what: str) -> str:
    """The fingerprint as far as a finding's own words give it; `what` is its failure class.

    It names the incident until the cluster tells more. Only a hash leaves here, so the words need
    no redaction yet.
    """
    return fingerprint(finding.cluster, subject_from_name(finding.object).subject, what)


def _content_key(finding: Finding, what: str) -> str:
    """Tells the findings of one incident apart."""
    ref = finding.object
    text = "\0".join((finding.k8sgpt, ref.kind, ref.namespace, ref.name, finding.container, what))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _cannot(error: StoreError) -> CannotStore:
    seconds = BUSY_RETRY_SECONDS if isinstance(error, StoreBusy) else DOWN_RETRY_SECONDS
    return CannotStore(str(error), retry_after=seconds)
