"""Agents whose identity is used by two machines."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import duplicates


@dataclass(frozen=True)
class Duplicate:
    """What was noticed of one agent; it counts before ``until``, without it for good."""

    agent_id: str
    team_id: str
    since: int
    until: int | None
    reason: str


def put(tx: Tx, duplicate: Duplicate) -> None:
    """Write what was noticed, in place of what was noticed before."""
    mine = duplicates.c.agent_id == duplicate.agent_id
    if not tx.connection.execute(update(duplicates).where(mine).values(**vars(duplicate))).rowcount:
        tx.connection.execute(insert(duplicates).values(**vars(duplicate)))


def some(tx: Tx, agents: Collection[str], now: int) -> dict[str, Duplicate]:
    """Return what counts of these agents now, by agent: for agents that were found by team."""
    lasting = duplicates.c.until.is_(None) | (duplicates.c.until > now)
    rows = tx.connection.execute(select(duplicates).where(duplicates.c.agent_id.in_(agents) & lasting))
    return {row.agent_id: Duplicate(**row._mapping) for row in rows}


def forget(tx: Tx, agent_id: str) -> None:
    """Drop what was noticed of an agent."""
    tx.connection.execute(delete(duplicates).where(duplicates.c.agent_id == agent_id))
