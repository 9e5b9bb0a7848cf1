"""What is dropped when it is old."""

from datetime import datetime, timedelta

from nanny_ops.control.services.history import ROLLED_DAYS
from nanny_ops.control.services.inventory import RAW_DAYS, TASK_DAYS
from nanny_ops.control.services.rollup import DAY
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import enrollment, event, metrics, storage, task, usage, user
from nanny_ops.control.store.database import DROPPED_AT_ONCE, Tx
from nanny_ops.protocol.clock import micros

#: Hours that a finished attempt to enrol stays, so that a late poll gets a clear word.
DEVICE_CODE_HOURS = 24
#: Days that a storage stays of which its agents tell no more.
STORAGE_DAYS = 2


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
    storage.forget(tx, micros(now - timedelta(days=STORAGE_DAYS)))
    enrollment.forget_codes(tx, micros(now - timedelta(hours=DEVICE_CODE_HOURS)))
    user.forget_expired_tokens(tx, micros(now))
    return max(dropped) >= DROPPED_AT_ONCE
