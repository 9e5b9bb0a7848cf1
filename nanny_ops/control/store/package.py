"""What is known of packages on targets: rows that results have told."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, cast, delete, func, insert, literal, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox_tables import guests
from nanny_ops.control.store.tables import agents, packages


@dataclass(frozen=True)
class Package:
    """One package on one target (``host`` or ``lxc:<vmid>``); nothing is pending where both versions are equal."""

    agent_id: str
    target: str
    name: str
    team_id: str
    installed: str
    candidate: str
    security: bool | None
    operation_id: str
    seen_at: int


def remember(tx: Tx, rows: Collection[Package]) -> None:
    """Write what is known now of packages of one target, in place of what was known."""
    if not rows:
        return
    first = next(iter(rows))
    drop(tx, first.agent_id, first.target, {row.name for row in rows})
    tx.connection.execute(insert(packages), [vars(row) for row in rows])


def settle(tx: Tx, agent_id: str, target: str, still_pending: Collection[str], operation_id: str, seen_at: int) -> None:
    """Note that all on a target but ``still_pending`` is as new as can be; what was only planned is dropped."""
    mine = (packages.c.agent_id == agent_id) & (packages.c.target == target)
    pending = select(packages.c.name, packages.c.installed).where(mine & (packages.c.installed != packages.c.candidate))
    known = {row.name: row.installed for row in tx.connection.execute(pending) if row.name not in still_pending}
    drop(tx, agent_id, target, [name for name, installed in known.items() if not installed])
    done = [name for name, installed in known.items() if installed]
    for some in _chunks(sorted(done)):
        values: dict[str, Any] = {
            "candidate": packages.c.installed,
            "security": None,
            "operation_id": operation_id,
            "seen_at": seen_at,
        }
        tx.connection.execute(update(packages).where(mine & packages.c.name.in_(some)).values(values))


def drop(tx: Tx, agent_id: str, target: str, names: Collection[str]) -> None:
    """Forget packages of a target."""
    mine = (packages.c.agent_id == agent_id) & (packages.c.target == target)
    for some in _chunks(sorted(names)):
        tx.connection.execute(delete(packages).where(mine & packages.c.name.in_(some)))


def adopt(tx: Tx, agent_id: str, target: str) -> None:
    """Give an agent what agents of its cluster knew of a guest that has come to its node."""
    cluster_pk = select(agents.c.cluster_pk).where(agents.c.id == agent_id).scalar_subquery()
    others = select(agents.c.id).where((agents.c.cluster_pk == cluster_pk) & (agents.c.id != agent_id))
    theirs = packages.c.agent_id.in_(others) & (packages.c.target == target)
    rows = tx.connection.execute(select(packages).where(theirs).order_by(packages.c.seen_at)).all()
    if not rows:
        return
    mine = (packages.c.agent_id == agent_id) & (packages.c.target == target)
    known = set(tx.connection.execute(select(packages.c.name).where(mine)).scalars())
    latest = {row.name: {**row._mapping, "agent_id": agent_id} for row in rows if row.name not in known}
    tx.connection.execute(delete(packages).where(theirs))
    if latest:
        tx.connection.execute(insert(packages), list(latest.values()))


@dataclass(frozen=True)
class Sighting:
    """One package on one target with the names of the machine: of the agent's host, and of the guest if it is one."""

    name: str
    installed: str
    candidate: str
    security: bool | None
    target: str
    agent_id: str
    hostname: str
    last_seen: int | None
    operation_id: str
    seen_at: int
    guest_id: str | None
    guest_name: str | None
    vmid: int | None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which rows are wanted; None does not filter."""

    name: str
    target: str | None = None
    agent_id: str | None = None
    security: bool | None = None
    pending: bool | None = None


def sightings(tx: Tx, teams: Collection[str], wanted: Wanted) -> list[Sighting]:
    """Return where a package is known to be, by host and target; revoked agents and destroyed guests are left out."""
    here = guests.c.kind + literal(":") + cast(guests.c.vmid, String)
    is_guest = (guests.c.scope == func.coalesce(agents.c.cluster_pk, agents.c.id)) & (packages.c.target == here)
    told = ("name", "installed", "candidate", "security", "target", "agent_id", "operation_id", "seen_at")
    chosen = packages.c.team_id.in_(teams) & (agents.c.status != "revoked") & guests.c.gone_at.is_(None)
    for column in ("name", "target", "agent_id", "security"):
        if (value := getattr(wanted, column)) is not None:
            chosen &= packages.c[column] == value
    if wanted.pending is not None:
        is_pending = (packages.c.installed != packages.c.candidate) & (packages.c.installed != "")
        chosen &= is_pending if wanted.pending else ~is_pending
    query = (
        select(
            *(packages.c[column] for column in told),
            agents.c.hostname,
            agents.c.last_seen,
            guests.c.id.label("guest_id"),
            guests.c.name.label("guest_name"),
            guests.c.vmid,
        )
        .select_from(packages)
        .join(agents, agents.c.id == packages.c.agent_id)
        .outerjoin(guests, is_guest)
        .where(chosen)
        .order_by(agents.c.hostname, packages.c.target, agents.c.id)
    )
    return [Sighting(**row._mapping) for row in tx.connection.execute(query)]


def _chunks(names: list[str]) -> list[list[str]]:
    # SQLite and PostgreSQL bound the parameters of one statement; 500 names are far below either.
    return [names[start : start + 500] for start in range(0, len(names), 500)]
