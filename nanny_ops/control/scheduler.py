"""The ticker: expiries and retention. What is due is decided by services; APScheduler only knocks."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from nanny_ops.control.api.state import State
from nanny_ops.control.services import operation, retention
from nanny_ops.errors import NannyError
from nanny_ops.protocol.clock import now

log = structlog.get_logger()
#: Seconds between two sweeps for expired operations, and for old rows.
EXPIRY_INTERVAL = 5
RETENTION_INTERVAL = 600


def make(state: State) -> AsyncIOScheduler:
    """Return the scheduler, not yet started."""
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    first = now() + timedelta(seconds=1)
    scheduler.add_job(_guarded(lambda: _expire(state)), "interval", seconds=EXPIRY_INTERVAL, next_run_time=first)
    scheduler.add_job(_guarded(lambda: _retain(state)), "interval", seconds=RETENTION_INTERVAL, next_run_time=first)
    return scheduler


async def _expire(state: State) -> None:
    while expired := await state.database.write(lambda tx: operation.sweep(tx, state.clock())):
        for ended in expired:
            operation.tell_end(state.counts, ended)


async def _retain(state: State) -> None:
    await state.database.write(lambda tx: retention.forget_old(tx, state.settings, state.clock()))


def _guarded(tick: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        try:
            await tick()
        except NannyError as wrong:
            log.warning("tick failed", reason=wrong.message)

    return run
