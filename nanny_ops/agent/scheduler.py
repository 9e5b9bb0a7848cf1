"""What the agent does on an interval."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = logging.getLogger(__name__)
#: Seconds by which a tick may come later, so that a fleet does not knock in step.
JITTER = 2
#: Seconds between two looks at the clock, and by how many it must have jumped to be set right.
LOOK, JUMP = 10.0, 30.0


@dataclass(frozen=True, kw_only=True)
class Tick:
    """Something to do every ``seconds``, for the first time at once."""

    name: str
    seconds: int
    run: Callable[[], Awaitable[None]]
    at_once: bool = True


class Ticking(Protocol):
    """Runs ticks between a start and a stop."""

    def start(self) -> None:
        """Begin to tick; needs a running loop."""

    def stop(self) -> None:
        """Stop ticking; a tick under way is cancelled."""


class Scheduler:
    """Runs ticks: never two of one at once, and one instead of many that were missed.

    Ticks are planned by the system's clock, so one that is set back would silence them until it has caught up: after a
    jump, either way, each is planned anew.
    """

    def __init__(
        self,
        ticks: list[Tick],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what to do; nothing runs before :meth:`start`."""
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._now, self._monotonic = now, monotonic
        self._offset = self._drift()
        self._watching: asyncio.Task[None] | None = None
        for tick in ticks:
            trigger = IntervalTrigger(seconds=tick.seconds, timezone=UTC, jitter=min(JITTER, tick.seconds / 10))
            first = {"next_run_time": now()} if tick.at_once else {}
            self._scheduler.add_job(
                tick.run,
                trigger,
                id=tick.name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=max(1, tick.seconds),
                **first,
            )

    def start(self) -> None:
        """Begin to tick; needs a running loop."""
        self._scheduler.start()
        self._watching = asyncio.create_task(self._watch(), name="clock")

    def stop(self) -> None:
        """Stop ticking; a tick under way is cancelled."""
        if self._watching is not None:
            self._watching.cancel()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def look_at_clock(self) -> bool:
        """Plan all ticks anew if the clock has jumped since the last look; tell whether it has."""
        drift = self._drift()
        jump, self._offset = drift - self._offset, drift
        if abs(jump) < JUMP:
            return False
        log.warning("event=clock_jumped seconds=%.0f", jump)
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=self._now() + job.trigger.interval)
        return True

    def _drift(self) -> float:
        return self._now().timestamp() - self._monotonic()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self.look_at_clock()
