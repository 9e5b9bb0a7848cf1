"""Snapshots and backups that orders made, and snapshots named as ours."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, update

from nanny_ops.control.store.database import DROPPED_AT_ONCE, Tx
from nanny_ops.control.store.inventory import chunks
from nanny_ops.control.store.proxmox_tables import clusters, facts, guests, snapshots
from nanny_ops.control.store.tables import operations
from nanny_ops.protocol.operation import OPEN

#: States of what may still be there.
LIVING = ("made", "kept", "rolled_back", "foreign")
#: Those of them that an order of ours has made.
OURS = ("made", "kept", "rolled_back")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One row; ``scope`` is a cluster, or the agent of a node outside one. Instants in microseconds."""

    id: str
    team_id: str
    scope: str
    target: str
    vmid: int
    kind: str
    name: str
    agent_id: str
    state: str
    state_at: int
    created_at: int
    storage: str = ""
    operation_id: str | None = None
    upid: str = ""
    reason: str = ""
    removed_by: str | None = None
    made_at: int | None = None
    seen_at: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True)
class Maker:
    """The patch by which a snapshot says that it was made."""

    id: str
    agent_id: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which are wanted; an empty field does not filter. ``before`` is when the youngest was made."""

    guest_id: str = ""
    vmid: int | None = None
    agent_id: str = ""
    cluster: str = ""
    operation_id: str = ""
    kind: str = ""
    states: Sequence[str] = ()
    before: int | None = None


def named(tx: Tx, scope: str, vmid: int, kind: str, name: str) -> Snapshot | None:
    """Find one by what Proxmox VE calls it."""
    mine = (snapshots.c.scope == scope) & (snapshots.c.vmid == vmid)
    return _one(tx, mine & (snapshots.c.kind == kind) & (snapshots.c.name == name))


def find(tx: Tx, key: str, teams: Collection[str]) -> Snapshot | None:
    """Find one of these teams by our id."""
    return _one(tx, (snapshots.c.id == key) & snapshots.c.team_id.in_(teams))


def put(tx: Tx, row: Snapshot, *, known: bool) -> None:
    """Write a new row, or one in place of the row with its id."""
    values = vars(row)
    mine = snapshots.c.id == row.id
    tx.connection.execute(update(snapshots).where(mine).values(**values) if known else insert(snapshots).values(values))


def of_guests(tx: Tx, scope: str, vmids: Collection[int]) -> list[Snapshot]:
    """Return all that is known of some guests of a scope, the oldest first."""
    found: list[Snapshot] = []
    for some in chunks(sorted(vmids)):
        chosen = (snapshots.c.scope == scope) & snapshots.c.vmid.in_(some)
        oldest = select(snapshots).where(chosen).order_by(snapshots.c.created_at, snapshots.c.id)
        found += [Snapshot(**row._mapping) for row in tx.connection.execute(oldest)]
    return found


def page(tx: Tx, teams: Collection[str], wanted: Filter, limit: int, offset: int) -> tuple[list[Snapshot], int]:
    """Return a page, the newest first, and how many there are."""
    chosen = _chosen(teams, wanted)
    newest = func.coalesce(snapshots.c.made_at, snapshots.c.created_at).desc()
    rows = tx.connection.execute(
        select(snapshots).where(chosen).order_by(newest, snapshots.c.id).limit(limit).offset(offset)
    )
    total = tx.connection.execute(select(func.count()).select_from(snapshots).where(chosen)).scalar_one()
    return [Snapshot(**row._mapping) for row in rows], total


def expired(tx: Tx, now: int, limit: int) -> list[Snapshot]:
    """Return what an order of ours left for a time that is over, the oldest first."""
    due = snapshots.c.state.in_(OURS) & (snapshots.c.kind == "snapshot") & (snapshots.c.expires_at <= now)
    rows = tx.connection.execute(select(snapshots).where(due).order_by(snapshots.c.expires_at).limit(limit))
    return [Snapshot(**row._mapping) for row in rows]


def guests_of(tx: Tx, rows: Collection[Snapshot]) -> dict[tuple[str, int], Row[Any]]:
    """Return the guests of some rows, with their bodies, by scope and number."""
    found: dict[tuple[str, int], Row[Any]] = {}
    for scope in {row.scope for row in rows}:
        for some in chunks(sorted({row.vmid for row in rows if row.scope == scope})):
            chosen = (guests.c.scope == scope) & guests.c.vmid.in_(some)
            found.update({(scope, row.vmid): row for row in tx.connection.execute(select(guests).where(chosen))})
    return found


def in_use(tx: Tx, rows: Collection[Snapshot], now: int) -> set[str]:
    """Return the operations of some rows that may still set their guest back: open ones, and any with a held target."""
    found: set[str] = set()
    for some in chunks(sorted({row.operation_id for row in rows if row.operation_id})):
        busy = operations.c.status.in_(OPEN) | (operations.c.held_until > now)
        chosen = operations.c.id.in_(some) & busy
        found.update(tx.connection.execute(select(operations.c.id).where(chosen)).scalars())
    return found


def looks(tx: Tx, scopes: Collection[str], section: str) -> dict[tuple[str, str, str], Row[Any]]:
    """Return how well a section is known, by scope, agent and object; an empty object stands for all others."""
    chosen = facts.c.scope.in_(scopes) & (facts.c.section == section)
    rows = tx.connection.execute(select(facts).where(chosen))
    return {(row.scope, row.agent_id, row.object): row for row in rows}


def maker(tx: Tx, operation_id: str, team_id: str, vmid: int) -> Maker | None:
    """Find the patch of a guest of this team by which a snapshot says that it was made."""
    chosen = (operations.c.id == operation_id) & (operations.c.team_id == team_id) & (operations.c.vmid == vmid)
    columns = (operations.c.id, operations.c.agent_id, operations.c.status)
    row = tx.connection.execute(select(*columns).where(chosen & (operations.c.kind == "patch"))).first()
    return None if row is None else Maker(**row._mapping)


def rescope(tx: Tx, old: str, new: str) -> None:
    """Bring the rows of one scope into another; where both know the same thing, the other's row stays."""
    there = select(snapshots.c.vmid, snapshots.c.kind, snapshots.c.name).where(snapshots.c.scope == new)
    known = {tuple(row) for row in tx.connection.execute(there)}
    mine = select(snapshots.c.id, snapshots.c.vmid, snapshots.c.kind, snapshots.c.name).where(snapshots.c.scope == old)
    for key, *what in tx.connection.execute(mine).all():
        one = snapshots.c.id == key
        if tuple(what) in known:
            tx.connection.execute(delete(snapshots).where(one))
        else:
            tx.connection.execute(update(snapshots).where(one).values(scope=new))


def forget(tx: Tx, before: int) -> int:
    """Drop some rows of what has not been there since an instant; return how many."""
    old = snapshots.c.state.not_in(LIVING) & (snapshots.c.state_at < before)
    some = select(snapshots.c.id).where(old).limit(DROPPED_AT_ONCE)
    return tx.connection.execute(delete(snapshots).where(snapshots.c.id.in_(some))).rowcount


def _one(tx: Tx, chosen: ColumnElement[bool]) -> Snapshot | None:
    row = tx.connection.execute(select(snapshots).where(chosen)).first()
    return None if row is None else Snapshot(**row._mapping)


def _chosen(teams: Collection[str], wanted: Filter) -> ColumnElement[bool]:
    chosen: ColumnElement[bool] = snapshots.c.team_id.in_(teams)
    for name in ("vmid", "operation_id", "kind"):
        if (value := getattr(wanted, name)) not in ("", None):
            chosen &= snapshots.c[name] == value
    if wanted.states:
        chosen &= snapshots.c.state.in_(wanted.states)
    if wanted.before is not None:
        chosen &= func.coalesce(snapshots.c.made_at, snapshots.c.created_at) < wanted.before
    here = (guests.c.scope == snapshots.c.scope) & (guests.c.vmid == snapshots.c.vmid)
    if wanted.guest_id:
        chosen &= select(guests.c.id).where(here & (guests.c.id == wanted.guest_id)).exists()
    if wanted.agent_id:  # who made it, and who tells of its guest now: a guest may have moved
        told = select(guests.c.id).where(here & (guests.c.reported_by == wanted.agent_id)).exists()
        chosen &= or_(snapshots.c.agent_id == wanted.agent_id, told)
    if wanted.cluster:
        known = select(clusters.c.id).where(clusters.c.cluster_name == wanted.cluster)
        chosen &= (snapshots.c.scope == wanted.cluster) | snapshots.c.scope.in_(known)
    return chosen
