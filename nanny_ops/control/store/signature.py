"""Signing keys, what they have signed, and which key vouches for which."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, insert, or_, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import script_signatures, scripts, signing_key_endorsements, signing_keys


@dataclass(frozen=True)
class Key:
    """A public key, in base64; without a team it is the control plane's own."""

    id: str
    key_id: str
    team_id: str | None
    public_key: str
    name: str
    is_control_plane: bool
    added_at: int
    added_by: str | None = None
    retired_at: int | None = None


@dataclass(frozen=True)
class Signature:
    """A signature, in base64, with the name of its key."""

    key_id: str
    signature: str
    is_control_plane: bool
    retired: bool


def row_id(team_id: str | None, key_id: str) -> str:
    """Return the row of a key in a team: always the same, so that it cannot be there twice."""
    return hashlib.sha256(f"{team_id or ''}|{key_id}".encode()).hexdigest()[:32]


def add_key(tx: Tx, key: Key) -> None:
    """Write a new key."""
    tx.connection.execute(insert(signing_keys).values(**vars(key)))


def get_key(tx: Tx, key_pk: str) -> Key | None:
    """Find a key by its row."""
    row = tx.connection.execute(select(signing_keys).where(signing_keys.c.id == key_pk)).first()
    return None if row is None else Key(**row._mapping)


def named(tx: Tx, key_id: str, teams: Collection[str]) -> list[Key]:
    """Return the keys of a name: the control plane's, or one for each of these teams that has entered it."""
    found = select(signing_keys).where((signing_keys.c.key_id == key_id) & _visible(teams))
    return [Key(**row._mapping) for row in tx.connection.execute(found.order_by(signing_keys.c.id))]


def keys(tx: Tx, teams: Collection[str]) -> list[Key]:
    """Return the control plane's keys and these teams', oldest first."""
    first = (signing_keys.c.added_at, signing_keys.c.is_control_plane.desc(), signing_keys.c.id)
    found = select(signing_keys).where(_visible(teams)).order_by(*first)
    return [Key(**row._mapping) for row in tx.connection.execute(found)]


def count_keys(tx: Tx, team_id: str) -> int:
    """Return how many keys a team has."""
    of_team = select(func.count()).select_from(signing_keys).where(signing_keys.c.team_id == team_id)
    return tx.connection.execute(of_team).scalar_one()


def retire_key(tx: Tx, key_pk: str, now: int) -> None:
    """Write down that a key is no longer good."""
    tx.connection.execute(update(signing_keys).where(signing_keys.c.id == key_pk).values(retired_at=now))


def add_endorsement(tx: Tx, key: Key, by: Key, signature: str, now: int) -> None:
    """Write down that a key vouches for another, unless that is known."""
    table = signing_key_endorsements
    known = select(table).where((table.c.key_pk == key.id) & (table.c.by_pk == by.id))
    if tx.connection.execute(known).first() is None:
        values = {"key_pk": key.id, "by_pk": by.id, "signature": signature, "added_at": now}
        tx.connection.execute(insert(table).values(**values))


def endorsements(tx: Tx, teams: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Return for each key's row the names of those that vouch for it, with their signatures."""
    table, found = signing_key_endorsements, dict[str, list[tuple[str, str]]]()
    joined = select(table.c.key_pk, signing_keys.c.key_id, table.c.signature).join(
        signing_keys, signing_keys.c.id == table.c.by_pk
    )
    for row in tx.connection.execute(joined.where(_visible(teams)).order_by(table.c.added_at, table.c.by_pk)):
        found.setdefault(row.key_pk, []).append((row.key_id, row.signature))
    return found


def add(tx: Tx, script_id: str, key_pk: str, signature: str, now: int, added_by: str | None = None) -> bool:
    """Keep a key's signature of a script; False where it is there already."""
    table = script_signatures
    known = select(table.c.script_id).where((table.c.script_id == script_id) & (table.c.key_pk == key_pk))
    if tx.connection.execute(known).first() is not None:
        return False
    values = {"script_id": script_id, "key_pk": key_pk, "signature": signature, "added_at": now, "added_by": added_by}
    tx.connection.execute(insert(table).values(**values))
    return True


def of_script(tx: Tx, script_id: str, teams: Collection[str]) -> list[Signature]:
    """Return a script's signatures by keys that these teams may see, oldest first."""
    table = script_signatures
    joined = select(
        signing_keys.c.key_id,
        table.c.signature,
        signing_keys.c.is_control_plane,
        signing_keys.c.retired_at.is_not(None).label("retired"),
    ).join(signing_keys, signing_keys.c.id == table.c.key_pk)
    wanted = joined.where((table.c.script_id == script_id) & _visible(teams))
    rows = tx.connection.execute(
        wanted.order_by(table.c.added_at, signing_keys.c.is_control_plane.desc(), table.c.key_pk)
    )
    return [Signature(**row._mapping) for row in rows]


def unsigned(tx: Tx, key_pk: str) -> list[tuple[str, str]]:
    """Return id and SHA-256 of every script that a key has not signed."""
    signed = select(script_signatures.c.script_id).where(script_signatures.c.key_pk == key_pk)
    rows = tx.connection.execute(select(scripts.c.id, scripts.c.sha256).where(scripts.c.id.not_in(signed)))
    return [(row.id, row.sha256) for row in rows]


def _visible(teams: Collection[str]) -> ColumnElement[bool]:
    return or_(signing_keys.c.team_id.is_(None), signing_keys.c.team_id.in_(teams))
