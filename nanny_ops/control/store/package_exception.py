"""Packages that are held back."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, insert, or_, select, text, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.inventory import chunks
from nanny_ops.control.store.patch_tables import package_exceptions as rows
from nanny_ops.control.store.proxmox_tables import guests


@dataclass(frozen=True)
class Held:
    """One package that stays as it is; ``object`` is a tag, an agent or a guest, as ``scope`` says."""

    id: str
    team_id: str
    scope: str
    object: str
    package: str
    reason: str
    created_by: str
    created_at: int
    expires_at: int | None = None
    removed_at: int | None = None


@dataclass(frozen=True)
class Tagged:
    """What exceptions ask of a guest: our id, and its tags as Proxmox VE writes them."""

    id: str
    tags: str


def lock(tx: Tx, team_id: str, *, shared: bool = False) -> None:
    """Let orders of a team begin and its exceptions change one after the other; orders do not hinder each other."""
    if tx.connection.dialect.name == "postgresql":
        kind = "_shared" if shared else ""
        statement = text(f"SELECT pg_advisory_xact_lock{kind}(hashtextextended(:key, 0))")
        tx.connection.execute(statement, {"key": f"exceptions {team_id}"})


def tagged(tx: Tx, scopes: Collection[str], vmids: Collection[int]) -> dict[tuple[str, int | None], Tagged]:
    """Return guests by scope and number: at least those with the numbers."""
    columns = (guests.c.id, guests.c.tags, guests.c.scope, guests.c.vmid)
    found: dict[tuple[str, int | None], Tagged] = {}
    for some in chunks(sorted(vmids)):
        rows = tx.connection.execute(select(*columns).where(guests.c.scope.in_(scopes) & guests.c.vmid.in_(some)))
        found.update({(row.scope, row.vmid): Tagged(row.id, row.tags) for row in rows})
    return found


def add(tx: Tx, row: Held) -> None:
    """Write a new exception."""
    tx.connection.execute(insert(rows).values(**vars(row)))


def get(tx: Tx, key: str, teams: Collection[str]) -> Held | None:
    """Find an exception of these teams."""
    row = tx.connection.execute(select(rows).where((rows.c.id == key) & rows.c.team_id.in_(teams))).first()
    return None if row is None else Held(**row._mapping)


def page(tx: Tx, teams: Collection[str], limit: int, offset: int, active_at: int | None) -> tuple[list[Held], int]:
    """Return a page, newest first, and how many there are; with an instant only those that count then."""
    chosen: ColumnElement[bool] = rows.c.team_id.in_(teams)
    if active_at is not None:
        chosen &= _active(active_at)
    newest = select(rows).where(chosen).order_by(rows.c.created_at.desc(), rows.c.id).limit(limit).offset(offset)
    found = [Held(**row._mapping) for row in tx.connection.execute(newest)]
    return found, tx.connection.execute(select(func.count()).select_from(rows).where(chosen)).scalar_one()


def active(tx: Tx, team_id: str, now: int) -> list[Held]:
    """Return all that count in a team now, oldest first."""
    chosen = (rows.c.team_id == team_id) & _active(now)
    found = tx.connection.execute(select(rows).where(chosen).order_by(rows.c.created_at, rows.c.id))
    return [Held(**row._mapping) for row in found]


def remove(tx: Tx, key: str, now: int) -> None:
    """Note that an exception counts no more."""
    tx.connection.execute(update(rows).where(rows.c.id == key).values(removed_at=now))


def _active(now: int) -> ColumnElement[bool]:
    return rows.c.removed_at.is_(None) & or_(rows.c.expires_at.is_(None), rows.c.expires_at > now)
