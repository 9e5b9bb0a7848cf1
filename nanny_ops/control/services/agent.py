"""Agents as people see them: how they are, and the end of their trust."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from nanny_ops.control.services import audit
from nanny_ops.control.services.principal import HostAgent, Person, Principal
from nanny_ops.control.store import agent as store
from nanny_ops.control.store import duplicate as duplicates
from nanny_ops.control.store import enrollment as enrollments
from nanny_ops.control.store import fact as facts
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.duplicate import Duplicate
from nanny_ops.errors import Forbidden, NotFound
from nanny_ops.protocol import agent as wire
from nanny_ops.protocol.agent import Resting, Unread
from nanny_ops.protocol.clock import from_micros, micros, stamp_micros
from nanny_ops.protocol.enrollment import OFFLINE_AFTER, STALE_AFTER, AgentStatus

#: What an agent reads of Proxmox VE first of all: without it nothing else of a cluster is known.
FIRST = ("cluster", "resources", "rights")

Health = Literal["healthy", "stale", "offline", "unknown"]


def health(last_seen: int | None, now: datetime) -> Health:
    """Judge an agent by its silence; one that was never heard of is unknown, not well."""
    if last_seen is None:
        return "unknown"
    silence = now - from_micros(last_seen)
    if silence > timedelta(seconds=OFFLINE_AFTER):
        return "offline"
    return "stale" if silence > timedelta(seconds=STALE_AFTER) else "healthy"


def is_silent(agent: Agent | None, now: datetime) -> bool:
    """Tell whether what an agent once said can no longer be taken for the present state."""
    return agent is None or agent.status == "revoked" or health(agent.last_seen, now) in {"offline", "unknown"}


def seen_by(tx: Tx, who: Principal, agent_id: str) -> Agent:
    """Return an agent that a person's teams hold, or that asks for itself. Raises NotFound or Forbidden."""
    if isinstance(who, HostAgent) and who.id != agent_id:
        raise Forbidden("An agent may only ask for itself.")
    found = store.get(tx, agent_id, who.teams)
    if found is None:
        raise NotFound(f"There is no agent '{agent_id}'.")
    return found


def revoke(tx: Tx, who: Person, agent_id: str, now: datetime) -> Agent:
    """End the trust in an agent and all its tokens; a second time changes nothing. Raises NotFound or Forbidden."""
    agent = seen_by(tx, who, agent_id)
    who.require(agent.team_id, "operator", "enrol")
    if agent.status != "revoked":
        store.change(tx, agent.id, status="revoked", revoked_at=micros(now))
        enrollments.revoke_families(tx, agent.id, micros(now))
        audit.note(tx, "revoke", agent.id, now, agent.team_id, hostname=agent.hostname)
        duplicates.forget(tx, agent.id)
    return seen_by(tx, who, agent_id)


def duplicated(tx: Tx, found: Sequence[Agent], now: datetime) -> Mapping[str, Duplicate]:
    """Return which of these agents share their identity with another machine, by id."""
    return duplicates.some(tx, [agent.id for agent in found], micros(now))


def unread(tx: Tx, found: Sequence[Agent]) -> Mapping[str, list[Unread]]:
    """Return what these agents cannot read of Proxmox VE and why, by id; an agent that can read has no entry."""
    lines = facts.whole(tx, [agent.id for agent in found], FIRST)
    return {
        agent: [Unread(section=one.section, state=one.state, privilege=one.privilege, reason=one.reason) for one in of]
        for agent, of in lines.items()
    }


def status(agent: Agent, now: datetime, duplicate: Duplicate | None = None) -> AgentStatus:
    """Return an agent as ``GET /api/agent/{agent_id}`` shows it."""
    return AgentStatus(
        agent_id=agent.id,
        hostname=agent.hostname,
        status="revoked" if agent.status == "revoked" else "active",
        last_seen=stamp_micros(agent.last_seen),
        version=agent.version,
        platform=agent.platform,
        kernel_version=agent.kernel_version,
        health_status=health(agent.last_seen, now),
        duplicate_identity=duplicate is not None,
        duplicate_identity_since=stamp_micros(duplicate.since) if duplicate else None,
    )


def rendered(
    agent: Agent,
    now: datetime,
    duplicate: Duplicate | None = None,
    unread: Sequence[Unread] = (),
    resting: Resting | None = None,
) -> wire.Agent:
    """Return an agent as lists for people show it."""
    return wire.Agent(
        **vars(status(agent, now, duplicate)),
        platform_family=agent.platform_family,
        os_type=agent.os_type,
        primary_ip=agent.primary_ip,
        all_ips=agent.all_ips,
        tags=agent.tags,
        cluster=agent.cluster_pk,
        proxmox_unread=list(unread),
        dialect=agent.dialect,
        features=agent.features,
        enrolled_at=stamp_micros(agent.created_at),
        revoked_at=stamp_micros(agent.revoked_at),
        resting=resting,
    )
