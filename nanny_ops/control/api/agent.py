"""Agents: how one is, which there are, and the end of one's trust."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from nanny_ops.control.api.page import Listed, Paging
from nanny_ops.control.api.state import AsAnyone, AsPerson, Control, State
from nanny_ops.control.services import agent as service
from nanny_ops.control.services import breaker, policy
from nanny_ops.control.services.capacity import bounds_of
from nanny_ops.control.store import agent as store
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol import agent as wire
from nanny_ops.protocol.agent import AgentDetail
from nanny_ops.protocol.enrollment import AgentStatus

router = APIRouter(tags=["agents"])
UNKNOWN: dict[int | str, dict[str, Any]] = {
    403: {"description": "Another agent, or a role that does not allow it"},
    404: {"description": "No such agent in your teams"},
}


@router.get("/api/agent/{agent_id}", responses=UNKNOWN)
async def status(agent_id: str, who: AsAnyone, control: Control) -> AgentStatus:
    """Show how an agent is, to itself or to people of its team."""
    now = control.clock()

    def look(tx: Tx) -> AgentStatus:
        found = service.seen_by(tx, who, agent_id)
        return service.status(found, now, service.duplicated(tx, [found], now).get(found.id))

    return await control.database.read(look)


@router.get("/api/agents")
async def every(
    who: AsPerson,
    control: Control,
    paging: Paging,
    hostname: Annotated[str, Query(max_length=255, description="Only on hosts of this name")] = "",
) -> Listed[wire.Agent]:
    """List the agents of your teams by name, revoked ones too."""

    def look(tx: Tx) -> tuple[list[wire.Agent], int]:
        found, total = store.page(tx, who.teams, paging.limit, paging.offset, hostname)
        return _shown(tx, found, control), total

    return paging.of(*await control.database.read(look))


@router.get("/api/agents/{agent_id}", responses=UNKNOWN)
async def one(agent_id: str, who: AsPerson, control: Control) -> AgentDetail:
    """Show an agent with the policy of its machine's owner, as it told it last; ``null`` where it never did."""

    def look(tx: Tx) -> AgentDetail:
        found = service.seen_by(tx, who, agent_id)
        return AgentDetail(**vars(_shown(tx, [found], control)[0]), policy=policy.shown(tx, found))

    return await control.database.read(look)


@router.post("/api/agents/{agent_id}/revoke", responses=UNKNOWN)
async def revoke(agent_id: str, who: AsPerson, control: Control) -> wire.Agent:
    """End the trust in an agent: from now on each of its tokens gets 403, and its streams are closed."""
    found = await control.database.write(
        lambda tx: _shown(tx, [service.revoke(tx, who, agent_id, control.clock())], control)
    )
    control.sessions.forget(agent_id)
    control.streams.close_subject(agent_id)
    return found[0]


@router.post("/api/agents/{agent_id}/resume", responses=UNKNOWN)
async def resume(agent_id: str, who: AsPerson, control: Control) -> wire.Agent:
    """End the rest that a node was given after failures in a row: its orders of batches go on. Needs operator."""
    found = await control.database.write(
        lambda tx: _shown(tx, [breaker.resume(tx, who, agent_id, control.clock())], control)
    )
    return found[0]


def _shown(tx: Tx, found: Sequence[Agent], control: State) -> list[wire.Agent]:
    now = control.clock()
    doubled, unread = service.duplicated(tx, found, now), service.unread(tx, found)
    resting = breaker.resting(tx, [one.id for one in found], bounds_of(control.settings).rest, now)
    return [
        service.rendered(one, now, doubled.get(one.id), unread.get(one.id, ()), resting.get(one.id)) for one in found
    ]
