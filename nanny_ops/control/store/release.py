"""Releases of the agent, their bytes in pieces, and who signed them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import func, insert, or_, select

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.signature import Signature
from nanny_ops.control.store.tables import release_pieces, release_signatures, releases, signing_keys

#: Bytes of one piece.
PIECE = 2**20


@dataclass(frozen=True)
class Release:
    """One release; ``size`` in bytes."""

    id: str
    team_id: str
    version: str
    sha256: str
    size: int
    created_by: str
    created_at: int


def add(tx: Tx, release: Release, pieces: Iterable[bytes]) -> None:
    """Write a new release with all its bytes, in pieces of :data:`PIECE`."""
    tx.connection.execute(insert(releases).values(**vars(release)))
    for position, content in enumerate(pieces):
        values = {"release_id": release.id, "position": position, "content": content}
        tx.connection.execute(insert(release_pieces).values(**values))


def get(tx: Tx, release_id: str, teams: Collection[str]) -> Release | None:
    """Find a release of one of these teams."""
    chosen = (releases.c.id == release_id) & releases.c.team_id.in_(teams)
    row = tx.connection.execute(select(releases).where(chosen)).first()
    return None if row is None else Release(**row._mapping)


def exists(tx: Tx, release_id: str) -> bool:
    """Tell whether an id is taken, by whomever."""
    return tx.connection.execute(select(releases.c.id).where(releases.c.id == release_id)).first() is not None


def newest(tx: Tx, team_id: str) -> Release | None:
    """Return the release that was added last."""
    order = select(releases).where(releases.c.team_id == team_id).order_by(releases.c.created_at.desc(), releases.c.id)
    row = tx.connection.execute(order.limit(1)).first()
    return None if row is None else Release(**row._mapping)


def page(tx: Tx, teams: Collection[str], limit: int, offset: int) -> tuple[list[Release], int]:
    """Return a page, newest first, and how many there are."""
    visible = releases.c.team_id.in_(teams)
    order = select(releases).where(visible).order_by(releases.c.created_at.desc(), releases.c.id)
    rows = tx.connection.execute(order.limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(releases).where(visible)).scalar_one()
    return [Release(**row._mapping) for row in rows], total


def piece(tx: Tx, release_id: str, position: int, teams: Collection[str]) -> bytes:
    """Return one piece of a release of these teams; empty behind the last one."""
    joined = select(release_pieces.c.content).join(releases, releases.c.id == release_pieces.c.release_id)
    chosen = (releases.c.id == release_id) & releases.c.team_id.in_(teams) & (release_pieces.c.position == position)
    found: bytes | None = tx.connection.execute(joined.where(chosen)).scalar()
    return found or b""


def sign(tx: Tx, release_id: str, key_pk: str, signature: str, now: int, added_by: str | None = None) -> bool:
    """Keep a key's signature of a release; False where it is there already."""
    table = release_signatures
    known = select(table.c.release_id).where((table.c.release_id == release_id) & (table.c.key_pk == key_pk))
    if tx.connection.execute(known).first() is not None:
        return False
    values = {"release_id": release_id, "key_pk": key_pk, "signature": signature, "added_at": now, "added_by": added_by}
    tx.connection.execute(insert(table).values(**values))
    return True


def signatures(tx: Tx, release_id: str, teams: Collection[str]) -> list[Signature]:
    """Return a release's signatures by keys that these teams may see, oldest first."""
    table = release_signatures
    retired = signing_keys.c.retired_at.is_not(None).label("retired")
    joined = select(signing_keys.c.key_id, table.c.signature, signing_keys.c.is_control_plane, retired).join(
        signing_keys, signing_keys.c.id == table.c.key_pk
    )
    visible = or_(signing_keys.c.team_id.is_(None), signing_keys.c.team_id.in_(teams))
    wanted = joined.where((table.c.release_id == release_id) & visible)
    return [
        Signature(**row._mapping) for row in tx.connection.execute(wanted.order_by(table.c.added_at, table.c.key_pk))
    ]
