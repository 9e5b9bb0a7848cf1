"""Reports that hold many things at once: who tells of what, and rows written by the hundred."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Table, bindparam, delete, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox import Guest, Node
from nanny_ops.control.store.proxmox_tables import clusters, guests, nodes, reporters, scopes
from nanny_ops.control.store.tables import agents

#: Values in one statement; SQLite and PostgreSQL bound them far above.
CHUNK = 500


@dataclass(frozen=True)
class Scope:
    """A cluster, or a node outside one; see the table."""

    scope: str
    team_id: str
    created_at: int
    speaker: str | None = None
    speaker_until: int | None = None
    listed_at: int | None = None
    undescribed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Reporter:
    """The last report of an agent; see the table. ``usage`` is packed."""

    agent_id: str
    team_id: str
    scope: str
    node: str
    at: int
    heard_at: int
    until: int
    lacking_at: int | None = None
    usage: bytes | None = None


def scope(tx: Tx, key: str) -> Scope | None:
    """Find what is known of a scope."""
    row = tx.connection.execute(select(scopes).where(scopes.c.scope == key)).first()
    return None if row is None else Scope(**row._mapping)


def put_scope(tx: Tx, row: Scope, *, known: bool) -> None:
    """Write a scope's row."""
    _put(tx, scopes, scopes.c.scope == row.scope, vars(row), known=known)


def reporter(tx: Tx, agent_id: str) -> Reporter | None:
    """Find the last report of an agent."""
    row = tx.connection.execute(select(reporters).where(reporters.c.agent_id == agent_id)).first()
    return None if row is None else Reporter(**row._mapping)


def put_reporter(tx: Tx, row: Reporter, *, known: bool) -> None:
    """Write an agent's last report."""
    _put(tx, reporters, reporters.c.agent_id == row.agent_id, vars(row), known=known)


def reporters_by_agent(tx: Tx, ids: Collection[str]) -> dict[str, Reporter]:
    """Return the last reports of agents, of any team: for the reporters of things that were found by team."""
    rows = tx.connection.execute(select(reporters).where(reporters.c.agent_id.in_(ids)))
    return {row.agent_id: Reporter(**row._mapping) for row in rows}


def living_nodes(tx: Tx, key: str, now: int, besides: str) -> set[str]:
    """Return the nodes of a scope whose own agents are heard of, other agents than ``besides``."""
    mine = (reporters.c.scope == key) & (reporters.c.until >= now) & (reporters.c.agent_id != besides)
    joined = select(reporters.c.node).join(agents, agents.c.id == reporters.c.agent_id)
    return set(tx.connection.execute(joined.where(mine & (agents.c.status != "revoked"))).scalars())


def nodes_of(tx: Tx, key: str) -> dict[str, Node]:
    """Return all nodes of a scope by name, those that left it too."""
    return {row.name: Node(**row._mapping) for row in tx.connection.execute(select(nodes).where(nodes.c.scope == key))}


def node_names(tx: Tx, key: str) -> set[str]:
    """Return the names of the nodes of a scope that have not left it."""
    mine = (nodes.c.scope == key) & nodes.c.gone_at.is_(None)
    return set(tx.connection.execute(select(nodes.c.name).where(mine)).scalars())


def guests_of(tx: Tx, key: str, *, node: str | None, vmids: Collection[int]) -> dict[int, Row[Any]]:
    """Return a scope's guests by number, without their bodies: all, or those of one node and those with the numbers.

    A body is parsed from its text, which costs more than all the rest; :func:`bodies_of` has them.
    """
    light = select(*(column for column in guests.c if column.name != "body"))
    mine = guests.c.scope == key
    if node is None:
        return {row.vmid: row for row in tx.connection.execute(light.where(mine))}
    found = {row.vmid: row for row in tx.connection.execute(light.where(mine & (guests.c.node == node)))}
    for some in chunks(sorted(set(vmids) - found.keys())):
        rows = tx.connection.execute(light.where(mine & guests.c.vmid.in_(some)))
        found.update({row.vmid: row for row in rows})
    return found


def bodies_of(tx: Tx, key: str, vmids: Collection[int]) -> dict[int, dict[str, Any]]:
    """Return what was last told of these guests."""
    found: dict[int, dict[str, Any]] = {}
    for some in chunks(sorted(vmids)):
        chosen = (guests.c.scope == key) & guests.c.vmid.in_(some)
        rows = tx.connection.execute(select(guests.c.vmid, guests.c.body).where(chosen))
        found.update({row.vmid: row.body for row in rows})
    return found


def add_guests(tx: Tx, rows: Sequence[Guest]) -> None:
    """Write new guests."""
    if rows:
        tx.connection.execute(insert(guests), [vars(row) for row in rows])


def change_guests(tx: Tx, rows: Sequence[Guest]) -> None:
    """Write guests in place of the rows with their ids."""
    _change_many(tx, guests, [vars(row) for row in rows])


def mark_guests(tx: Tx, ids: Collection[str], **values: Any) -> None:
    """Give many guests the same values."""
    for some in chunks(sorted(ids)):
        tx.connection.execute(update(guests).where(guests.c.id.in_(some)).values(**values))


def put_nodes(tx: Tx, fresh: Sequence[Node], changed: Sequence[Node]) -> None:
    """Write new nodes, and others in place of the rows with their ids."""
    if fresh:
        tx.connection.execute(insert(nodes), [vars(row) for row in fresh])
    _change_many(tx, nodes, [vars(row) for row in changed])


def cluster_name(tx: Tx, key: str) -> str:
    """Return what a cluster is called, or nothing where the scope is none."""
    return tx.connection.execute(select(clusters.c.cluster_name).where(clusters.c.id == key)).scalar() or ""


def forget_scope(tx: Tx, key: str) -> None:
    """Drop what is known of a scope that has become part of another; nodes and guests are moved before."""
    for table in (scopes, reporters):
        tx.connection.execute(delete(table).where(table.c.scope == key))


def silence(tx: Tx, before: int) -> int:
    """Note of everything that only silent or revoked agents told that it is not known any more; return how much."""
    silent = (agents.c.status == "revoked") | (agents.c.last_seen < before)
    marked = 0
    for table in (guests, nodes):
        since = select(agents.c.last_seen).where(agents.c.id == table.c.reported_by).scalar_subquery()
        mute = table.c.reported_by.in_(select(agents.c.id).where(silent))
        chosen = table.c.unknown_since.is_(None) & table.c.gone_at.is_(None) & mute
        marked += tx.connection.execute(update(table).where(chosen).values(unknown_since=since)).rowcount
    return marked


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield a few hundred values at a time."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def _put(tx: Tx, table: Table, mine: Any, values: dict[str, Any], *, known: bool) -> None:
    tx.connection.execute(update(table).where(mine).values(**values) if known else insert(table).values(**values))


def _change_many(tx: Tx, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    columns = [name for name in rows[0] if name != "id"]
    statement = update(table).where(table.c.id == bindparam("the_id"))
    statement = statement.values({name: bindparam(f"new_{name}") for name in columns})
    tx.connection.execute(
        statement, [{"the_id": row["id"], **{f"new_{name}": row[name] for name in columns}} for row in rows]
    )
