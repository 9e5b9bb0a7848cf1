"""Surveys: dry runs that nobody ordered, so that what waits for a target is known before somebody asks.

Each target is looked at once per interval, at a moment of its own, one target of an agent at a time. A dry run fetches
the package lists into a private place, which is what a survey costs its target and the network.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nanny_ops.control.services import patch, upkeep
from nanny_ops.control.services.agent import is_silent
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import inventory, team
from nanny_ops.control.store import proxmox as guests
from nanny_ops.control.store import upkeep as store
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.upkeep import Upkeep
from nanny_ops.errors import NannyError
from nanny_ops.protocol.clock import from_micros, micros, stamp
from nanny_ops.protocol.feature import QEMU
from nanny_ops.protocol.legacy import GUIDE
from nanny_ops.protocol.patch import PatchRequest

#: Who orders surveys.
SURVEYOR = "survey"
#: How long after its agent was enrolled a target may first be looked at, at the earliest and at the latest.
FIRST, SPREAD = timedelta(minutes=10), timedelta(hours=1)
#: How long an order of a survey waits for its agent, and its script may run, in seconds.
PATIENCE, LONGEST = timedelta(hours=1), 900
#: Orders that one tick places at most.
AT_ONCE = 50


@dataclass(frozen=True)
class Target:
    """One target of an agent: its name here, and what an order calls it."""

    agent: Agent
    scope: str
    key: str
    vmid: str


def find_due(tx: Tx, interval: timedelta, now: datetime) -> list[Target]:
    """Return what is to be looked at now, at most one target of an agent that looks at none."""
    due: dict[str, Target] = {}
    busy = store.busy(tx, SURVEYOR)
    for team_id in team.every(tx):
        known = store.of_teams(tx, [team_id])
        for target in _targets(tx, team_id, now):
            agent_id = target.agent.id
            if agent_id in busy or agent_id in due or len(due) >= AT_ONCE:
                continue
            if due_at(target, known.get((target.scope, target.key)), interval) <= now:
                due[agent_id] = target
    return list(due.values())


def place(tx: Tx, due: Iterable[Target], now: datetime) -> list[Operation]:
    """Order dry runs; one that cannot be ordered is noted with the reason and tried again an interval later."""
    return [operation for target in due for operation in _place(tx, target, now)]


def due_at(target: Target, kept: Upkeep | None, interval: timedelta) -> datetime:
    """Return when a target is to be looked at: at a moment of its own, so that looks spread by themselves."""
    tried = 0 if kept is None else max(kept.looked_at or 0, kept.tried_at or 0)
    share = int.from_bytes(hashlib.sha256(f"{target.scope} {target.key}".encode()).digest()[:4]) / 2**32
    if not tried:
        return from_micros(target.agent.created_at) + FIRST + SPREAD * share
    return from_micros(tried) + interval * (0.9 + 0.1 * share)


def _targets(tx: Tx, team_id: str, now: datetime) -> Iterator[Target]:
    enrolled, _ = agents.page(tx, [team_id], upkeep.EVERY, 0)
    for agent in enrolled:
        if agent.status == "revoked" or agent.dialect != GUIDE or is_silent(agent, now):
            continue
        scope = agent.cluster_pk or agent.id
        yield Target(agent, scope, upkeep.host_key(agent.id), "")
        reporter = inventory.reporter(tx, agent.id)
        if reporter is not None and reporter.node:
            yield from _guests(tx, agent, scope, reporter.node)


def _guests(tx: Tx, agent: Agent, scope: str, node: str) -> Iterator[Target]:
    wanted = guests.GuestFilter(node=node, status="running")
    found, _ = guests.guest_page(tx, [agent.team_id], upkeep.EVERY, 0, wanted)
    for guest in found:
        if guest.template or guest.scope != scope:
            continue
        if guest.kind == "lxc" or QEMU in agent.features:
            yield Target(agent, scope, f"{guest.kind}:{guest.vmid}", f"{guest.kind}-{guest.vmid}")


def _place(tx: Tx, target: Target, now: datetime) -> list[Operation]:
    team_id = target.agent.team_id
    kept = store.find(tx, target.scope, target.key)
    row = kept or Upkeep(scope=target.scope, target=target.key, team_id=team_id)
    person = Person(SURVEYOR, SURVEYOR, SURVEYOR, is_admin=False, roles={team_id: "operator"})
    request = PatchRequest(
        agent_id=target.agent.id,
        mode="dry-run",
        vmid=target.vmid,
        timeout_seconds=LONGEST,
        expires_at=stamp(now + PATIENCE),
    )
    try:
        operation, _ = patch.place(tx, person, request, "", now)
    except NannyError as wrong:
        store.put(tx, replace(row, tried_at=micros(now), trouble=wrong.message))
        return []
    store.put(tx, replace(row, tried_at=micros(now)))
    return [operation]
