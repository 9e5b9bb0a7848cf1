"""Updates of agents: ordered, and ended by the word of whichever version runs afterwards."""

from datetime import datetime, timedelta

from nanny_ops.control.services import lease, order, policy
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.services.release import named
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store import release as releases
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.release import Release
from nanny_ops.errors import Conflict, NotFound
from nanny_ops.protocol.clock import from_micros, stamp, stamp_micros
from nanny_ops.protocol.legacy import NANNYAGENT
from nanny_ops.protocol.operation import Kind
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.update import Update, UpdateRequest, UpdateResult

KIND: Kind = "update"
BEGUN = "The agent has begun this update; it ends by itself."
#: What an update is aimed at: the agent itself, so that it never waits for a patch, which runs outside the agent.
TARGET = "agent"
#: How long an order waits for its agent, unless it says otherwise.
LIFETIME = timedelta(days=1)


def place(tx: Tx, person: Person, request: UpdateRequest, now: datetime) -> Operation:
    """Order an update and tell the agent. Raises NotFound, Forbidden, Conflict, ValidationFailed."""
    agent = order.addressee(tx, person, request.agent_id)
    order.demand_trust(agent)
    if agent.dialect == NANNYAGENT:
        raise Conflict("Agents of the older dialect cannot update themselves; install this one in their place.")
    policy.demand(tx, agent, KIND, None, now)
    release = _wanted(tx, agent, request.release_id)
    for other in rows.open_of(tx, agent.id):
        if other.kind == KIND:
            raise Conflict(f"The update {other.id} is {other.status}.", id=other.id, status=other.status)
    told = {"release_id": release.id, "version": release.version, "sha256": release.sha256, "size": release.size}
    asked = {**told, "force": request.force, "timeout_seconds": request.timeout_seconds}
    lapses = order.expiry(request.expires_at, now, LIFETIME)
    return operations.create(tx, order.new(person, agent, KIND, TARGET, asked, lapses, now))


def visible(tx: Tx, person: Person, update_id: str) -> Operation:
    """Return an update of one of the person's teams. Raises NotFound."""
    return order.visible(tx, person, KIND, update_id)


def withdraw(tx: Tx, person: Person, update_id: str, now: datetime) -> tuple[Operation, bool]:
    """Take an order back that has not begun; return it, and whether this ended it. Idempotent.

    Raises NotFound, Forbidden, and Conflict for one that has begun or has ended otherwise.
    """
    return order.withdraw(tx, person, KIND, update_id, now, BEGUN)


def take(tx: Tx, agent: HostAgent, update_id: str, said: UpdateResult, now: datetime) -> tuple[Operation, bool]:
    """End an update as its agent says, also a late one; the first result stands. Return it, and whether this is it.

    Raises NotFound, Forbidden, and Fenced when another holds the lease.
    """
    operation = order.owned(tx, agent, KIND, update_id)
    lease.check(operation, said.lease, said.claim)
    return order.end(tx, operation, order.outcome_of(said.outcome), said.reason, {"version": plain(said.version)}, now)


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
