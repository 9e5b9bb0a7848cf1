"""Operations of every kind."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, func, insert, select, text, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import operations
from nanny_ops.protocol.operation import OPEN

#: Built once: on the path of every order the building of a statement costs more than its execution.
ADD = insert(operations)


@dataclass(frozen=True)
class Operation:
    """One order. ``target`` is ``host`` or ``lxc:<vmid>``; ``request`` is what was asked, ``result`` what came back."""

    id: str
    team_id: str
    agent_id: str
    kind: str
    status: str
    target: str
    request: dict[str, Any]
    created_by: str
    created_at: int
    updated_at: int
    expires_at: int
    outcome: str | None = None
    reason: str = ""
    vmid: int | None = None
    script_id: str | None = None
    result: dict[str, Any] | None = field(default=None)
    delivered_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    lease_token: int = 0
    lease_until: int | None = None
    claim: str | None = None
    silent_at: int | None = None
    held_until: int | None = None
    asked_at: int | None = None
    request_key: str | None = None
    request_digest: str | None = None
    batch_id: str | None = None
    outputs_dropped_at: int | None = None


def add(tx: Tx, operation: Operation) -> None:
    """Write a new operation."""
    tx.connection.execute(ADD, vars(operation))


def get(tx: Tx, operation_id: str, kind: str, teams: Collection[str]) -> Operation | None:
    """Find an operation of one kind in these teams."""
    chosen = (operations.c.id == operation_id) & (operations.c.kind == kind) & operations.c.team_id.in_(teams)
    return _operation(tx.connection.execute(tx.held(select(operations).where(chosen))).first())


def of_agent(tx: Tx, operation_id: str, agent_id: str) -> Operation | None:
    """Find an operation of an agent."""
    chosen = (operations.c.id == operation_id) & (operations.c.agent_id == agent_id)
    return _operation(tx.connection.execute(tx.held(select(operations).where(chosen))).first())


def find(tx: Tx, operation_id: str) -> Operation | None:
    """Find an operation of anybody: only to tell a foreign one from one that does not exist."""
    return _operation(tx.connection.execute(select(operations).where(operations.c.id == operation_id)).first())


def open_of(tx: Tx, agent_id: str) -> list[Operation]:
    """Return an agent's open operations, oldest first."""
    chosen = (operations.c.agent_id == agent_id) & operations.c.status.in_(OPEN)
    rows = tx.connection.execute(select(operations).where(chosen).order_by(operations.c.created_at, operations.c.id))
    return [Operation(**row._mapping) for row in rows]


def open_patches(tx: Tx, team_id: str) -> list[Operation]:
    """Return a team's patches that have not ended, oldest first."""
    chosen = (operations.c.team_id == team_id) & (operations.c.kind == "patch") & operations.c.status.in_(OPEN)
    rows = tx.connection.execute(select(operations).where(chosen).order_by(operations.c.created_at, operations.c.id))
    return [Operation(**row._mapping) for row in rows]


def by_request_key(tx: Tx, key: str, since: int) -> Operation | None:
    """Find the newest operation that was asked for with this key since an instant; holds others with the key back."""
    if tx.connection.dialect.name == "postgresql":
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
    chosen = (operations.c.request_key == key) & (operations.c.created_at >= since)
    newest = select(operations).where(chosen).order_by(operations.c.created_at.desc()).limit(1)
    return _operation(tx.connection.execute(newest).first())


def page(
    tx: Tx, kind: str, teams: Collection[str], limit: int, offset: int, **filters: Any
) -> tuple[list[Operation], int]:
    """Return a page, newest first, and how many there are.

    Filters are columns, or ``mode`` of what was asked, that must equal a value.
    """
    chosen = (operations.c.kind == kind) & operations.c.team_id.in_(teams)
    for name, value in filters.items():
        column = operations.c.request["mode"].as_string() if name == "mode" else operations.c[name]
        chosen &= column == value
    newest = select(operations).where(chosen).order_by(operations.c.created_at.desc(), operations.c.id)
    rows = tx.connection.execute(newest.limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(operations).where(chosen)).scalar_one()
    return [Operation(**row._mapping) for row in rows], total


def overdue(tx: Tx, now: int, limit: int) -> list[Operation]:
    """Return open operations whose expiry has passed, oldest first."""
    chosen = operations.c.status.in_(OPEN) & (operations.c.expires_at <= now)
    oldest = select(operations).where(chosen).order_by(operations.c.expires_at).limit(limit)
    rows = tx.connection.execute(tx.held(oldest, pass_over=True))
    return [Operation(**row._mapping) for row in rows]


def change(tx: Tx, operation_id: str, **values: Any) -> None:
    """Change fields of an operation."""
    tx.connection.execute(update(operations).where(operations.c.id == operation_id).values(**values))


def _operation(row: Row[Any] | None) -> Operation | None:
    return None if row is None else Operation(**row._mapping)
