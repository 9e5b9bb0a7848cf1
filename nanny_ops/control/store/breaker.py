"""How often agents have failed in a row."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.patch_tables import breakers as rows


@dataclass(frozen=True)
class Breaker:
    """Technical failures of one agent in a row; ``failed_at`` is the instant of the last."""

    agent_id: str
    team_id: str
    failures: int
    reason: str
    failed_at: int


def get(tx: Tx, agent_id: str) -> Breaker | None:
    """Find how often an agent has failed; None where its last order did not."""
    row = tx.connection.execute(select(rows).where(rows.c.agent_id == agent_id)).first()
    return None if row is None else Breaker(**row._mapping)


def some(tx: Tx, ids: Collection[str]) -> dict[str, Breaker]:
    """Return those of these agents that have failed, by agent."""
    found = tx.connection.execute(select(rows).where(rows.c.agent_id.in_(ids)))
    return {row.agent_id: Breaker(**row._mapping) for row in found}


def put(tx: Tx, row: Breaker, *, known: bool) -> None:
    """Write how often an agent has failed."""
    mine = rows.c.agent_id == row.agent_id
    tx.connection.execute((update(rows).where(mine) if known else insert(rows)).values(**vars(row)))


def forget(tx: Tx, agent_id: str) -> None:
    """Begin to count anew."""
    tx.connection.execute(delete(rows).where(rows.c.agent_id == agent_id))
