"""Incidents as events for other systems, beside the messages for people."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from aegis_sink.flow.forwarding import Forwarding
from aegis_sink.flow.worker import Stage
from aegis_sink.model import OWN_CHANNEL, Audience, Incident, NoticeReason, ObjectRef, Posted
from aegis_sink.notify.errors import NotifyUnavailable
from aegis_sink.store import forwarded, jobs
from aegis_sink.triage.tell import TellRules
from tests.integration.flow.conftest import GROUP_WAIT, Channel, Flow, finding

CRASH = "the last termination reason is Error container=api pod=api-1"


@dataclass
class Receiver(Channel):
    """Another system: it cannot be edited, and it can be away, refuse, or die after it took one."""

    can_edit: bool = False
    forgets: bool = False
    events: list[tuple[str, str, Incident]] = field(default_factory=list)
    name: str = "events"

    async def post(
        self, incident: Incident, reason: NoticeReason, *, nonce: str, to: Audience = OWN_CHANNEL
    ) -> Posted:
        self._answers()
        self.events.append((nonce, str(reason), incident))
        if self.forgets:
            self.forgets = False
            raise NotifyUnavailable("the connection was lost")
        return Posted(self.name)

    @property
    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.events]


@pytest.fixture
def receiver(flow: Flow) -> Receiver:
    receiver = Receiver()
    staff(flow, receiver)
    return receiver


def staff(flow: Flow, receiver: Receiver) -> None:
    """Have the flow's worker forward, too."""
    forwarding = Forwarding(
        database=flow.database,
        notifier=receiver,
        rules=TellRules(group_wait=GROUP_WAIT, repeat_interval=timedelta(hours=4)),
        clock=flow.clock,
        jitter=lambda: 1.0,
        new_id=flow.ids,
        link=lambda incident_id: f"https://sink/{incident_id}",
        muting=flow.muting,
    )
    tell = flow.worker.stages[jobs.TELL]
    flow.worker.stages = {
        **flow.worker.stages,
        jobs.TELL: Stage(forwarding.beside(tell.run), tell.at_once),
        jobs.FORWARD: Stage(forwarding.forward, 1),
    }


async def test_an_incident_is_forwarded_whole_from_its_beginning_to_its_end(
    flow: Flow, receiver: Receiver
) -> None:
    told = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await flow.post(finding("api-1", gone=True))
    await flow.after(90)
    assert receiver.reasons == ["first", "resolved"]
    _, _, incident = receiver.events[0]
    assert (incident.id, incident.url) == (told.id, f"https://sink/{told.id}")
    assert incident.diagnosis is not None
    assert incident.evidence
    assert await flow.reasons(told.id) == ["first", "resolved"]
    assert len({event_id for event_id, _, _ in receiver.events}) == 2


async def test_a_diagnosis_that_comes_later_is_an_event_of_its_own(
    flow: Flow, receiver: Receiver
) -> None:
    flow.model.away = True
    await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    flow.model.away = False
    await flow.after(600)
    assert receiver.reasons == ["first", "diagnosed"]


async def test_while_slack_is_away_events_go_on(flow: Flow, receiver: Receiver) -> None:
    flow.channel.away = True
    told = await flow.post(finding("api-1", CRASH))
    for _ in range(5):
        await flow.after(60)
    assert receiver.reasons == ["first"]
    assert await flow.reasons(told.id) == []


async def test_while_the_other_system_is_away_messages_go_on_and_nothing_is_lost(
    flow: Flow, receiver: Receiver
) -> None:
    receiver.away = True
    told = await flow.post(finding("api-1", CRASH))
    for _ in range(5):
        await flow.after(300)
    assert await flow.reasons(told.id) == ["first"]
    assert receiver.events == []
    receiver.away = False
    await flow.after(300)
    assert receiver.reasons == ["first"]


async def test_an_event_whose_answer_was_lost_comes_again_under_the_same_id(
    flow: Flow, receiver: Receiver
) -> None:
    receiver.forgets = True
    await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    await flow.after(60)
    assert receiver.reasons == ["first", "first"]
    assert receiver.events[0][0] == receiver.events[1][0]


async def test_an_event_that_was_intended_is_sent_after_a_crash_under_its_id(
    flow: Flow, receiver: Receiver
) -> None:
    receiver.away = True
    told = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    intended = await flow.database.read(lambda c: forwarded.unsent(c, told.id))
    assert intended is not None
    await flow.restart()
    staff(flow, receiver)
    receiver.away = False
    await flow.after(300)
    assert [(event_id, reason) for event_id, reason, _ in receiver.events] == [
        (intended[0], "first")
    ]


async def test_a_receiver_that_refuses_is_asked_less_and_less_but_at_least_every_hour(
    flow: Flow, receiver: Receiver
) -> None:
    receiver.refuses = "answered 404"
    await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    for _ in range(24 * 12):
        await flow.after(300)
    assert 24 <= receiver.tries <= 60  # of 288 looks
    receiver.refuses = ""
    await flow.after(3600)
    assert receiver.reasons[:1] == ["first"]


async def test_what_is_muted_is_not_forwarded(flow: Flow, receiver: Receiver) -> None:
    pod = replace(finding("api-1", CRASH), object=ObjectRef("Pod", "api-1", "sandbox-1"))
    await flow.post(pod)
    await flow.after(600)
    assert receiver.events == []
