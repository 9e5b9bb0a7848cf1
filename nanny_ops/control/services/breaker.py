"""A node that fails for reasons of its own, order after order, is given a rest before batches go on there.

After some failures in a row its orders of batches wait. When the rest is over one of them is tried: if that comes to
an end of its own, the others go on, else the node rests again. Orders that a person has placed singly are not kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import audit, change
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import breaker as store
from nanny_ops.control.store import inventory
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import NotFound
from nanny_ops.protocol.agent import Resting
from nanny_ops.protocol.clock import from_micros, micros, stamp
from nanny_ops.protocol.operation import Outcome

#: What speaks against the node and not against what was patched: a package that fails is no reason to stop others.
TECHNICAL = frozenset(
    {
        Outcome.AGENT_ERROR,
        Outcome.DISK_FULL,
        Outcome.NO_PROXMOX,
        Outcome.TARGET_LOST,
        Outcome.TIMED_OUT,
        Outcome.UNKNOWN,
    }
)
REASON_CAP = 1024
#: Nodes told of in one sweep: bounds the writer's time.
SWEEP = 200


@dataclass(frozen=True)
class Rest:
    """When a node is given a rest: after how many failures in a row, and for how long."""

    failures: int = 3
    pause: timedelta = timedelta(minutes=15)


def note(tx: Tx, operation: Operation, now: datetime) -> None:
    """Count the end of a patch that had begun: a technical failure adds to its agent's row, anything else ends it."""
    if operation.kind != "patch" or operation.started_at is None or operation.outcome == Outcome.CANCELLED:
        return
    store.lock(tx, operation.agent_id)
    known = store.get(tx, operation.agent_id)
    if operation.outcome in TECHNICAL:
        failures = 1 if known is None else known.failures + 1
        reason = f"{operation.outcome}: {operation.reason}"[:REASON_CAP]
        opened = None if known is None else known.opened_at
        row = store.Breaker(operation.agent_id, operation.team_id, failures, reason, micros(now), opened)
        store.put(tx, row, known=known is not None)
    elif known is not None:
        _close(tx, known, now, by=operation.id)


def sweep(tx: Tx, rest: Rest, now: datetime) -> list[store.Breaker]:
    """Tell people of the nodes that rest from now on, each once, and return them."""
    found = store.untold(tx, rest.failures, SWEEP)
    for row in found:
        store.put(tx, replace(row, opened_at=micros(now)), known=True)
        until = stamp(from_micros(row.failed_at) + rest.pause)
        detail = {"failures": row.failures, "reason": row.reason, "until": until}
        _tell(tx, row, "node.resting", now, **detail)
        audit.note(tx, "agent.rest", row.agent_id, now, row.team_id, failures=row.failures)
    return found


def why_wait(tx: Tx, operation: Operation, rest: Rest, busy: bool, now: datetime) -> str:
    """Say why an order of a batch must wait for its node; empty if it need not. ``busy``: another order runs there."""
    row = store.get(tx, operation.agent_id) if operation.batch_id else None
    if row is None or row.failures < rest.failures:
        return ""
    until = from_micros(row.failed_at) + rest.pause
    why = f"Its node failed {row.failures} times in a row, last with {row.reason}"
    if now < until:
        return f"{why}; it rests until {stamp(until)}, unless a person resumes it."
    return f"{why}; another order is tried there first." if busy else ""


def resting(tx: Tx, ids: Collection[str], rest: Rest, now: datetime) -> Mapping[str, Resting]:
    """Return which of these agents' nodes rest, or are tried again, with why, by agent."""
    found = store.some(tx, ids)
    return {
        key: Resting(
            failures=row.failures,
            reason=row.reason,
            until=stamp(from_micros(row.failed_at) + rest.pause),
            trial=now >= from_micros(row.failed_at) + rest.pause,
        )
        for key, row in found.items()
        if row.failures >= rest.failures
    }


def resume(tx: Tx, person: Person, agent_id: str, now: datetime) -> agents.Agent:
    """End an agent's rest. Idempotent. Raises NotFound, Forbidden."""
    agent = agents.get(tx, agent_id, person.teams)
    if agent is None:
        raise NotFound(f"There is no agent '{agent_id[:64]}'.")
    person.require(agent.team_id, "operator", "patch")
    store.lock(tx, agent.id)
    if (row := store.get(tx, agent.id)) is not None:
        _close(tx, row, now, by=person.id)
        audit.note(tx, "agent.resume", agent.id, now, agent.team_id, failures=row.failures)
    return agent


def _close(tx: Tx, row: store.Breaker, now: datetime, *, by: str) -> None:
    """Begin to count anew; people who were told that the node rests are told who has ended that."""
    store.forget(tx, row.agent_id)
    if row.opened_at is not None:
        _tell(tx, row, "node.resumed", now, failures=row.failures, by=by)


def _tell(tx: Tx, row: store.Breaker, kind: str, now: datetime, **detail: Any) -> None:
    agent = agents.some(tx, [row.agent_id])[row.agent_id]
    name = agent.hostname.partition(".")[0]
    scope = agent.cluster_pk or agent.id
    cluster = inventory.cluster_name(tx, scope)
    where = change.Place(row.team_id, scope, agent.cluster_pk, cluster)
    told = change.Change(kind, f"node/{name}", name=name, node=name, detail={"agent_id": agent.id, **detail})
    change.tell(tx, where, [told], micros(now))
