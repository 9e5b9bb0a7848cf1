"""Agents: how one is, which there are, and the end of one's trust."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from nanny_ops.control.api.state import AsAnyone, AsPerson, Control
from nanny_ops.control.services import agent as service
from nanny_ops.control.services import breaker, policy
from nanny_ops.control.services.breaker import Rest
from nanny_ops.control.services.capacity import bounds_of
from nanny_ops.control.store import agent as store
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
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
    response: Response,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> dict[str, Any]:
    """List the agents of your teams by name, revoked ones too."""
    now = control.clock()

    def look(tx: Tx) -> tuple[list[dict[str, Any]], int]:
        found, total = store.page(tx, who.teams, limit, offset)
        return _listed(tx, found, bounds_of(control.settings).rest, now), total

    items, total = await control.database.read(look)
    response.headers["X-Total-Count"] = str(total)
    return {"items": items, "total": total, "limit": limit, "offset": offset}


@router.get("/api/agents/{agent_id}", responses=UNKNOWN)
async def one(agent_id: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """Show an agent with the policy of its machine's owner, as it told it last; ``null`` where it never did."""
    now = control.clock()

    def look(tx: Tx) -> dict[str, Any]:
        found = service.seen_by(tx, who, agent_id)
        return {**_listed(tx, [found], bounds_of(control.settings).rest, now)[0], "policy": policy.shown(tx, found)}

    return await control.database.read(look)


@router.post("/api/agents/{agent_id}/revoke", responses=UNKNOWN)
async def revoke(agent_id: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """End the trust in an agent: from now on each of its tokens gets 403, and its streams are closed."""
    found = await control.database.write(lambda tx: service.revoke(tx, who, agent_id, control.clock()))
    control.sessions.forget(agent_id)
    control.streams.close_subject(agent_id)
    return service.rendered(found, control.clock())


@router.post("/api/agents/{agent_id}/resume", responses=UNKNOWN)
async def resume(agent_id: str, who: AsPerson, control: Control) -> dict[str, Any]:
    """End the rest that a node was given after failures in a row: its orders of batches go on. Needs operator."""
    now = control.clock()
    return service.rendered(await control.database.write(lambda tx: breaker.resume(tx, who, agent_id, now)), now)


def _listed(tx: Tx, found: Sequence[Agent], rest: Rest, now: datetime) -> list[dict[str, Any]]:
    doubled, unread = service.duplicated(tx, found, now), service.unread(tx, found)
    resting = breaker.resting(tx, [one.id for one in found], rest, now)
    shown = [service.rendered(one, now, doubled.get(one.id), unread.get(one.id, ())) for one in found]
    return [{**one, "resting": resting.get(one["agent_id"])} for one in shown]
