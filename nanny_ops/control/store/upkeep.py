"""What is known of how well targets are kept: when somebody looked, and what was found."""

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import case, delete, func, insert, select, true

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.patch_tables import upkeep
from nanny_ops.control.store.proxmox_tables import guests
from nanny_ops.control.store.tables import agents, operations, packages


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """One target: of a cluster's or standalone agent's ``scope`` a guest, ``lxc:<vmid>``, or ``host:<agent's id>``."""

    scope: str
    target: str
    team_id: str
    #: When all of its packages were last looked at, and by which operation.
    looked_at: int | None = None
    operation_id: str | None = None
    #: When that was last tried, and what came of it where it did not succeed.
    tried_at: int | None = None
    trouble: str = ""
    #: What the last report told; keys of PatchReport.
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pending:
    """How many packages of a target wait: all, those known to be security fixes, those of which that is not known."""

    count: int
    security: int
    undecided: int


@dataclass(frozen=True)
class Home:
    """What is needed of a guest to tell of its upkeep: without its body, which costs more to read than all the rest."""

    id: str
    scope: str
    cluster_pk: str | None
    vmid: int
    kind: str
    name: str
    node: str


def homes(tx: Tx, teams: Collection[str]) -> list[Home]:
    """Return the teams' guests that are there and no templates, by number."""
    columns = [guests.c[one.name] for one in fields(Home)]
    chosen = guests.c.team_id.in_(teams) & guests.c.gone_at.is_(None) & guests.c.template.is_not(True)
    rows = tx.connection.execute(select(*columns).where(chosen).order_by(guests.c.vmid, guests.c.id))
    return [Home(*row) for row in rows]


def find(tx: Tx, scope: str, target: str) -> Upkeep | None:
    """Return what is known of one target."""
    mine = (upkeep.c.scope == scope) & (upkeep.c.target == target)
    row = tx.connection.execute(select(upkeep).where(mine)).first()
    return None if row is None else Upkeep(**row._mapping)


def put(tx: Tx, row: Upkeep) -> None:
    """Write what is known of one target in place of what was."""
    mine = (upkeep.c.scope == row.scope) & (upkeep.c.target == row.target)
    tx.connection.execute(delete(upkeep).where(mine))
    tx.connection.execute(insert(upkeep).values(**vars(row)))


def of_teams(tx: Tx, teams: Collection[str], scopes: Collection[str] | None = None) -> dict[tuple[str, str], Upkeep]:
    """Return all that is known in some teams, and in some scopes of theirs, by scope and target."""
    here = true() if scopes is None else upkeep.c.scope.in_(scopes)
    rows = tx.connection.execute(select(upkeep).where(upkeep.c.team_id.in_(teams) & here))
    return {(row.scope, row.target): Upkeep(**row._mapping) for row in rows}


def pending(tx: Tx, teams: Collection[str], scopes: Collection[str] | None = None) -> dict[tuple[str, str], Pending]:
    """Count the packages that wait in some teams, and in some scopes of theirs, by scope and target."""
    scope = func.coalesce(agents.c.cluster_pk, agents.c.id)
    waits = (packages.c.installed != packages.c.candidate) & (packages.c.installed != "")
    counted = (
        func.count(),
        func.sum(case((packages.c.security.is_(True), 1), else_=0)),
        func.sum(case((packages.c.security.is_(None), 1), else_=0)),
    )
    keys = (scope, packages.c.target, agents.c.id)
    query = (
        select(*keys, *counted)
        .select_from(packages.join(agents, agents.c.id == packages.c.agent_id))
        .where(packages.c.team_id.in_(teams) & waits & (agents.c.status != "revoked"))
        .where(true() if scopes is None else scope.in_(scopes))
        .group_by(*keys)
    )
    found: dict[tuple[str, str], Pending] = {}
    for of_scope, target, agent_id, *counts in tx.connection.execute(query):
        key = (of_scope, f"host:{agent_id}" if target == "host" else target)
        before = found.get(key, Pending(0, 0, 0))
        found[key] = Pending(*(int(old + new) for old, new in zip(vars(before).values(), counts, strict=True)))
    return found


def busy(tx: Tx, created_by: str) -> set[str]:
    """Return the agents that have an open operation which one principal has ordered."""
    chosen = (operations.c.created_by == created_by) & operations.c.status.in_(("pending", "delivered", "running"))
    return set(tx.connection.execute(select(operations.c.agent_id).where(chosen).distinct()).scalars())
