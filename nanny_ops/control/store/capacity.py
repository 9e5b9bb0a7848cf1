"""Which patches run and which ask to begin in one cluster, or on one host outside a cluster."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.lease import UNBEGUN
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.tables import agents, operations

#: Orders that ask at the same time and are looked at; those behind wait for these in any case.
ASKING = 500


def scope_of(tx: Tx, agent_id: str) -> str:
    """Return the cluster that an agent belongs to, else the agent itself."""
    return tx.connection.execute(select(agents.c.cluster_pk).where(agents.c.id == agent_id)).scalar() or agent_id


def running(tx: Tx, scope: str, now: int) -> list[Operation]:
    """Return the patches for which a target is held."""
    return _of(tx, _within(scope).where(operations.c.held_until > now))


def asking(tx: Tx, scope: str, now: int, asked_since: int) -> list[Operation]:
    """Return the patches that have asked since an instant and may not begin yet, the oldest first."""
    waits = operations.c.status.in_(UNBEGUN) & (operations.c.asked_at > asked_since) & (operations.c.expires_at > now)
    oldest = _within(scope).where(waits).order_by(operations.c.created_at, operations.c.id)
    return _of(tx, oldest.limit(ASKING))


def _within(scope: str) -> "Select[Any]":
    mine: ColumnElement[bool] = func.coalesce(agents.c.cluster_pk, agents.c.id) == scope
    joined = select(operations).join(agents, agents.c.id == operations.c.agent_id)
    return joined.where(mine & (operations.c.kind == "patch"))


def _of(tx: Tx, query: "Select[Any]") -> list[Operation]:
    return [Operation(**row._mapping) for row in tx.connection.execute(query)]
