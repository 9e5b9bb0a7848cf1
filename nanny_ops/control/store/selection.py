"""What a selection of targets asks the store: who is on which node, and what is known of updates."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import case, func, select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox_tables import reporters
from nanny_ops.control.store.tables import agents, operations, packages


@dataclass(frozen=True)
class Pending:
    """How many updates of a target are known."""

    all: int = 0
    security: int = 0


def reporting(tx: Tx, teams: Collection[str]) -> dict[tuple[str, str], str]:
    """Return which agent runs on each node, by scope and the node's name; the one that was heard last."""
    mine = reporters.c.team_id.in_(teams)
    columns = (reporters.c.scope, reporters.c.node, reporters.c.agent_id)
    joined = select(*columns).join(agents, agents.c.id == reporters.c.agent_id).where(agents.c.status != "revoked")
    rows = tx.connection.execute(joined.where(mine).order_by(reporters.c.heard_at))
    return {(row.scope, row.node): row.agent_id for row in rows}


def pending(tx: Tx, teams: Collection[str]) -> dict[tuple[str, str], Pending]:
    """Return what is known of updates by scope and target; what nothing is known of is missing.

    A guest is known by its cluster, wherever it lies, a host by its agent. Known is what a patch order has looked at.
    """
    scope = case((operations.c.vmid.is_(None), agents.c.id), else_=func.coalesce(agents.c.cluster_pk, agents.c.id))
    looked = (operations.c.kind == "patch") & (operations.c.status == "completed") & operations.c.team_id.in_(teams)
    seen = select(scope.label("scope"), operations.c.target).join(agents, agents.c.id == operations.c.agent_id)
    found = {(row.scope, row.target): Pending() for row in tx.connection.execute(seen.where(looked).distinct())}
    place = case((packages.c.target == "host", agents.c.id), else_=func.coalesce(agents.c.cluster_pk, agents.c.id))
    counted = (
        select(
            place.label("scope"),
            packages.c.target,
            func.count().label("number"),
            func.sum(case((packages.c.security.is_(True), 1), else_=0)).label("security"),
        )
        .join(agents, agents.c.id == packages.c.agent_id)
        .where(packages.c.team_id.in_(teams) & (packages.c.installed != packages.c.candidate))
        .group_by(place, packages.c.target)
    )
    for row in tx.connection.execute(counted):
        found[row.scope, row.target] = Pending(row.number, int(row.security or 0))
    return found
