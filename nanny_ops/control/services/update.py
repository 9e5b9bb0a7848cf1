"""Updates of agents: ordered, and ended by the word of whichever version runs afterwards."""

import uuid
from datetime import datetime, timedelta

from nanny_ops.control.services import lease, policy
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.patch import expiry
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.services.release import named
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store import release as releases
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.release import Release
from nanny_ops.errors import Conflict, NotFound
from nanny_ops.protocol.clock import from_micros, micros, stamp, stamp_micros
from nanny_ops.protocol.legacy import NANNYAGENT
from nanny_ops.protocol.operation import GOOD, MOVES, Outcome, Status
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.update import Update, UpdateRequest, UpdateResult

KIND = "update"
#: What an update is aimed at: the agent itself, so that it never waits for a patch, which runs outside the agent.
TARGET = "agent"
#: How long an order waits for its agent, unless it says otherwise.
LIFETIME = timedelta(days=1)


def place(tx: Tx, person: Person, request: UpdateRequest, now: datetime) -> Operation:
    """Order an update and tell the agent. Raises NotFound, Forbidden, Conflict, ValidationFailed."""
    agent = agents.get(tx, request.agent_id, person.teams)
    if agent is None:
        raise NotFound(f"There is no agent '{request.agent_id}'.")
    person.require(agent.team_id, "operator", "patch")
    if agent.status == "revoked":
        raise Conflict("This agent was revoked; it takes no orders.")
    if agent.dialect == NANNYAGENT:
        raise Conflict("Agents of the older dialect cannot update themselves; install this one in their place.")
    policy.demand(tx, agent, KIND, None, now)
    release = _wanted(tx, agent, request.release_id)
    for other in rows.open_of(tx, agent.id):
        if other.kind == KIND:
            raise Conflict(f"The update {other.id} is {other.status}.", id=other.id, status=other.status)
    told = {"release_id": release.id, "version": release.version, "sha256": release.sha256, "size": release.size}
    operation = Operation(
        id=f"update-{uuid.uuid4()}",
        team_id=agent.team_id,
        agent_id=agent.id,
        kind=KIND,
        status="pending",
        target=TARGET,
        request={**told, "force": request.force, "timeout_seconds": request.timeout_seconds},
        created_by=person.id,
        created_at=micros(now),
        updated_at=micros(now),
        expires_at=micros(expiry(request.expires_at, now, LIFETIME)),
    )
    return operations.create(tx, operation)


def visible(tx: Tx, person: Person, update_id: str) -> Operation:
    """Return an update of one of the person's teams. Raises NotFound."""
    found = rows.get(tx, update_id, KIND, person.teams)
    if found is None:
        raise NotFound(f"There is no update '{update_id[:64]}'.")
    return found


def withdraw(tx: Tx, person: Person, update_id: str, now: datetime) -> tuple[Operation, bool]:
    """Take an order back that has not begun; return it, and whether this ended it. Idempotent.

    Raises NotFound, Forbidden, and Conflict for one that has begun or has ended otherwise.
    """
    operation = visible(tx, person, update_id)
    person.require(operation.team_id, "operator", "patch")
    if operation.status == Status.RUNNING:
        raise Conflict("The agent has begun this update; it ends by itself.", status=operation.status)
    cancelled = operations.cancel(tx, operation, f"Cancelled by {person.email}.", now)
    return cancelled, cancelled is not operation


def take(tx: Tx, agent: HostAgent, update_id: str, said: UpdateResult, now: datetime) -> tuple[Operation, bool]:
    """End an update as its agent says, also a late one; the first result stands. Return it, and whether this is it.

    Raises NotFound, Forbidden, and Fenced when another holds the lease.
    """
    operation = operations.owned(tx, agent, update_id)
    if operation.kind != KIND:
        raise NotFound(f"There is no update '{update_id[:64]}'.")
    lease.check(operation, said.lease, said.claim)
    outcome = said.outcome if said.outcome in set(Outcome) else Outcome.AGENT_ERROR.value
    to = Status.COMPLETED if outcome in GOOD else Status.FAILED
    if operation.result is not None or to not in MOVES[Status(operation.status)]:
        return operation, False
    result = {"version": plain(said.version)}
    ended = operations.move(tx, operation, to, now, outcome=outcome, reason=plain(said.reason), result=result)
    lease.release(tx, ended, now)
    return ended, True


def rendered(operation: Operation) -> Update:
    """Return an update as people see it."""
    asked = operation.request
    return Update(
        id=operation.id,
        agent_id=operation.agent_id,
        release_id=asked["release_id"],
        version=asked["version"],
        status=operation.status,
        outcome=operation.outcome,
        reason=operation.reason,
        running_version=(operation.result or {}).get("version", ""),
        force=asked["force"],
        created_by=operation.created_by,
        created_at=stamp(from_micros(operation.created_at)),
        updated_at=stamp(from_micros(operation.updated_at)),
        expires_at=stamp(from_micros(operation.expires_at)),
        started_at=stamp_micros(operation.started_at),
        finished_at=stamp_micros(operation.finished_at),
    )


def _wanted(tx: Tx, agent: agents.Agent, release_id: str) -> Release:
    if release_id:
        return named(tx, release_id, [agent.team_id])
    found = releases.newest(tx, agent.team_id)
    if found is None:
        raise NotFound("There is no release; add one with 'nanny-ops release add'.")
    return found
