"""Policies of machines, as their agents told them last."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import agent_policies


@dataclass(frozen=True)
class Told:
    """One policy and the instant at which its agent told it, in microseconds."""

    body: dict[str, Any]
    at: int


def _telling(insert: Any) -> Executable:
    new = insert(agent_policies)
    newer = new.excluded.at >= agent_policies.c.at
    values = {"team_id": new.excluded.team_id, "body": new.excluded.body, "at": new.excluded.at}
    done: Executable = new.on_conflict_do_update(index_elements=["agent_id"], set_=values, where=newer)
    return done


#: Built once, as each order asks it.
_TOLD = select(agent_policies).where(agent_policies.c.agent_id == bindparam("agent"))
#: Built once: they are run for every report; by whether the database is SQLite.
_TELL = {True: _telling(sqlite.insert), False: _telling(postgresql.insert)}


def telling(*, on_sqlite: bool) -> Executable:
    """Return the statement that keeps a policy, unless a newer word of the same agent is known.

    Parameters are the table's columns, for ``Database.append_all``.
    """
    return _TELL[on_sqlite]


def told(tx: Tx, agent_id: str, teams: Collection[str]) -> Told | None:
    """Return what an agent of one of these teams has told last; None where it never did."""
    row = tx.connection.execute(_TOLD, {"agent": agent_id}).first()
    return None if row is None or row.team_id not in teams else Told(row.body, row.at)
