"""What all orders have in common, whatever is ordered: who may place, see and take one back, how it begins and ends."""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import lease, request_key
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.services.request_key import RequestKey
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as store
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, NotFound, ValidationFailed
from nanny_ops.protocol.clock import micros, parse_stamp
from nanny_ops.protocol.operation import GOOD, MOVES, Kind, Outcome, Status
from nanny_ops.protocol.package_list import plain

LONGEST_EXPIRY = timedelta(days=30)
#: What people call an order of each kind.
NOUNS: dict[Kind, str] = {
    "patch": "patch operation",
    "reboot": "reboot",
    "update": "update",
    "prune": "removal of snapshots",
}


def addressee(tx: Tx, person: Person, agent_id: str) -> Agent:
    """Return the agent that an order is for. Raises NotFound, and Forbidden for who may not give orders to it."""
    agent = agents.get(tx, agent_id, person.teams)
    if agent is None:
        raise NotFound(f"There is no agent '{agent_id}'.")
    person.require(agent.team_id, "operator", "patch")
    return agent


def demand_trust(agent: Agent) -> None:
    """Raise Conflict for an agent that was revoked."""
    if agent.status == "revoked":
        raise Conflict("This agent was revoked; it takes no orders.")


def new(
    person: Person, agent: Agent, kind: Kind, target: str, request: dict[str, Any], lapses: datetime, now: datetime,
    **more: Any,
) -> Operation:  # fmt: skip
    """Return a new order, not yet written; ``lapses`` is when nobody may begin it any more."""
    return Operation(
        id=f"{kind}-{uuid.uuid4()}",
        team_id=agent.team_id,
        agent_id=agent.id,
        kind=kind,
        status="pending",
        target=target,
        request=request,
        created_by=person.id,
        created_at=micros(now),
        updated_at=micros(now),
        expires_at=micros(lapses),
        **more,
    )


def repeated(tx: Tx, asked: RequestKey, now: datetime) -> Operation | None:
    """Return the order that the same request with the same key made before. Raises Conflict for another request."""
    earlier = store.by_request_key(tx, asked.name, request_key.since(now)) if asked.name else None
    if earlier is not None:
        asked.demand_same(earlier.request_digest)
    return earlier


def create(tx: Tx, operation: Operation, asked: RequestKey) -> Operation:
    """Write a new order with the key of its request, and tell its agent."""
    return operations.create(tx, replace(operation, request_key=asked.name, request_digest=asked.digest))


def expiry(expires_at: str, now: datetime, usual: timedelta) -> datetime:
    """Return when an order lapses that nobody has begun. Raises ValidationFailed."""
    if not expires_at:
        return now + usual
    try:
        asked = parse_stamp(expires_at)
    except ValidationFailed as wrong:
        raise ValidationFailed(f"expires_at: {wrong.message}", field="expires_at") from None
    if not now < asked <= now + LONGEST_EXPIRY:
        raise ValidationFailed("expires_at: must lie ahead, by 30 days at most.", field="expires_at")
    return asked


def visible(tx: Tx, person: Person, kind: Kind, order_id: str) -> Operation:
    """Return an order of one of the person's teams. Raises NotFound."""
    found = store.get(tx, order_id, kind, person.teams)
    if found is None:
        raise NotFound(f"There is no {NOUNS[kind]} '{order_id[:64]}'.")
    return found


def withdraw(
    tx: Tx, person: Person, kind: Kind, order_id: str, now: datetime, begun: str = ""
) -> tuple[Operation, bool]:
    """Cancel an order; return it, and whether this ended it. Idempotent.

    ``begun`` says why one that runs cannot be taken back; without it a running one is cancelled too. Raises NotFound,
    Forbidden, and Conflict for one that runs then, or has ended otherwise.
    """
    operation = visible(tx, person, kind, order_id)
    person.require(operation.team_id, "operator", "patch")
    if begun and operation.status == Status.RUNNING:
        raise Conflict(begun, status=operation.status)
    cancelled = operations.cancel(tx, operation, f"Cancelled by {person.email}.", now)
    return cancelled, cancelled is not operation


def owned(tx: Tx, agent: HostAgent, kind: Kind, order_id: str) -> Operation:
    """Return an order of one kind that is the agent's own. Raises NotFound, or Forbidden for another agent's."""
    found = operations.owned(tx, agent, order_id)
    if found.kind != kind:
        raise NotFound(f"There is no {NOUNS[kind]} '{order_id[:64]}'.")
    return found


def outcome_of(said: str) -> str:
    """Return an agent's word for an outcome; one that is not known here is its own failure."""
    return said if said in set(Outcome) else Outcome.AGENT_ERROR.value


def end(
    tx: Tx, operation: Operation, outcome: str, reason: str, result: dict[str, Any], now: datetime
) -> tuple[Operation, bool]:
    """End an order as its agent says, also a late one; the first result stands. Return it, and whether this is it."""
    to = Status.COMPLETED if outcome in GOOD else Status.FAILED
    if operation.result is not None or to not in MOVES[Status(operation.status)]:
        return operation, False
    ended = operations.move(tx, operation, to, now, outcome=outcome, reason=plain(reason), result=result)
    lease.release(tx, ended, now)
    return ended, True
