"""How well targets are kept: what waits for them, whether they must be restarted, how long they get fixes.

Every dry run and every patch adds to it, the surveys of :mod:`nanny_ops.control.services.survey` among them. What
nobody has looked at, or not for long, is unknown and never up to date.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import change, end_of_life
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store import upkeep as store
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.upkeep import Home, Pending, Upkeep
from nanny_ops.patch_scripts.distribution import script_for
from nanny_ops.protocol.clock import from_micros, micros, stamp_micros
from nanny_ops.protocol.operation import GOOD, Outcome
from nanny_ops.protocol.patch_report import PatchReport, System
from nanny_ops.protocol.upkeep import UpkeepRow, UpkeepState

#: After this time what was found says nothing of today any more.
STALE = timedelta(days=7)
#: Keys of a report that are kept, and most entries of each list among them.
KEPT, MOST = ("reboot_required", "reboot_why", "services", "kernel_running", "kernel_newest"), 100
#: Targets that are looked through for one answer.
EVERY = 100_000
NEVER = "Nobody has looked yet."


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which targets are wanted; None and an empty text do not filter."""

    state: str = ""
    support: str = ""
    security: bool | None = None
    restart: bool | None = None


@dataclass(frozen=True)
class _Known:
    """All that the rows of one answer are made of."""

    upkeep: Mapping[tuple[str, str], Upkeep]
    pending: Mapping[tuple[str, str], Pending]
    clusters: Mapping[str, str]
    now: datetime


def remember(tx: Tx, operation: Operation, report: PatchReport | None, now: datetime, *, whole: bool) -> None:
    """Keep what the result of a patch operation told; ``whole`` says that all packages of the target were looked at."""
    before = _before(tx, operation)
    good = operation.outcome in GOOD or operation.outcome == Outcome.CANCELLED
    trouble = "" if good else f"{operation.outcome}: {operation.reason}"[:1000]
    after = replace(before, tried_at=micros(now), trouble=trouble, body={**before.body, **_told(report)})
    if whole:
        after = replace(after, looked_at=micros(now), operation_id=operation.id)
    store.put(tx, after)
    _tell(tx, operation, before, after, now)


def page(tx: Tx, who: Person, wanted: Wanted, limit: int, offset: int, now: datetime) -> tuple[list[UpkeepRow], int]:
    """Return a page of targets in a person's teams, the worst first, and how many there are."""
    found = [row for row in rows(tx, who, now) if _fits(row, wanted)]
    found.sort(key=lambda row: (row.state != "pending", -(row.security or 0), -(row.pending or 0), row.name))
    return found[offset : offset + limit], len(found)


def rows(tx: Tx, who: Person, now: datetime) -> list[UpkeepRow]:
    """Return every host with an agent and every guest that is no template."""
    enrolled, _ = agents.page(tx, who.teams, EVERY, 0)
    guests = store.homes(tx, who.teams)
    places = [one.cluster_pk for one in enrolled] + [one.cluster_pk for one in guests]
    clusters = {pk for pk in places if pk}
    known = _Known(
        store.of_teams(tx, who.teams), store.pending(tx, who.teams), inventory.cluster_names(tx, clusters), now
    )
    hosts = [_host(agent, known) for agent in enrolled if agent.status != "revoked"]
    return hosts + [_guest(guest, known) for guest in guests]


def of_guests(tx: Tx, guests: Sequence[inventory.Guest], now: datetime) -> dict[str, dict[str, Any]]:
    """Return for each guest, by our id, what a list of guests says of its upkeep."""
    names = ("state", "pending", "security", "restart_required", "looked_at")
    told = of_things(tx, (), guests, now)
    return {key: {"upkeep": {name: getattr(row, name) for name in names}} for key, row in told.items()}


def of_things(tx: Tx, hosts: Sequence[Agent], guests: Sequence[inventory.Guest], now: datetime) -> dict[str, UpkeepRow]:
    """Return the upkeep of hosts, by the agent's id, and of guests, by our id."""
    if not (hosts or guests):
        return {}
    teams = {one.team_id for one in hosts} | {one.team_id for one in guests}
    scopes = {one.cluster_pk or one.id for one in hosts} | {one.scope for one in guests}
    known = _Known(store.of_teams(tx, teams, scopes), store.pending(tx, teams, scopes), {}, now)
    return {one.id: _host(one, known) for one in hosts} | {one.id: _guest(one, known) for one in guests}


def words(tx: Tx, agent: Agent, target: str, said: Sequence[str]) -> list[str]:
    """Return what a target runs: its own word with the version, where that is finer than what is ``said``, before it.

    Proxmox VE calls all relatives of RHEL ``centos`` and no container's version; an agent's host tells none either. A
    number that was given to another guest since, which says something else, is not taken for the old one.
    """
    kept = store.find(tx, agent.cluster_pk or agent.id, host_key(agent.id) if target == "host" else target)
    system = System(**kept.body["system"]) if kept and kept.body.get("system") else System()
    same = script_for([system.id])[0] == script_for(said)[0]
    return [f"{system.id}:{system.version}", *said] if system.id and same else list(said)


def _before(tx: Tx, operation: Operation) -> Upkeep:
    scope, target = place(tx, operation)
    return store.find(tx, scope, target) or Upkeep(scope=scope, target=target, team_id=operation.team_id)


def place(tx: Tx, operation: Operation) -> tuple[str, str]:
    """Return what the target of an operation is called here."""
    agent = agents.find(tx, operation.agent_id)
    scope = (agent.cluster_pk if agent else None) or operation.agent_id
    return scope, host_key(operation.agent_id) if operation.target == "host" else operation.target


def host_key(agent_id: str) -> str:
    """Return what an agent's host is called here."""
    return f"host:{agent_id}"


def _told(report: PatchReport | None) -> dict[str, Any]:
    if report is None:
        return {}
    told: dict[str, Any] = {name: getattr(report, name) for name in KEPT}
    told = {name: value[:MOST] if isinstance(value, list) else value for name, value in told.items()}
    if report.reboot_required is None:  # a run that could not tell changes nothing of what is known
        told = {name: value for name, value in told.items() if not name.startswith("reboot_")}
    told["left"] = len(report.left)
    return told if report.system is None else {**told, "system": asdict(report.system)}


def _tell(tx: Tx, operation: Operation, before: Upkeep, after: Upkeep, now: datetime) -> None:
    """Say once when a restart has become necessary, and when it no longer is."""
    old, new = before.body.get("reboot_required"), after.body.get("reboot_required")
    if new is None or bool(old) == new:
        return
    names = inventory.cluster_names(tx, {after.scope})
    cluster_pk = after.scope if names else None
    where = change.Place(operation.team_id, after.scope, cluster_pk, names.get(after.scope, ""))
    subject = operation.target.replace(":", "/")
    detail = {"agent_id": operation.agent_id, "operation_id": operation.id, "why": after.body.get("reboot_why", [])}
    told = change.Change("restart.needed" if new else "restart.settled", subject, detail=detail)
    change.tell(tx, where, [told], micros(now))


def _host(agent: Agent, known: _Known) -> UpkeepRow:
    return _row(
        known,
        (agent.cluster_pk or agent.id, host_key(agent.id)),
        target="host",
        name=agent.hostname,
        node=agent.hostname,
        vmid=None,
        guest_id=None,
        agent_id=agent.id,
        cluster_name=known.clusters.get(agent.cluster_pk or ""),
    )


def _guest(guest: inventory.Guest | Home, known: _Known) -> UpkeepRow:
    target = f"{guest.kind}:{guest.vmid}"
    return _row(
        known,
        (guest.scope, target),
        target=target,
        name=guest.name,
        node=guest.node,
        vmid=guest.vmid,
        guest_id=guest.id,
        agent_id=None,
        cluster_name=known.clusters.get(guest.cluster_pk or ""),
    )


def _row(known: _Known, key: tuple[str, str], **who: Any) -> UpkeepRow:
    kept = known.upkeep.get(key)
    if kept is None:
        kept = Upkeep(scope=key[0], target=key[1], team_id="")
    waits = known.pending.get(key, Pending(0, 0, 0))
    system = System(**kept.body["system"]) if kept.body.get("system") else None
    end = end_of_life.judge(system, known.now.date())
    seen = kept.looked_at is not None
    state, why = _state(kept, waits, known.now)
    return UpkeepRow(
        **who,
        state=state,
        why=why,
        pending=waits.count if seen else None,
        security=waits.security if seen and not waits.undecided else None,
        left=kept.body.get("left"),
        restart_required=kept.body.get("reboot_required"),
        restart_why=kept.body.get("reboot_why", []),
        services=kept.body.get("services", []),
        system="" if system is None else system.name or f"{system.id} {system.version}".strip(),
        support=end.state,
        supported_until=end.day,
        looked_at=stamp_micros(kept.looked_at),
        age_seconds=None if kept.looked_at is None else max(0, (micros(known.now) - kept.looked_at) // 1_000_000),
        operation_id=kept.operation_id,
    )


def _state(kept: Upkeep, waits: Pending, now: datetime) -> tuple[UpkeepState, str]:
    if kept.looked_at is None:
        return "unknown", kept.trouble or NEVER
    age = now - from_micros(kept.looked_at)
    if age > STALE:
        return "unknown", f"Last looked at {age.days} days ago. {kept.trouble}".strip()
    return "pending" if waits.count else "up_to_date", kept.trouble


def _fits(row: UpkeepRow, wanted: Wanted) -> bool:
    return (
        wanted.state in ("", row.state)
        and wanted.support in ("", row.support)
        and wanted.security in (None, bool(row.security))
        and wanted.restart in (None, bool(row.restart_required))
    )
