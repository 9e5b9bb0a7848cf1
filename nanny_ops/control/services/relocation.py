"""Orders for guests that have moved before they were begun: they follow the guest, or end and say why they cannot."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from nanny_ops.control.services import audit
from nanny_ops.control.services import operation as operations
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store import relocation as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.operation import Outcome, Status

#: Orders that are looked at in one sweep: bounds the writer's time.
SWEEP = 200


def sweep(tx: Tx, now: datetime) -> list[Operation]:
    """Re-address what has not begun and whose guest lies elsewhere now; return what was ended instead."""
    ended = []
    for operation, node, there in store.strayed(tx, SWEEP):
        if there is None:
            ended.append(_lost(tx, operation, node, now))
        else:
            _follow(tx, operation, node, there, now)
    return ended


def leave(tx: Tx, operation: Operation, now: datetime) -> Operation | None:
    """Return how an order ends for its agent that asks to begin it when the guest is not there any more, else None."""
    for stray, node, there in store.strayed(tx, 1, operation.id):
        return _lost(tx, stray, node, now) if there is None else _follow(tx, stray, node, there, now)
    return None


def _follow(tx: Tx, operation: Operation, node: str, agent_id: str, now: datetime) -> Operation:
    # Its agent drops the order on this word; asked for again in spite of it, it would be another agent's.
    reason = f"The guest has moved to {node}; the order went to the agent there."
    told = replace(operation, status=Status.CANCELLED.value, outcome=Outcome.CANCELLED.value, reason=reason)
    operations.announce(tx, told, "update", micros(now))
    moved = {"agent_id": agent_id, "status": Status.PENDING.value, "delivered_at": None, "asked_at": None}
    request = {**operation.request, "node": node} if "node" in operation.request else operation.request
    changed: dict[str, Any] = {**moved, "request": request, "reason": "", "updated_at": micros(now)}
    rows.change(tx, operation.id, **changed)
    operations.announce(tx, replace(operation, **changed), "create", micros(now))
    detail = {"from": operation.agent_id, "to": agent_id, "target": operation.target}
    audit.note(tx, f"{operation.kind}.follow", operation.id, now, operation.team_id, **detail)
    return told


def _lost(tx: Tx, operation: Operation, node: str, now: datetime) -> Operation:
    where = f"has moved to {node}, where no agent runs" if node else "is gone"
    reason = f"The guest {where}; the order was not begun."
    return operations.move(
        tx, operation, Status.FAILED, now, outcome=Outcome.TARGET_LOST.value, reason=reason, asked_at=None
    )
