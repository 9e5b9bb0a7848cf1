"""Whether the database answers."""

from sqlalchemy import literal, select

from nanny_ops.control.store.database import Tx


def ping(tx: Tx) -> None:
    """Ask the database for nothing."""
    tx.connection.execute(select(literal(1))).scalar_one()
