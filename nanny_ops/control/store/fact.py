"""How well each part of what agents report is known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.proxmox_tables import facts

#: Objects that one question names; beyond that all of the agents' are asked for.
NAMED_AT_ONCE = 1000
#: States of what is not known as it is now.
TROUBLE = ("forbidden", "failed", "stale")


@dataclass(frozen=True)
class Fact:
    """One part of one thing, or, with an empty ``object``, of all that have no row of their own."""

    agent_id: str
    section: str
    object: str
    team_id: str
    scope: str
    state: str
    source: str
    privilege: str
    reason: str
    at: int | None
    told_at: int


def put(tx: Tx, rows: Sequence[Fact]) -> None:
    """Write what is known now. Of each section named, what the agent told before and does not tell again is dropped."""
    if not rows:
        return
    dialect = tx.connection.dialect.name
    made = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(facts)
    changed = ("scope", "state", "source", "privilege", "reason", "at", "told_at")
    upsert = made.on_conflict_do_update(
        index_elements=["agent_id", "section", "object"], set_={name: made.excluded[name] for name in changed}
    )
    tx.connection.execute(upsert, [vars(row) for row in rows])
    first = rows[0]
    sections = {row.section for row in rows}
    outdated = (facts.c.agent_id == first.agent_id) & facts.c.section.in_(sections) & (facts.c.told_at < first.told_at)
    tx.connection.execute(delete(facts).where(outdated))


def about(tx: Tx, scope: str, agent_id: str, objects: Collection[str], sections: Collection[str]) -> list[Fact]:
    """Return what an agent says of how well these objects are known; sections begin with one of these words."""
    named = facts.c.object.in_(objects) | (facts.c.object == "")
    mine = (facts.c.scope == scope) & (facts.c.agent_id == agent_id) & named
    rows = tx.connection.execute(select(facts).where(mine).order_by(facts.c.section, facts.c.object.desc()))
    found = [Fact(**row._mapping) for row in rows]
    return [fact for fact in found if fact.section.partition(".")[0] in sections]


def trouble(tx: Tx, agents: Collection[str], objects: Collection[str]) -> dict[tuple[str, str], dict[str, str]]:
    """Return the state of each section by agent and object, where something is not known as it is now.

    Those of the empty object hold for all without a line of their own in that section; where there is one, such lines
    are told too, also of what is known.
    """
    mine = facts.c.agent_id.in_(agents)
    bad = facts.c.state.in_(TROUBLE)
    columns = select(facts.c.agent_id, facts.c.object, facts.c.section, facts.c.state)
    whole = tx.connection.execute(columns.where(mine & bad & (facts.c.object == ""))).all()
    own = bad | facts.c.section.in_({row.section for row in whole})
    named: ColumnElement[bool] = facts.c.object != ""
    if len(objects) <= NAMED_AT_ONCE:
        named = facts.c.object.in_(objects)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in (*whole, *tx.connection.execute(columns.where(mine & named & own))):
        found.setdefault((row.agent_id, row.object), {})[row.section] = row.state
    return found


def whole(tx: Tx, agents: Collection[str], sections: Collection[str]) -> dict[str, list[Fact]]:
    """Return the lines about whole sections that are forbidden or failed, by agent."""
    bad = facts.c.state.in_(("forbidden", "failed")) & (facts.c.object == "")
    asked = facts.c.agent_id.in_(agents) & facts.c.section.in_(sections) & bad
    found: dict[str, list[Fact]] = {}
    for row in tx.connection.execute(select(facts).where(asked).order_by(facts.c.section)):
        found.setdefault(row.agent_id, []).append(Fact(**row._mapping))
    return found


def drop_scope(tx: Tx, scope: str) -> None:
    """Forget all of a scope."""
    tx.connection.execute(delete(facts).where(facts.c.scope == scope))
