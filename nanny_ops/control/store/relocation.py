"""Orders that have not begun and whose guest is no longer on the node of their agent."""

from sqlalchemy import func, or_, select, true

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.lease import UNBEGUN
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.proxmox_tables import guests, reporters
from nanny_ops.control.store.tables import agents, operations


def strayed(tx: Tx, limit: int, operation_id: str = "") -> list[tuple[Operation, str, str | None]]:
    """Return such orders, oldest first, with the guest's node (empty: it is gone) and the agent on it, if one is.

    With ``operation_id`` at most this one. Orders about which another process decides just now are passed over. Agents
    that do not say on which node they are, and guests of which nobody can say where they are, are left out.
    """
    scope = func.coalesce(agents.c.cluster_pk, agents.c.id)
    moved = (guests.c.node != reporters.c.node) & guests.c.unknown_since.is_(None)
    found = (
        select(operations, *(guests.c[name].label(f"guest_{name}") for name in ("node", "gone_at", "scope")))
        .join(agents, agents.c.id == operations.c.agent_id)
        .join(reporters, reporters.c.agent_id == agents.c.id)
        .join(guests, (guests.c.scope == scope) & (guests.c.vmid == operations.c.vmid))
        .where(operations.c.kind.in_(("patch", "prune")) & operations.c.status.in_(UNBEGUN))
        .where(or_(guests.c.gone_at.is_not(None), moved))
        .where((operations.c.id == operation_id) if operation_id else true())
        .order_by(operations.c.created_at, operations.c.id)
        .limit(limit)
    )
    strays = []
    for row in tx.connection.execute(tx.held(found, pass_over=True, of=operations)):
        values = dict(row._mapping)
        node, gone, place = values.pop("guest_node"), values.pop("guest_gone_at"), values.pop("guest_scope")
        there = None if gone is not None else _agent_on(tx, place, node)
        strays.append((Operation(**values), "" if gone is not None else node, there))
    return strays


def _agent_on(tx: Tx, scope: str, node: str) -> str | None:
    mine = (reporters.c.scope == scope) & (reporters.c.node == node) & (agents.c.status != "revoked")
    joined = select(reporters.c.agent_id).join(agents, agents.c.id == reporters.c.agent_id).where(mine)
    return tx.connection.execute(joined.order_by(reporters.c.heard_at.desc()).limit(1)).scalar()
