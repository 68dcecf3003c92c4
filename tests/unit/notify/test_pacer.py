"""One message a second, on a clock the test holds."""

import asyncio

import pytest

from aegis_sink.notify.errors import NotifyUnavailable
from aegis_sink.notify.pacer import Pacer


class Clock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pacer(clock: Clock) -> Pacer:
    return Pacer(interval=1, clock=clock, sleep=clock.sleep)


async def test_messages_leave_a_second_apart(clock: Clock, pacer: Pacer) -> None:
    left = []
    for _ in range(4):
        await pacer.turn()
        left.append(clock.now)
    assert left == [100, 101, 102, 103]


async def test_messages_that_woke_late_together_leave_a_second_apart_all_the_same() -> None:
    clock, busy, left = Clock(), asyncio.Event(), []

    async def sleep(seconds: float) -> None:
        due = clock.now + seconds
        await busy.wait()  # nobody wakes before the machine has time again
        clock.now = max(clock.now, due)

    one_a_second = Pacer(interval=1, clock=clock, sleep=sleep)

    async def send() -> None:
        await one_a_second.turn()
        left.append(clock.now)

    async with asyncio.TaskGroup() as senders:
        for _ in range(4):
            senders.create_task(send())
        while len(left) < 1:  # noqa: ASYNC110 — the first one waits for nothing
            await asyncio.sleep(0)
        clock.now += 10
        busy.set()
    assert left == [100, 110, 111, 112]


async def test_a_message_after_a_pause_does_not_wait(clock: Clock, pacer: Pacer) -> None:
    await pacer.turn()
    clock.now += 60
    await pacer.turn()
    assert clock.now == 160


async def test_retry_after_is_obeyed(clock: Clock, pacer: Pacer) -> None:
    pacer.hold(20)
    await pacer.turn()
    assert clock.now == 120


async def test_a_long_wait_is_given_back_to_the_caller(clock: Clock, pacer: Pacer) -> None:
    pacer.hold(300)
    with pytest.raises(NotifyUnavailable) as caught:
        await pacer.turn()
    assert caught.value.retry_after == 300
    assert clock.now == 100


async def test_a_message_that_queued_while_slack_said_wait_does_not_go(clock: Clock) -> None:
    async def sleep(seconds: float) -> None:
        clock.now += seconds
        queueing.hold(9)

    queueing = Pacer(clock=clock, sleep=sleep)
    await queueing.turn()
    with pytest.raises(NotifyUnavailable) as caught:
        await queueing.turn()
    assert caught.value.retry_after == 9
