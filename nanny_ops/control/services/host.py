"""Hosts and guests as an inventory wants them: a thousand in one answer, with who carries out an order for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nanny_ops.control.services import upkeep
from nanny_ops.control.services.address import reachable
from nanny_ops.control.services.agent import health, is_silent
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.word import tags
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store import selection
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox import Guest
from nanny_ops.protocol.host import HostRow
from nanny_ops.protocol.upkeep import UpkeepRow

#: Agents of one installation that are looked at: their rows come before those of guests.
EVERY = 100_000


@dataclass(frozen=True)
class _Known:
    """Who speaks for which node, and how each thing is kept."""

    agents: Mapping[str, Agent]
    speaking: Mapping[tuple[str, str], str]
    homes: Mapping[str, str]
    clusters: Mapping[str, str]
    upkeep: Mapping[str, UpkeepRow]
    now: datetime


def page(tx: Tx, who: Person, limit: int, offset: int, now: datetime) -> tuple[list[HostRow], int]:
    """Return a page of hosts by name, then guests by number, and how many there are; nothing revoked or gone."""
    enrolled, _ = agents.page(tx, who.teams, EVERY, 0)
    trusted = [one for one in enrolled if one.status != "revoked"]
    hosts = trusted[offset : offset + limit]
    left = limit - len(hosts)
    found, total = inventory.guest_page(
        tx, who.teams, max(left, 1), max(0, offset - len(trusted)), inventory.GuestFilter()
    )
    guests = found[:left]
    known = _known(tx, who, enrolled, hosts, guests, now)
    return [_host(one, known) for one in hosts] + [_guest(one, known) for one in guests], len(trusted) + total


def _known(
    tx: Tx, who: Person, enrolled: Sequence[Agent], hosts: Sequence[Agent], guests: Sequence[Guest], now: datetime
) -> _Known:
    speaking = selection.reporting(tx, who.teams)
    return _Known(
        agents={one.id: one for one in enrolled},
        speaking=speaking,
        homes={agent_id: node for (_, node), agent_id in speaking.items()},
        clusters=inventory.names(tx, who.teams, "cluster"),
        upkeep=upkeep.of_things(tx, hosts, guests, now),
        now=now,
    )


def _host(agent: Agent, known: _Known) -> HostRow:
    facts = {
        "version": agent.version,
        "platform": agent.platform,
        "platform_family": agent.platform_family,
        "kernel_version": agent.kernel_version,
        "all_ips": agent.all_ips,
        "features": agent.features,
    }
    return HostRow(
        kind="host",
        target="host",
        name=agent.hostname,
        agent_id=agent.id,
        vmid=None,
        guest_id=None,
        node=known.homes.get(agent.id, agent.hostname),
        cluster=known.clusters.get(agent.cluster_pk or "", ""),
        status=health(agent.last_seen, known.now),
        tags=list(agent.tags),
        pool="",
        template=False,
        os=agent.platform,
        address=reachable(agent.primary_ip),
        facts=facts,
        **_upkeep(known.upkeep[agent.id]),
    )


def _guest(guest: Guest, known: _Known) -> HostRow:
    mute = guest.unknown_since is not None or is_silent(known.agents.get(guest.reported_by), known.now)
    return HostRow(
        kind="lxc" if guest.kind == "lxc" else "qemu",
        target=f"{guest.kind}:{guest.vmid}",
        name=guest.name,
        agent_id=_agent_of(guest, known),
        vmid=guest.vmid,
        guest_id=guest.id,
        node=guest.node,
        cluster=known.clusters.get(guest.cluster_pk or "", ""),
        status="unknown" if mute else guest.status,
        tags=tags(guest.tags),
        pool=guest.pool or "",
        template=bool(guest.template),
        os=guest.ostype,
        address=_address(guest.body),
        facts=guest.body,
        **_upkeep(known.upkeep[guest.id]),
    )


def _agent_of(guest: Guest, known: _Known) -> str | None:
    """Return the agent of the node where a guest lives; one that reports guest by guest is on its node."""
    found = known.speaking.get((guest.scope, guest.node))
    if found is None and guest.reported_by not in known.homes:
        found = guest.reported_by
    agent = known.agents.get(found or "")
    return None if agent is None or agent.status == "revoked" else agent.id


def _upkeep(row: UpkeepRow) -> dict[str, Any]:
    return {
        "upkeep": row.state,
        "pending": row.pending,
        "security": row.security,
        "restart_required": row.restart_required,
    }


def _address(body: Mapping[str, Any]) -> str:
    """Return the first address of a guest that another machine can reach."""
    told = (str(one).partition("/")[0] for one in body.get("addresses") or ())
    return next((address for text in told if (address := reachable(text))), "")
