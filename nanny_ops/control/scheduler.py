"""The ticker: expiries and retention. What is due is decided by services; APScheduler only knocks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from nanny_ops.control.services import breaker, lease, operation, prune, reboot, relocation, retention, rollup, survey
from nanny_ops.control.services.capacity import bounds_of
from nanny_ops.control.services.counts import Counts
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import inventory, usage
from nanny_ops.control.store.breaker import open_count
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.control.store.output import Outputs
from nanny_ops.control.store.usage import Progress
from nanny_ops.errors import NannyError
from nanny_ops.protocol.clock import micros, now
from nanny_ops.protocol.enrollment import OFFLINE_AFTER

log = structlog.get_logger()
#: Seconds between two sweeps for expired operations, and for old rows.
EXPIRY_INTERVAL = 5
#: Seconds between two looks for silent agents, and for hours of usage to roll up.
FLEET_INTERVAL = 60
RETENTION_INTERVAL = 600
#: Seconds that the writer belongs to others between two steps of a long retention.
RETENTION_PAUSE = 0.1
#: Hours of single clusters that one tick rolls up at most.
ROLLED_AT_ONCE = 500
#: Seconds after which a result that was being received and no longer grows counts as given up.
ABANDONED = 3600


@dataclass(frozen=True)
class Ticker:
    """What the ticks work on."""

    database: Database
    settings: Settings
    counts: Counts
    clock: Callable[[], datetime] = now


def make(ticker: Ticker) -> AsyncIOScheduler:
    """Return the scheduler, not yet started."""
    scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
    first = now() + timedelta(seconds=1)
    scheduler.add_job(_guarded(lambda: _expire(ticker)), "interval", seconds=EXPIRY_INTERVAL, next_run_time=first)
    scheduler.add_job(_guarded(lambda: _retain(ticker)), "interval", seconds=RETENTION_INTERVAL, next_run_time=first)
    for tick in (_note_silence, _roll_up, _survey, _remove_snapshots):
        job = _guarded(partial(tick, ticker))
        scheduler.add_job(job, "interval", seconds=FLEET_INTERVAL, next_run_time=first)
    return scheduler


async def _expire(ticker: Ticker) -> None:
    for proved in await ticker.database.write(lambda tx: reboot.settle(tx, ticker.clock())):
        operation.tell_end(ticker.counts, proved)
    for lost in await ticker.database.write(lambda tx: relocation.sweep(tx, ticker.clock())):
        operation.tell_end(ticker.counts, lost)
    while expired := await ticker.database.write(lambda tx: lease.sweep(tx, ticker.clock())):
        for ended in expired:
            operation.tell_end(ticker.counts, ended)
    for _ in await ticker.database.write(lambda tx: breaker.sweep(tx, bounds_of(ticker.settings).rest, ticker.clock())):
        ticker.counts.rests.inc()
    ticker.counts.resting.set(await ticker.database.read(open_count))
    while silent := await ticker.database.write(lambda tx: lease.note_silence(tx, ticker.clock())):
        for one in silent:
            ticker.counts.silences.labels(one.kind).inc()


async def _retain(ticker: Ticker) -> None:
    more = True
    while more:
        more = await ticker.database.write(lambda tx: retention.forget_old(tx, ticker.settings, ticker.clock()))
        await asyncio.sleep(RETENTION_PAUSE)
    await _prune(ticker)
    still_since = ticker.clock() - timedelta(seconds=ABANDONED)
    await asyncio.to_thread(Outputs(ticker.settings.data_dir).sweep, still_since.timestamp())


async def _prune(ticker: Ticker) -> None:
    """Drop old operations in steps; whichever control plane comes first takes a row, others pass it over."""
    outputs, settings = Outputs(ticker.settings.data_dir), ticker.settings
    steps: dict[str, Callable[[Tx], int]] = {
        "outputs": lambda tx: retention.forget_outputs(tx, outputs, settings, ticker.clock()),
        "operations": lambda tx: retention.forget_operations(tx, outputs, settings, ticker.clock()),
        "batches": lambda tx: retention.forget_batches(tx, settings, ticker.clock()),
    }
    for what, step in steps.items():
        while dropped := await ticker.database.write(step):
            ticker.counts.pruned.labels(what).inc(dropped)
            log.info("old rows dropped", what=what, number=dropped)
            await asyncio.sleep(RETENTION_PAUSE)


async def _note_silence(ticker: Ticker) -> None:
    before = micros(ticker.clock() - timedelta(seconds=OFFLINE_AFTER))
    await ticker.database.write(lambda tx: inventory.silence(tx, before))


async def _survey(ticker: Ticker) -> None:
    if ticker.settings.survey_hours:
        interval = timedelta(hours=ticker.settings.survey_hours)
        due = await ticker.database.read(lambda tx: survey.find_due(tx, interval, ticker.clock()))
        if due:
            await ticker.database.write(lambda tx: survey.place(tx, due, ticker.clock()))


async def _remove_snapshots(ticker: Ticker) -> None:
    if ticker.settings.snapshot_prune == "on" and await ticker.database.read(
        lambda tx: prune.is_due(tx, ticker.clock())
    ):
        await ticker.database.write(lambda tx: prune.sweep(tx, ticker.clock()))


async def _roll_up(ticker: Ticker) -> None:
    """Compute beside the writer, and give the writer to others between the steps."""
    for _ in range(ROLLED_AT_ONCE):
        now = ticker.clock()
        progress = await ticker.database.read(partial(rollup.due, now=now))
        if progress is None:
            return
        await _roll_up_hour(ticker, progress, now)


async def _roll_up_hour(ticker: Ticker, progress: Progress, now: datetime) -> None:
    rows = await ticker.database.read(lambda tx: rollup.compute(tx, progress))
    for step in rollup.steps(rows):
        await ticker.database.write(partial(usage.put_days, rows=step))
    until = await ticker.database.read(lambda tx: rollup.next_hour(tx, progress, now))
    await ticker.database.write(lambda tx: usage.advance(tx, progress, until))


def _guarded(tick: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        try:
            await tick()
        except NannyError as wrong:
            log.warning("tick failed", reason=wrong.message)

    return run
