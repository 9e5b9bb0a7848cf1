"""How often agents have failed in a row."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.lease import lock_target
from nanny_ops.control.store.patch_tables import breakers as rows
from nanny_ops.control.store.proxmox_tables import reporters


@dataclass(frozen=True)
class Breaker:
    """Technical failures of one agent in a row; ``failed_at`` is the instant of the last.

    ``opened_at`` is when people were told that its node rests.
    """

    agent_id: str
    team_id: str
    failures: int
    reason: str
    failed_at: int
    opened_at: int | None = None


def lock(tx: Tx, agent_id: str) -> None:
    """Let one process at a time count for an agent: two ends at once must both count."""
    lock_target(tx, agent_id, "breaker")


def get(tx: Tx, agent_id: str) -> Breaker | None:
    """Find how often an agent has failed; None where its last order did not."""
    row = tx.connection.execute(select(rows).where(rows.c.agent_id == agent_id)).first()
    return None if row is None else Breaker(**row._mapping)


def some(tx: Tx, ids: Collection[str]) -> dict[str, Breaker]:
    """Return those of these agents that have failed, by agent."""
    found = tx.connection.execute(select(rows).where(rows.c.agent_id.in_(ids)))
    return {row.agent_id: Breaker(**row._mapping) for row in found}


def untold(tx: Tx, failures: int, limit: int) -> list[Breaker]:
    """Return those that have failed as often and of which nobody was told yet."""
    chosen = select(rows).where((rows.c.failures >= failures) & rows.c.opened_at.is_(None)).limit(limit)
    return [Breaker(**row._mapping) for row in tx.connection.execute(tx.held(chosen, pass_over=True))]


def open_count(tx: Tx) -> int:
    """Count the nodes that rest."""
    return tx.connection.execute(select(func.count()).where(rows.c.opened_at.is_not(None))).scalar_one()


def open_nodes(tx: Tx, teams: Collection[str]) -> set[tuple[str, str]]:
    """Return the teams' nodes that rest, by scope and the node's name."""
    joined = select(reporters.c.scope, reporters.c.node).join(rows, rows.c.agent_id == reporters.c.agent_id)
    chosen = rows.c.opened_at.is_not(None) & rows.c.team_id.in_(teams)
    return {(row.scope, row.node) for row in tx.connection.execute(joined.where(chosen))}


def put(tx: Tx, row: Breaker, *, known: bool) -> None:
    """Write how often an agent has failed."""
    mine = rows.c.agent_id == row.agent_id
    tx.connection.execute((update(rows).where(mine) if known else insert(rows)).values(**vars(row)))


def forget(tx: Tx, agent_id: str) -> None:
    """Begin to count anew."""
    tx.connection.execute(delete(rows).where(rows.c.agent_id == agent_id))
