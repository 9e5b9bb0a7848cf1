"""The life of an order: created, delivered, running, ended. Each step is an event to its agent in the same commit."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from nanny_ops.control.services import audit, breaker, ending
from nanny_ops.control.services.counts import Counts
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.services.record import TOPICS, record
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, Forbidden, NotFound
from nanny_ops.protocol.clock import from_micros, micros
from nanny_ops.protocol.operation import ENDED, MOVES, Outcome, Status
from nanny_ops.protocol.realtime import Action

log = structlog.get_logger()
#: Operations expired in one sweep: bounds the writer's time.
SWEEP = 200
UNPROVED = (
    "The agent acknowledged the reboot, and no report has shown in time that the target began anew; nobody knows "
    "whether it did. A report of the next hour that shows it is still taken."
)
UNHEARD = (
    "The agent began the reboot and was not heard of again in time; nobody knows what became of it. A late result is "
    "still taken."
)


def create(tx: Tx, operation: Operation) -> Operation:
    """Write a new operation and tell its agent."""
    store.add(tx, operation)
    announce(tx, operation, "create", operation.created_at)
    asked = {"agent": operation.agent_id, "target": operation.target, "mode": operation.request.get("mode", "")}
    at = from_micros(operation.created_at)
    audit.note(tx, f"{operation.kind}.create", operation.id, at, operation.team_id, **asked)
    return operation


def move(tx: Tx, operation: Operation, to: Status, now: datetime, **values: Any) -> Operation:
    """Bring an operation to a state and tell its agent. Raises Conflict where no way leads there."""
    if to not in MOVES[Status(operation.status)]:
        raise Conflict(f"The operation is {operation.status}; it cannot become {to}.", status=operation.status)
    changed = {**values, "status": to.value, "updated_at": micros(now)}
    if to in ENDED:
        changed.setdefault("finished_at", micros(now))
    store.change(tx, operation.id, **changed)
    moved = replace(operation, **changed)
    announce(tx, moved, "update", micros(now))
    if to in ENDED:
        told = {"agent": moved.agent_id, "status": moved.status, "outcome": moved.outcome}
        audit.note(tx, f"{moved.kind}.end", moved.id, now, moved.team_id, **told)
        breaker.note(tx, moved, now)
        ending.tell(tx, moved, now)
    return moved


def announce(tx: Tx, operation: Operation, action: Action, at: int) -> None:
    """Log an event that carries the operation's present record; an agent is not sent what it asked for itself."""
    if is_own(operation):
        return
    payload = {"action": action, "record": record(operation)}
    topic = TOPICS[operation.kind]
    events.log(
        tx, team_id=operation.team_id, topic=topic, subject=operation.agent_id, kind=action, payload=payload, at=at
    )


def open_for(tx: Tx, agent: HostAgent) -> list[dict[str, Any]]:
    """Return what an agent still has to do, oldest first, as topic and record."""
    return [
        {"topic": TOPICS[item.kind], "record": record(item)} for item in store.open_of(tx, agent.id) if not is_own(item)
    ]


def is_own(operation: Operation) -> bool:
    """Tell whether the agent made this operation itself and so works on it already: sent back, it would run twice."""
    return operation.created_by == operation.agent_id


def owned(tx: Tx, agent: HostAgent, operation_id: str) -> Operation:
    """Return the agent's operation. Raises NotFound, or Forbidden for another agent's."""
    found = store.of_agent(tx, operation_id, agent.id)
    if found is not None:
        return found
    if store.find(tx, operation_id) is None:
        raise NotFound(f"There is no operation '{operation_id}'.")
    raise Forbidden("This operation belongs to another agent.")


def tell_end(counts: Counts, operation: Operation) -> None:
    """Write an operation's end to the log and the counters: once, after the commit that ended it."""
    outcome = operation.outcome or "none"
    counts.operations.labels(operation.kind, outcome).inc()
    began = operation.started_at or operation.created_at
    log.info(
        "operation ended",
        id=operation.id,
        agent=operation.agent_id,
        kind=operation.kind,
        target=operation.target,
        status=operation.status,
        outcome=outcome,
        seconds=round(((operation.finished_at or began) - began) / 1_000_000, 1),
    )


def cancel(tx: Tx, operation: Operation, reason: str, now: datetime) -> Operation:
    """End an operation before its time: a state first, a message to the agent second. Raises Conflict when ended."""
    if operation.status == Status.CANCELLED:
        return operation
    cancelled = move(tx, operation, Status.CANCELLED, now, outcome=Outcome.CANCELLED.value, reason=reason)
    audit.note(tx, f"{operation.kind}.cancel", operation.id, now, operation.team_id, agent=operation.agent_id)
    return cancelled


def sweep(tx: Tx, now: datetime) -> list[Operation]:
    """Expire what nobody has finished in time, some at once; return what was expired."""
    return [expire(tx, operation, now) for operation in store.overdue(tx, micros(now), SWEEP)]


def expire(tx: Tx, operation: Operation, now: datetime) -> Operation:
    """End an operation whose time has passed, and say what did not happen in time."""
    if operation.kind == "reboot" and operation.status == Status.RUNNING:
        reason = UNHEARD if operation.claim else UNPROVED
        return move(tx, operation, Status.EXPIRED, now, outcome=Outcome.UNKNOWN.value, reason=reason)
    reason = {
        Status.PENDING: "The agent did not fetch it in time.",
        Status.DELIVERED: "The agent did not begin it in time.",
    }.get(Status(operation.status), "The agent did not report its end in time; a late result is still taken.")
    return move(tx, operation, Status.EXPIRED, now, outcome=Outcome.EXPIRED.value, reason=reason)
