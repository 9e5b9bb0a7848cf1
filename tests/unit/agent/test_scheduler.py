"""The scheduler: at once, then on the interval, never two of one, whatever the clock does."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nanny_ops.agent.scheduler import Scheduler, Tick


def test_a_tick_runs_at_once_and_again_and_never_twice_at_a_time() -> None:
    runs: list[str] = []
    running = 0
    most = 0

    async def slow() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        runs.append("slow")
        await asyncio.sleep(1.3)
        running -= 1

    async def late() -> None:
        runs.append("late")

    async def go() -> None:
        scheduler = Scheduler(
            [
                Tick(name="slow", seconds=1, run=slow),
                Tick(name="late", seconds=3600, run=late, at_once=False),
            ]
        )
        scheduler.start()
        await asyncio.sleep(2.6)
        scheduler.stop()
        await asyncio.sleep(0)

    asyncio.run(go())
    assert runs[0] == "slow"
    assert 2 <= len(runs) <= 3
    assert "late" not in runs
    assert most == 1


def test_a_tick_is_set_up_to_coalesce_and_to_be_forgiven() -> None:
    async def nothing() -> None:
        return None

    scheduler = Scheduler([Tick(name="a", seconds=30, run=nothing)])
    job = scheduler._scheduler.get_jobs()[0]
    assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (True, 1, 30)
    scheduler.stop()


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=1), timedelta(days=-400)])
def test_a_clock_that_jumps_silences_nothing(jump: timedelta, caplog: pytest.LogCaptureFixture) -> None:
    async def nothing() -> None:
        return None

    passed, jumped = [0.0], [timedelta()]
    began = datetime.now(UTC)  # the library has its own clock, and walks step by step from one to the other

    def now() -> datetime:
        return began + timedelta(seconds=passed[0]) + jumped[0]

    async def go() -> None:
        tick = Tick(name="a", seconds=30, run=nothing, at_once=False)
        scheduler = Scheduler([tick], now=now, monotonic=lambda: passed[0])
        scheduler.start()
        passed[0] = 29.0
        assert not scheduler.look_at_clock()
        jumped[0] = jump
        assert scheduler.look_at_clock()
        wait = scheduler._scheduler.get_job("a").next_run_time - now()
        assert timedelta() <= wait <= timedelta(seconds=35)
        assert not scheduler.look_at_clock()
        scheduler.stop()
        await asyncio.sleep(0)

    asyncio.run(go())
    assert caplog.text.count("event=clock_jumped") == 1
