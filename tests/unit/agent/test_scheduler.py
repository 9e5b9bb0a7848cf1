"""The scheduler: at once, then on the interval, never two of one."""

import asyncio

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
