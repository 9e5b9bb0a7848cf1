"""A node that fails for reasons of its own, order after order, is given a rest before batches go on there.

After some failures in a row its orders of batches wait. When the rest is over one of them is tried: if that comes to
an end of its own, the others go on, else the node rests again. Orders that a person has placed singly are not kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import audit
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import breaker as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import NotFound
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


@dataclass(frozen=True)
class Rest:
    """When a node is given a rest: after how many failures in a row, and for how long."""

    failures: int = 3
    pause: timedelta = timedelta(minutes=15)


def note(tx: Tx, operation: Operation, now: datetime) -> None:
    """Count the end of a patch that had begun: a technical failure adds to its agent's row, anything else ends it."""
    if operation.kind != "patch" or operation.started_at is None or operation.outcome == Outcome.CANCELLED:
        return
    known = store.get(tx, operation.agent_id)
    if operation.outcome in TECHNICAL:
        failures = 1 if known is None else known.failures + 1
        reason = f"{operation.outcome}: {operation.reason}"[:REASON_CAP]
        row = store.Breaker(operation.agent_id, operation.team_id, failures, reason, micros(now))
        store.put(tx, row, known=known is not None)
    elif known is not None:
        store.forget(tx, operation.agent_id)


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


def resting(tx: Tx, ids: Collection[str], rest: Rest, now: datetime) -> Mapping[str, dict[str, Any]]:
    """Return which of these agents' nodes rest, or are tried again, with why, by agent."""
    found = store.some(tx, ids)
    return {
        key: {
            "failures": row.failures,
            "reason": row.reason,
            "until": stamp(from_micros(row.failed_at) + rest.pause),
            "trial": now >= from_micros(row.failed_at) + rest.pause,
        }
        for key, row in found.items()
        if row.failures >= rest.failures
    }


def resume(tx: Tx, person: Person, agent_id: str, now: datetime) -> agents.Agent:
    """End an agent's rest. Idempotent. Raises NotFound, Forbidden."""
    agent = agents.get(tx, agent_id, person.teams)
    if agent is None:
        raise NotFound(f"There is no agent '{agent_id[:64]}'.")
    person.require(agent.team_id, "operator", "patch")
    if (row := store.get(tx, agent.id)) is not None:
        store.forget(tx, agent.id)
        audit.note(tx, "agent.resume", agent.id, now, agent.team_id, failures=row.failures)
    return agent
