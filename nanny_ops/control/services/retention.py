"""What is dropped when it is old."""

from datetime import datetime, timedelta

from nanny_ops.control.services.history import ROLLED_DAYS
from nanny_ops.control.services.inventory import RAW_DAYS, TASK_DAYS
from nanny_ops.control.services.play_report import MOST
from nanny_ops.control.services.rollup import DAY
from nanny_ops.control.services.snapshot import KEPT_DAYS
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import enrollment, event, metrics, play_report, snapshot, storage, task, usage, user
from nanny_ops.control.store import retention as store
from nanny_ops.control.store.database import DROPPED_AT_ONCE, Tx
from nanny_ops.control.store.output import Outputs
from nanny_ops.protocol.clock import micros

#: Hours that a finished attempt to enrol stays, so that a late poll gets a clear word.
DEVICE_CODE_HOURS = 24
#: Operations dropped in one transaction: each has files, and the writer serves others in between.
AT_ONCE = 100
#: Days that a storage stays of which its agents tell no more.
STORAGE_DAYS = 2


def forget_outputs(tx: Tx, outputs: Outputs, settings: Settings, now: datetime) -> int:
    """Drop what the scripts of old operations printed, some at once; return of how many."""
    if not settings.output_retention_days:
        return 0
    found = store.with_outputs(tx, micros(now - timedelta(days=settings.output_retention_days)), AT_ONCE)
    for operation_id in found:  # before the commit: what a cut leaves is found again
        outputs.forget(operation_id)
    store.note_outputs_dropped(tx, found, micros(now))
    return len(found)


def forget_operations(tx: Tx, outputs: Outputs, settings: Settings, now: datetime) -> int:
    """Drop operations that ended long ago, some at once, with their outputs; return how many.

    The audit log keeps who ordered what, and what it came to.
    """
    if not settings.operation_retention_days:
        return 0
    found = store.old(tx, micros(now - timedelta(days=settings.operation_retention_days)), micros(now), AT_ONCE)
    for operation_id in found:
        outputs.forget(operation_id)
    store.drop(tx, found)
    return len(found)


def forget_batches(tx: Tx, settings: Settings, now: datetime) -> int:
    """Drop old batches whose orders are dropped, some at once; return how many."""
    if not settings.operation_retention_days:
        return 0
    return store.drop_batches(tx, micros(now - timedelta(days=settings.operation_retention_days)), AT_ONCE)


def forget_old(tx: Tx, settings: Settings, now: datetime) -> bool:
    """Drop metrics, events, device codes and given-back tokens beyond their time; tell whether there may be more.

    After a long pause, or a shorter retention, millions are due: they go in steps, so that nobody waits for all.
    """
    dropped = (
        usage.forget(tx, micros(now - timedelta(days=RAW_DAYS))),
        usage.forget_days(tx, micros(now - timedelta(days=ROLLED_DAYS)) // DAY),
        task.forget(tx, micros(now - timedelta(days=TASK_DAYS))),
        metrics.forget(tx, micros(now - timedelta(hours=settings.metrics_retention_hours))),
        event.forget(tx, micros(now - timedelta(hours=settings.event_retention_hours))),
    )
    if settings.play_report_days:
        play_report.forget(tx, micros(now - timedelta(days=settings.play_report_days)))
    play_report.forget_beyond(tx, MOST)
    snapshot.forget(tx, micros(now - timedelta(days=KEPT_DAYS)))
    storage.forget(tx, micros(now - timedelta(days=STORAGE_DAYS)))
    enrollment.forget_codes(tx, micros(now - timedelta(hours=DEVICE_CODE_HOURS)))
    user.forget_expired_tokens(tx, micros(now))
    return max(dropped) >= DROPPED_AT_ONCE
