"""Clusters, nodes and guests as agents report them.

A node or guest is known within a scope: its cluster, or, outside a cluster, the agent that reports it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    String,
    Table,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox_tables import clusters, facts, guests, nodes
from nanny_ops.control.store.tables import agents

Condition = ColumnElement[bool]
#: PostgreSQL advisory lock under which reports are written, so that two processes never make one row twice.
REPORT_LOCK = 6_102_026
#: Which column names a thing within its scope.
KEYS: tuple[tuple[Table, str], ...] = ((nodes, "name"), (guests, "vmid"))

#: The section that a guest of its kind does not have: a line for all guests says nothing of it.
OTHER_KIND = case((guests.c.kind == "lxc", "guest.agent"), else_="guest.addresses")


@dataclass(frozen=True)
class Cluster:
    """One cluster; ``id`` is ours, ``cluster_id`` what the agents call it."""

    id: str
    team_id: str
    cluster_id: str
    cluster_name: str
    nodes: int
    quorate: int
    version: int
    body: dict[str, Any]
    reported_by: str
    created_at: int
    updated_at: int


@dataclass(frozen=True)
class Node:
    """One node."""

    id: str
    team_id: str
    scope: str
    cluster_pk: str | None
    name: str
    ip: str
    online: int
    pve_version: str
    body: dict[str, Any]
    reported_by: str
    created_at: int
    updated_at: int
    state_since: int | None = None
    unknown_since: int | None = None
    gone_at: int | None = None


@dataclass(frozen=True)
class Guest:
    """One container or virtual machine."""

    id: str
    team_id: str
    scope: str
    cluster_pk: str | None
    vmid: int
    kind: str
    name: str
    node: str
    status: str
    ostype: str
    tags: str
    body: dict[str, Any]
    reported_by: str
    created_at: int
    updated_at: int
    moved_at: int | None = None
    gone_at: int | None = None
    told_at: int | None = None
    state_since: int | None = None
    unknown_since: int | None = None
    pool: str | None = None
    lock: str | None = None
    template: bool | None = None


def lock(tx: Tx) -> None:
    """Let one process at a time write reports; within a process the writer does so anyway."""
    if tx.connection.dialect.name == "postgresql":
        tx.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": REPORT_LOCK})


def cluster_of(tx: Tx, agent_id: str) -> str | None:
    """Return our id of the cluster that an agent belongs to."""
    return tx.connection.execute(select(agents.c.cluster_pk).where(agents.c.id == agent_id)).scalar()


def join(tx: Tx, agent_id: str, cluster_pk: str) -> None:
    """Note that an agent belongs to a cluster."""
    tx.connection.execute(update(agents).where(agents.c.id == agent_id).values(cluster_pk=cluster_pk))


def known_cluster(tx: Tx, team_id: str, cluster_id: str, cluster_name: str) -> Cluster | None:
    """Find a team's cluster by what agents call it."""
    mine = clusters.c.team_id == team_id
    named = (clusters.c.cluster_id == cluster_id) & (clusters.c.cluster_name == cluster_name)
    row = tx.connection.execute(select(clusters).where(mine & named)).first()
    return None if row is None else Cluster(**row._mapping)


def known_node(tx: Tx, scope: str, name: str) -> Node | None:
    """Find a node within its scope."""
    row = tx.connection.execute(select(nodes).where((nodes.c.scope == scope) & (nodes.c.name == name))).first()
    return None if row is None else Node(**row._mapping)


def known_guest(tx: Tx, scope: str, vmid: int) -> Guest | None:
    """Find a guest within its scope."""
    row = tx.connection.execute(select(guests).where((guests.c.scope == scope) & (guests.c.vmid == vmid))).first()
    return None if row is None else Guest(**row._mapping)


def put(tx: Tx, thing: Cluster | Node | Guest, *, known: bool) -> None:
    """Write a thing: a new row, or in place of the row with its id."""
    table = {Cluster: clusters, Node: nodes, Guest: guests}[type(thing)]
    if known:
        tx.connection.execute(update(table).where(table.c.id == thing.id).values(**vars(thing)))
    else:
        tx.connection.execute(insert(table).values(**vars(thing)))


def strays(tx: Tx, scope: str, vmids: Collection[int]) -> tuple[list[str], list[str]]:
    """Return the guests of a scope that a complete list says are gone, and those it says are back, by our id."""
    mine = guests.c.scope == scope
    rows = tx.connection.execute(select(guests.c.id, guests.c.vmid, guests.c.gone_at).where(mine)).all()
    listed = set(vmids)
    lost = [row.id for row in rows if row.gone_at is None and row.vmid not in listed]
    back = [row.id for row in rows if row.gone_at is not None and row.vmid in listed]
    return lost, back


def standalone_scopes(tx: Tx, team_id: str, node: str, besides: str) -> dict[str, str]:
    """Return the other scopes outside clusters that hold a node of this name, each with the node's address."""
    alone = (nodes.c.team_id == team_id) & nodes.c.cluster_pk.is_(None)
    named = (nodes.c.name == node) & (nodes.c.scope != besides)
    return {row.scope: row.ip for row in tx.connection.execute(select(nodes.c.scope, nodes.c.ip).where(alone & named))}


def rescope(tx: Tx, old: str, new: str, cluster_pk: str | None) -> None:
    """Bring the nodes and guests of one scope into another.

    Of two rows for one thing the newer report wins, in the older row, so that a thing keeps its id.
    """
    for table, key in KEYS:
        there = {row[key]: row for row in _rows(tx, table, new)}
        for row in _rows(tx, table, old):
            twin = there.get(row[key])
            if twin is None:
                _change(tx, table, row["id"], scope=new, cluster_pk=cluster_pk)
                continue
            first, second = sorted((row, twin), key=lambda one: (one["created_at"], one["id"]))
            newest = max((row, twin), key=lambda one: one["updated_at"])
            tx.connection.execute(delete(table).where(table.c.id == second["id"]))
            kept = {"id": first["id"], "created_at": first["created_at"], "scope": new, "cluster_pk": cluster_pk}
            _change(tx, table, first["id"], **{**newest, **kept})


def cluster(tx: Tx, cluster_pk: str, teams: Collection[str]) -> Cluster | None:
    """Find a cluster of these teams by our id."""
    row = _one(tx, clusters, cluster_pk, teams)
    return None if row is None else Cluster(**row._mapping)


def node(tx: Tx, node_pk: str, teams: Collection[str]) -> Node | None:
    """Find a node of these teams by our id."""
    row = _one(tx, nodes, node_pk, teams)
    return None if row is None else Node(**row._mapping)


def guest(tx: Tx, guest_pk: str, teams: Collection[str]) -> Guest | None:
    """Find a guest of these teams by our id."""
    row = _one(tx, guests, guest_pk, teams)
    return None if row is None else Guest(**row._mapping)


def cluster_page(tx: Tx, teams: Collection[str], limit: int, offset: int, name: str = "") -> tuple[list[Cluster], int]:
    """Return a page of clusters by name, and how many there are."""
    chosen: Condition = clusters.c.team_id.in_(teams)
    if name:
        chosen &= clusters.c.cluster_name.icontains(name, autoescape=True)
    rows, total = _page(tx, clusters, chosen, [clusters.c.cluster_name, clusters.c.id], limit, offset)
    return [Cluster(**row._mapping) for row in rows], total


def node_page(
    tx: Tx,
    teams: Collection[str],
    limit: int,
    offset: int,
    *,
    cluster: str = "",
    name: str = "",
    status: str = "",
    fact: str = "",
    gone: bool | None = None,
) -> tuple[list[Node], int]:
    """Return a page of nodes by name, and how many there are; ``status`` is online, offline or unknown."""
    chosen: Condition = nodes.c.team_id.in_(teams)
    if cluster:
        chosen &= _in_cluster(nodes, cluster)
    if name:
        chosen &= nodes.c.name.icontains(name, autoescape=True)
    if status == "unknown":
        chosen &= nodes.c.unknown_since.is_not(None)
    elif status:
        chosen &= nodes.c.unknown_since.is_(None) & (nodes.c.online == int(status == "online"))
    if fact:
        chosen &= _has_fact(nodes, nodes.c.name, fact, ("node", "nodes"))
    if gone is not None:
        chosen &= nodes.c.gone_at.is_not(None) if gone else nodes.c.gone_at.is_(None)
    rows, total = _page(tx, nodes, chosen, [nodes.c.name, nodes.c.id], limit, offset)
    return [Node(**row._mapping) for row in rows], total


@dataclass(frozen=True, kw_only=True)
class GuestFilter:
    """Which guests are wanted; an empty field does not filter. ``gone`` None means both.

    ``status`` unknown are those of which nobody can say; ``fact`` is a state that a part of what is told has.
    """

    cluster: str = ""
    node: str = ""
    kind: str = ""
    status: str = ""
    tag: str = ""
    name: str = ""
    vmid: int | None = None
    gone: bool | None = False
    pool: str = ""
    lock: str = ""
    template: bool | None = None
    fact: str = ""


def guest_page(tx: Tx, teams: Collection[str], limit: int, offset: int, wanted: GuestFilter) -> tuple[list[Guest], int]:
    """Return a page of guests by number, and how many there are."""
    rows, total = _page(tx, guests, _chosen(teams, wanted), [guests.c.vmid, guests.c.id], limit, offset)
    return [Guest(**row._asdict()) for row in rows], total


def cluster_names(tx: Tx, ids: Collection[str]) -> dict[str, str]:
    """Return what clusters are called, by our id; at most a page of them."""
    rows = tx.connection.execute(select(clusters.c.id, clusters.c.cluster_name).where(clusters.c.id.in_(ids)))
    return {row.id: row.cluster_name for row in rows}


def names(tx: Tx, teams: Collection[str], noun: str) -> dict[str, str]:
    """Return what all clusters or nodes of these teams are called, by our id."""
    table, name = (clusters, clusters.c.cluster_name) if noun == "cluster" else (nodes, nodes.c.name)
    rows = tx.connection.execute(select(table.c.id, name.label("name")).where(table.c.team_id.in_(teams)))
    return {row.id: row.name for row in rows}


def _chosen(teams: Collection[str], wanted: GuestFilter) -> Condition:
    chosen: Condition = guests.c.team_id.in_(teams)
    for name in ("node", "kind", "vmid", "pool", "lock", "template"):
        if (value := getattr(wanted, name)) not in ("", None):
            chosen &= guests.c[name] == value
    if wanted.status == "unknown":
        chosen &= guests.c.unknown_since.is_not(None)
    elif wanted.status:
        chosen &= guests.c.unknown_since.is_(None) & (guests.c.status == wanted.status)
    if wanted.fact:
        named = guests.c.kind + literal("/") + cast(guests.c.vmid, String)
        chosen &= _has_fact(guests, named, wanted.fact, ("guest", "guests", "rights", "resources"), OTHER_KIND)
    if wanted.cluster:
        chosen &= _in_cluster(guests, wanted.cluster)
    if wanted.name:
        chosen &= guests.c.name.icontains(wanted.name, autoescape=True)
    if wanted.tag:
        # Proxmox takes comma, semicolon and blank between tags.
        listed = "," + func.replace(func.replace(func.lower(guests.c.tags), ";", ","), " ", ",") + ","
        chosen &= listed.contains(f",{wanted.tag.lower()},", autoescape=True)
    if wanted.gone is not None:
        chosen &= guests.c.gone_at.is_not(None) if wanted.gone else guests.c.gone_at.is_(None)
    return chosen


def _has_fact(
    table: Table, named: ColumnElement[str], state: str, first: Collection[str], foreign: Any = ""
) -> Condition:
    """Return whether a part of a thing, as its teller says, has a state; sections begin with one of these words.

    A line for all things of a section counts where the thing has none of its own, but for the ``foreign`` section.
    """
    own, whole = facts.alias(), facts.alias()
    told = (own.c.scope == table.c.scope) & (own.c.agent_id == table.c.reported_by) & (own.c.object == named)
    exception = select(own.c.agent_id).where(told & (own.c.section == whole.c.section)).exists()
    covers = or_(*(whole.c.section.like(f"{word}.%") | (whole.c.section == word) for word in first)) & (
        whole.c.section != foreign
    )
    mine = (whole.c.scope == table.c.scope) & (whole.c.agent_id == table.c.reported_by) & (whole.c.object == "")
    general = select(whole.c.agent_id).where(mine & (whole.c.state == state) & covers & ~exception).exists()
    return select(own.c.agent_id).where(told & (own.c.state == state)).exists() | general


def _in_cluster(table: Table, named: str) -> Condition:
    found = select(clusters.c.id).where(clusters.c.cluster_name == named)
    return (table.c.cluster_pk == named) | table.c.cluster_pk.in_(found)


def _page(
    tx: Tx, table: Table, chosen: Condition, order: list[Any], limit: int, offset: int
) -> tuple[list[Row[Any]], int]:
    rows = tx.connection.execute(select(table).where(chosen).order_by(*order).limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(table).where(chosen)).scalar_one()
    return list(rows), total


def _one(tx: Tx, table: Table, key: str, teams: Collection[str]) -> Row[Any] | None:
    return tx.connection.execute(select(table).where((table.c.id == key) & table.c.team_id.in_(teams))).first()


def _rows(tx: Tx, table: Table, scope: str) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in tx.connection.execute(select(table).where(table.c.scope == scope))]


def _change(tx: Tx, table: Table, key: str, **values: Any) -> None:
    tx.connection.execute(update(table).where(table.c.id == key).values(**values))
