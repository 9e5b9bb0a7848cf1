"""What the agent does on an interval."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

#: Seconds by which a tick may come later, so that a fleet does not knock in step.
JITTER = 2


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
    """Runs ticks: never two of one at once, and one instead of many that were missed."""

    def __init__(self, ticks: list[Tick], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Take what to do; nothing runs before :meth:`start`."""
        self._scheduler = AsyncIOScheduler(timezone=UTC)
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

    def stop(self) -> None:
        """Stop ticking; a tick under way is cancelled."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
