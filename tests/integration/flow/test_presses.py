"""Pressed buttons, from the desk to what they do and what the person hears."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from aegis_sink.flow.pressing import NOT_ALLOWED, NOT_ASKED, UNKNOWN, Pressing
from aegis_sink.flow.worker import Stage
from aegis_sink.model import State
from aegis_sink.notify.actions import Action
from aegis_sink.notify.buttons import ActionKind
from aegis_sink.notify.errors import NotifyRefused, NotifyUnavailable
from aegis_sink.notify.people import People
from aegis_sink.store import jobs, presses
from aegis_sink.store.retention import drop
from tests.integration.flow.conftest import START, Flow, finding

CRASH = "the last termination reason is Error container=api pod=api-1"


@dataclass
class Answers:
    """Slack's private answers, which can be away."""

    away: bool = False
    used_up: bool = False
    told: list[tuple[str, str]] = field(default_factory=list)

    async def tell(self, response_url: str, text: str) -> None:
        if self.away:
            raise NotifyUnavailable("Slack cannot be reached")
        if self.used_up:
            raise NotifyRefused("used up")
        self.told.append((response_url, text))

    async def close(self) -> None:
        pass


@dataclass
class Groups:
    """Who is in the group S1; may be away, or not to be asked."""

    members: frozenset[str] = frozenset({"U1"})
    away: bool = False
    forbidden: bool = False

    async def __call__(self, group: str) -> frozenset[str]:
        if self.away:
            raise NotifyUnavailable("Slack cannot be reached")
        if self.forbidden:
            raise NotifyRefused("missing_scope: usergroups:read")
        return self.members


@dataclass
class Desk:
    """The flow with buttons."""

    flow: Flow
    answers: Answers
    groups: Groups
    pressing: Pressing
    _pressed: int = 0

    async def press(
        self, kind: ActionKind, incident_id: str, user: str = "U1", key: str = ""
    ) -> str:
        """Press and keep; nothing is worked off yet."""
        self._pressed += 1
        return await self.pressing.keep(
            Action(
                key=key or f"press{self._pressed}",
                kind=kind,
                incident_id=incident_id,
                user_id=user,
                user_name=user.lower(),
                response_url=f"https://answer/{user}",
            )
        )

    def staff(self) -> None:
        """Have a (new) worker work off presses."""
        self.pressing = Pressing(
            self.flow.database,
            People(groups=["S1"], members=self.groups, clock=iter(range(0, 10**9, 1000)).__next__),
            self.answers,  # type: ignore[arg-type]
            self.flow.clock,
            lambda: 1.0,
            self.flow.worker.wake,
        )
        stages = {**self.flow.worker.stages, jobs.PRESS: Stage(self.pressing.press, 4)}
        self.flow.worker.stages = stages


@pytest.fixture
async def desk(flow: Flow) -> Desk:
    desk = Desk(flow, Answers(), Groups(), None)  # type: ignore[arg-type]
    desk.staff()
    return desk


async def a_told_problem(flow: Flow) -> str:
    receipt = await flow.post(finding("api-1", CRASH))
    await flow.after(10)
    return receipt.id


async def test_a_press_does_what_it_says_and_the_person_hears_so(desk: Desk) -> None:
    told = await a_told_problem(desk.flow)
    assert await desk.press(ActionKind.ACKNOWLEDGE, told) == ""
    await desk.flow.after(0)
    [root] = desk.flow.channel.roots.values()
    assert (root.state, root.acknowledged_by) == (State.ACKNOWLEDGED, "u1")
    [(url, words)] = desk.answers.told
    assert url == "https://answer/U1"
    assert "it is yours now" in words


@pytest.mark.parametrize(
    ("kind", "until"),
    [
        (ActionKind.SILENCE_HOUR, timedelta(hours=1)),
        (ActionKind.SILENCE_DAY, timedelta(days=1)),
        (ActionKind.SILENCE_UNTIL_RESOLVED, None),
    ],
)
async def test_a_silence_counts_from_the_press(
    kind: ActionKind, until: timedelta | None, desk: Desk
) -> None:
    told = await a_told_problem(desk.flow)
    await desk.press(kind, told)
    await desk.flow.after(0)
    incident = await desk.flow.incident(told)
    assert incident.state is State.SILENCED
    expected = None if until is None else START + timedelta(seconds=10) + until
    assert incident.silenced_until == expected


async def test_a_press_that_was_acknowledged_survives_a_kill_before_it_was_worked_off(
    desk: Desk,
) -> None:
    told = await a_told_problem(desk.flow)
    await desk.flow.stop_working()
    desk.staff()
    await desk.press(ActionKind.RIGHT, told)
    assert (await desk.flow.incident(told)).feedback == ()
    await desk.flow.restart()
    desk.staff()
    await desk.flow.after(60)
    assert [f.by for f in (await desk.flow.incident(told)).feedback] == ["u1"]
    assert len(desk.answers.told) == 1


async def test_the_same_press_twice_is_one(desk: Desk) -> None:
    told = await a_told_problem(desk.flow)
    await desk.press(ActionKind.SILENCE_HOUR, told, key="k")
    await desk.flow.after(0)
    await desk.press(ActionKind.END_SILENCE, told)
    await desk.flow.after(0)
    await desk.press(ActionKind.SILENCE_HOUR, told, key="k")
    await desk.flow.after(0)
    assert (await desk.flow.incident(told)).state is State.OPEN
    assert len(desk.answers.told) == 2


async def test_ten_presses_at_once_are_worked_off_in_order_and_all_are_answered(
    desk: Desk,
) -> None:
    desk.groups.members = frozenset(f"U{n}" for n in range(10))
    told = await a_told_problem(desk.flow)
    await asyncio.gather(
        *(desk.press(ActionKind.ACKNOWLEDGE, told, user=f"U{n}") for n in range(10))
    )
    await desk.flow.after(0)
    first = (await desk.flow.incident(told)).acknowledged_by
    words = dict(desk.answers.told)
    assert len(words) == 10
    mine = words.pop(f"https://answer/{first.upper()}")
    assert "it is yours now" in mine
    assert set(words.values()) == {f"{first} has it since 12:00 UTC."}
    what = [h.what for h in (await desk.flow.incident(told)).history]
    assert what.count("acknowledged") == 1


async def test_an_unknown_incident_is_said_at_once_and_nothing_is_kept(desk: Desk) -> None:
    assert await desk.press(ActionKind.ACKNOWLEDGE, "nothing") == UNKNOWN


async def test_a_stale_press_changes_nothing_and_says_so(desk: Desk) -> None:
    told = await a_told_problem(desk.flow)
    await desk.press(ActionKind.RESOLVE, told)
    await desk.flow.after(0)
    await desk.press(ActionKind.SILENCE_DAY, told)
    await desk.flow.after(0)
    assert (await desk.flow.incident(told)).state is State.RESOLVED
    assert desk.answers.told[-1][1] == "It has been over since 12:00 UTC."


async def test_who_is_not_allowed_changes_nothing_and_hears_so(desk: Desk) -> None:
    told = await a_told_problem(desk.flow)
    await desk.press(ActionKind.RESOLVE, told, user="U666")
    await desk.flow.after(0)
    assert (await desk.flow.incident(told)).state is State.OPEN
    assert desk.answers.told == [("https://answer/U666", NOT_ALLOWED)]


async def test_while_slack_does_not_say_who_may_the_press_waits(desk: Desk) -> None:
    told = await a_told_problem(desk.flow)
    desk.groups.away = True
    await desk.press(ActionKind.ACKNOWLEDGE, told)
    await desk.flow.after(60)
    assert (await desk.flow.incident(told)).state is State.OPEN
    desk.groups.away = False
    await desk.flow.after(300)
    assert (await desk.flow.incident(told)).state is State.ACKNOWLEDGED


@pytest.mark.parametrize("trouble", ["away", "forbidden"])
async def test_when_slack_never_says_who_may_nobody_may(trouble: str, desk: Desk) -> None:
    told = await a_told_problem(desk.flow)
    setattr(desk.groups, trouble, True)
    await desk.press(ActionKind.ACKNOWLEDGE, told)
    for _ in range(6):
        await desk.flow.after(299)
    assert (await desk.flow.incident(told)).state is State.OPEN
    await desk.flow.after(600)
    setattr(desk.groups, trouble, False)
    await desk.flow.after(600)
    assert (await desk.flow.incident(told)).state is State.OPEN
    if trouble == "forbidden":
        assert desk.answers.told == [("https://answer/U1", NOT_ASKED)]


async def test_while_slack_takes_no_answers_the_act_stands_and_the_answer_comes_later(
    desk: Desk,
) -> None:
    told = await a_told_problem(desk.flow)
    desk.answers.away = True
    await desk.press(ActionKind.ACKNOWLEDGE, told)
    await desk.press(ActionKind.RIGHT, told)
    await desk.flow.after(0)
    assert (await desk.flow.incident(told)).state is State.ACKNOWLEDGED
    assert len((await desk.flow.incident(told)).feedback) == 1
    desk.answers.away = False
    await desk.flow.after(60)
    assert len(desk.answers.told) == 2
    await desk.flow.after(600)
    assert len(desk.answers.told) == 2


@pytest.mark.parametrize("trouble", ["away", "used_up"])
async def test_an_answer_is_given_up_after_half_an_hour_and_its_address_forgotten(
    trouble: str, desk: Desk
) -> None:
    told = await a_told_problem(desk.flow)
    setattr(desk.answers, trouble, True)
    await desk.press(ActionKind.ACKNOWLEDGE, told)
    for _ in range(8):
        await desk.flow.after(300)
    assert await desk.flow.database.read(lambda c: presses.open_presses(c, told)) == ()
    assert jobs.PRESS not in await desk.flow.database.read(lambda c: jobs.pending(c, told))
    setattr(desk.answers, trouble, False)
    await desk.flow.after(600)
    assert desk.answers.told == []


async def test_presses_are_dropped_with_their_time(desk: Desk) -> None:
    told = await a_told_problem(desk.flow)
    await desk.press(ActionKind.SILENCE_HOUR, told, key="k")
    await desk.flow.after(0)
    later = desk.flow.clock.now + timedelta(seconds=1)
    await desk.flow.database.write(lambda c: drop(c, before=later, quarantine_max_bytes=0))
    await desk.press(ActionKind.SILENCE_HOUR, told, key="k")
    await desk.flow.after(0)
    assert len(desk.answers.told) == 2
