"""Which operation a target is held for, who waits for it, and whose lease has lapsed."""

from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select, text

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.tables import agents, operations
from nanny_ops.protocol.operation import OPEN, Status

UNBEGUN = OPEN - {Status.RUNNING}
#: Orders that are told at once that their target has come free.
WAITING = 20


def lock_target(tx: Tx, scope: str, target: str) -> None:
    """Let one process at a time decide who gets a target; within a process the writer does so anyway."""
    if tx.connection.dialect.name == "postgresql":
        key = {"key": f"target {scope} {target}"}
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)


def scope_of(tx: Tx, agent_id: str, vmid: int | None) -> str:
    """Return within what a target's name means one thing: for a guest the agent's cluster, else the agent."""
    cluster = select(agents.c.cluster_pk).where(agents.c.id == agent_id)
    return (tx.connection.execute(cluster).scalar() if vmid is not None else None) or agent_id


def on_target(tx: Tx, scope: str, target: str, now: int) -> Operation | None:
    """Return the operation that a target is held for, if any."""
    chosen = same_target(scope, target) & (operations.c.held_until > now)
    row = tx.connection.execute(_joined().where(chosen).limit(1)).first()
    return None if row is None else Operation(**row._mapping)


def waiting(tx: Tx, scope: str, target: str, now: int, asked_since: int) -> list[Operation]:
    """Return the orders that have asked for a target since an instant and wait for it, the oldest first."""
    waits = operations.c.status.in_(UNBEGUN) & (operations.c.asked_at > asked_since) & (operations.c.expires_at > now)
    oldest = _joined().where(same_target(scope, target) & waits).order_by(operations.c.created_at, operations.c.id)
    return [Operation(**row._mapping) for row in tx.connection.execute(oldest.limit(WAITING))]


def lapsed(tx: Tx, now: int, limit: int) -> list[Operation]:
    """Return running operations whose lease has lapsed and of which that is not noted yet."""
    chosen = (operations.c.status == Status.RUNNING) & (operations.c.lease_until <= now)
    chosen &= operations.c.silent_at.is_(None)
    first = select(operations).where(chosen).order_by(operations.c.lease_until).limit(limit)
    return [Operation(**row._mapping) for row in tx.connection.execute(tx.held(first, pass_over=True))]


def _joined() -> "Select[Any]":
    return select(operations).join(agents, agents.c.id == operations.c.agent_id)


def same_target(scope: str, target: str) -> ColumnElement[bool]:
    """Match one target: a guest by its cluster and number, whichever node it is on; a host by its agent."""
    among = case((operations.c.vmid.is_(None), None), else_=agents.c.cluster_pk)
    return (operations.c.target == target) & (func.coalesce(among, agents.c.id) == scope)
