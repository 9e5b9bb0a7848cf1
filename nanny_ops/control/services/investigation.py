"""Investigations: asked for, listed, declined by an agent that cannot look into its machine.

One that a person asks for is sent to the agent. One that an agent makes itself is not: that agent drives it by model
turns, and sent back it would be worked on twice. It stays open until its turns have ended it, or until it expires.
"""

import uuid
from datetime import datetime, timedelta
from typing import get_args

from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import policy
from nanny_ops.control.services.principal import HostAgent, Person, Principal
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, Forbidden, NotConfigured, NotFound
from nanny_ops.protocol.clock import from_micros, micros, stamp
from nanny_ops.protocol.investigation import Investigation, InvestigationReport, InvestigationRequest, Priority
from nanny_ops.protocol.operation import ENDED, MOVES, Outcome, Status

KIND = "investigation"
PRIORITIES: tuple[str, ...] = get_args(Priority)
#: How long an investigation may stay open.
LIFETIME = timedelta(days=1)


def create(tx: Tx, who: Principal, request: InvestigationRequest, now: datetime) -> Operation:
    """Ask for an investigation. Raises NotFound, Forbidden, Conflict."""
    agent = _agent(tx, who, request.agent_id)
    if isinstance(who, Person):
        policy.demand(tx, agent, KIND, None, now)
    operation = Operation(
        id=f"inv-{uuid.uuid4()}",
        team_id=agent.team_id,
        agent_id=agent.id,
        kind=KIND,
        status="pending",
        target="host",
        request={"issue": request.issue.replace("\0", "\N{REPLACEMENT CHARACTER}"), "priority": request.priority},
        created_by=who.id,
        created_at=micros(now),
        updated_at=micros(now),
        expires_at=micros(now + LIFETIME),
    )
    return operations.create(tx, operation)


def visible(tx: Tx, who: Principal, investigation_id: str) -> Operation:
    """Return an investigation of a person's teams or of the agent. Raises NotFound, and Forbidden for agents."""
    if isinstance(who, HostAgent):
        found = operations.owned(tx, who, investigation_id)
        if found.kind == KIND:
            return found
    elif (mine := store.get(tx, investigation_id, KIND, who.teams)) is not None:
        return mine
    raise NotFound(f"There is no investigation '{investigation_id}'.")


def take_turn(tx: Tx, who: Principal, investigation_id: str) -> None:
    """Refuse a model turn: there is no model. Raises NotFound, Forbidden, Conflict when it has ended, NotConfigured."""
    operation = visible(tx, who, investigation_id)
    if Status(operation.status) in ENDED:
        raise Conflict(f"The investigation is {operation.status}.", status=operation.status)
    raise NotConfigured("No model is configured on this control plane.")


def report(
    tx: Tx, agent: HostAgent, investigation_id: str, told: InvestigationReport, now: datetime
) -> tuple[Operation, bool]:
    """End an investigation as its agent says; return it, and whether this ended it.

    One that has ended stays as it is: the agent learns the state that stands.
    """
    operation = visible(tx, agent, investigation_id)
    late = Status(operation.status) in ENDED
    if late or Status.FAILED not in MOVES[Status(operation.status)]:
        return operation, False
    reason = told.reason.replace("\0", "\N{REPLACEMENT CHARACTER}")
    outcome = Outcome(told.outcome).value
    return operations.move(tx, operation, Status.FAILED, now, outcome=outcome, reason=reason), True


def rendered(operation: Operation) -> Investigation:
    """Return an investigation as people and agents see it."""
    return Investigation(
        id=operation.id,
        agent_id=operation.agent_id,
        issue=operation.request["issue"],
        user_prompt=operation.request["issue"],
        status=operation.status,
        outcome=operation.outcome,
        reason=operation.reason,
        priority=operation.request["priority"],
        created_at=stamp(from_micros(operation.created_at)),
        updated_at=stamp(from_micros(operation.updated_at)),
        resolution=(operation.result or {}).get("resolution"),
    )


def _agent(tx: Tx, who: Principal, agent_id: str) -> agents.Agent:
    if isinstance(who, HostAgent) and who.id != agent_id:
        raise Forbidden("An agent may only ask for an investigation of its own machine.")
    agent = agents.get(tx, agent_id, who.teams)
    if agent is None:
        raise NotFound(f"There is no agent '{agent_id}'.")
    if isinstance(who, Person):
        who.require(agent.team_id, "operator", "patch")
    if agent.status == "revoked":
        raise Conflict("This agent was revoked; it takes no orders.")
    return agent
