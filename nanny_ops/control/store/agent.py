"""Agents."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, func, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import agents
from nanny_ops.protocol.legacy import GUIDE, Dialect

#: Notes that an agent was heard of: parameters ``agent`` and ``seen`` (microseconds), for ``Database.append``.
SEEN = update(agents).where(agents.c.id == bindparam("agent")).values(last_seen=bindparam("seen"))

#: Built once, as each order asks it.
NAMED = select(agents).where(agents.c.id == bindparam("agent"))


@dataclass(frozen=True)
class Agent:
    """One enrolled agent; ``status`` is active or revoked."""

    id: str
    team_id: str
    hostname: str
    platform: str
    platform_family: str
    version: str
    primary_ip: str
    kernel_version: str
    os_type: str
    all_ips: list[str]
    status: str
    created_at: int
    enrolled_by: str | None = None
    cluster_pk: str | None = None
    last_seen: int | None = None
    revoked_at: int | None = None
    tags: list[str] = field(default_factory=list)
    attempt: str | None = None
    dialect: Dialect = GUIDE
    features: list[str] = field(default_factory=list)


def add(tx: Tx, agent: Agent) -> None:
    """Write a new agent."""
    tx.connection.execute(insert(agents).values(**vars(agent)))


def get(tx: Tx, agent_id: str, teams: Collection[str]) -> Agent | None:
    """Find an agent of one of these teams."""
    found = find(tx, agent_id)
    return found if found is not None and found.team_id in teams else None


def find(tx: Tx, agent_id: str) -> Agent | None:
    """Find an agent of any team: only for those who prove to be that agent."""
    return _agent(tx.connection.execute(NAMED, {"agent": agent_id}).first())


def by_attempt(tx: Tx, attempt: str) -> Agent | None:
    """Find the agent that an attempt to enrol by token made: only for whoever holds that token."""
    return _agent(tx.connection.execute(select(agents).where(agents.c.attempt == attempt)).first())


def some(tx: Tx, ids: Collection[str]) -> dict[str, Agent]:
    """Return agents by id, of any team: for the reporters of things that were found by team."""
    rows = tx.connection.execute(select(agents).where(agents.c.id.in_(ids)))
    return {row.id: Agent(**row._mapping) for row in rows}


def page(tx: Tx, teams: Collection[str], limit: int, offset: int, hostname: str = "") -> tuple[list[Agent], int]:
    """Return a page of the teams' agents by name, or of those on hosts of one name, and how many there are."""
    mine: ColumnElement[bool] = agents.c.team_id.in_(teams)
    if hostname:
        mine &= agents.c.hostname == hostname
    rows = tx.connection.execute(
        select(agents).where(mine).order_by(agents.c.hostname, agents.c.id).limit(limit).offset(offset)
    )
    total = tx.connection.execute(select(func.count()).select_from(agents).where(mine)).scalar_one()
    return [Agent(**row._mapping) for row in rows], total


def change(tx: Tx, agent_id: str, **values: Any) -> None:
    """Change fields of an agent."""
    tx.connection.execute(update(agents).where(agents.c.id == agent_id).values(**values))


def _agent(row: Row[Any] | None) -> Agent | None:
    return None if row is None else Agent(**row._mapping)
