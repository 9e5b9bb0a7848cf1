"""Readings of hosts, newest kept for two days."""

from sqlalchemy import delete

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import metrics


def forget(tx: Tx, before: int) -> int:
    """Drop readings received before an instant; return how many."""
    return tx.connection.execute(delete(metrics).where(metrics.c.received_at < before)).rowcount
