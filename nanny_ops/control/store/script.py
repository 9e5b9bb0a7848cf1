"""Scripts; an id names one immutable version."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, or_, select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import scripts

#: Built once, as each order asks it.
SHIPPED = select(scripts).where(scripts.c.shipped.is_(True)).order_by(scripts.c.created_at.desc(), scripts.c.id)


@dataclass(frozen=True)
class Script:
    """One version of a script; without a team it is shipped and everybody's."""

    id: str
    team_id: str | None
    name: str
    description: str
    content: bytes
    sha256: str
    shipped: bool
    families: list[str]
    created_at: int
    created_by: str | None = None


def add(tx: Tx, script: Script) -> None:
    """Write a new version."""
    tx.connection.execute(insert(scripts).values(**vars(script)))
    tx.shared.pop("shipped", None)


def get(tx: Tx, script_id: str, teams: Collection[str]) -> Script | None:
    """Find a version that is shipped or belongs to one of these teams."""
    visible = or_(scripts.c.team_id.is_(None), scripts.c.team_id.in_(teams))
    return _script(tx.connection.execute(select(scripts).where((scripts.c.id == script_id) & visible)).first())


def exists(tx: Tx, script_id: str) -> bool:
    """Tell whether an id is taken, by whomever."""
    return tx.connection.execute(select(scripts.c.id).where(scripts.c.id == script_id)).first() is not None


def page(tx: Tx, teams: Collection[str], limit: int, offset: int, name: str = "") -> tuple[list[Script], int]:
    """Return a page of the visible versions, or of those of one name, newest first, and how many there are."""
    visible = or_(scripts.c.team_id.is_(None), scripts.c.team_id.in_(teams))
    if name:
        visible &= scripts.c.name == name
    newest = select(scripts).where(visible).order_by(scripts.c.created_at.desc(), scripts.c.id)
    rows = tx.connection.execute(newest.limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(scripts).where(visible)).scalar_one()
    return [Script(**row._mapping) for row in rows], total


def shipped(tx: Tx) -> list[Script]:
    """Return the versions that came with the product, newest first."""
    found: list[Script] | None = tx.shared.get("shipped")
    if found is None:
        found = tx.shared["shipped"] = [Script(**row._mapping) for row in tx.connection.execute(SHIPPED)]
    return found


def _script(row: Row[Any] | None) -> Script | None:
    return None if row is None else Script(**row._mapping)
