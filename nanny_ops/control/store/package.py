"""What is known of packages on targets: rows that results have told."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import packages


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


def _chunks(names: list[str]) -> list[list[str]]:
    # SQLite and PostgreSQL bound the parameters of one statement; 500 names are far below either.
    return [names[start : start + 500] for start in range(0, len(names), 500)]
