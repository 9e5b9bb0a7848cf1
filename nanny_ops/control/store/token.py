"""Opaque tokens; of each only the hash of its secret is stored."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, false, func, insert, or_, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import tokens


@dataclass(frozen=True)
class Token:
    """One token; ``kind`` is enrollment, agent or operator, instants are microseconds."""

    id: str
    kind: str
    hash: str
    team_id: str
    name: str
    created_by: str
    created_at: int
    expires_at: int
    agent_id: str | None = None
    scopes: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    max_uses: int | None = None
    uses: int = 0
    last_used_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True)
class Visible:
    """Which tokens a person may see: those of machines in ``machines``, their own, and all people's in ``people``."""

    kinds: Collection[str]
    machines: Collection[str]
    owner: str
    owned: Collection[str]
    people: Collection[str]

    def where(self) -> ColumnElement[bool]:
        """Return the condition."""
        person = tokens.c.kind == "operator"
        own = and_(tokens.c.created_by == self.owner, tokens.c.team_id.in_(self.owned)) if self.owner else false()
        mine = or_(
            and_(~person, tokens.c.team_id.in_(self.machines)),
            and_(person, or_(own, tokens.c.team_id.in_(self.people))),
        )
        return and_(tokens.c.kind.in_(self.kinds), mine)


def add(tx: Tx, token: Token) -> None:
    """Write a new token."""
    tx.connection.execute(insert(tokens).values(**vars(token)))


def by_hash(tx: Tx, hashed: str) -> Token | None:
    """Find the token whose secret has this hash, of any team: only for whoever holds the secret."""
    return _token(tx.connection.execute(select(tokens).where(tokens.c.hash == hashed)).first())


def get(tx: Tx, token_id: str, visible: Visible) -> Token | None:
    """Find a token that may be seen."""
    return _token(tx.connection.execute(select(tokens).where((tokens.c.id == token_id) & visible.where())).first())


def page(tx: Tx, visible: Visible, limit: int, offset: int, name: str = "") -> tuple[list[Token], int]:
    """Return a page of what may be seen, or of what has one name, newest first, and how many there are."""
    mine = visible.where()
    if name:
        mine &= tokens.c.name == name
    newest = select(tokens).where(mine).order_by(tokens.c.created_at.desc(), tokens.c.id)
    rows = tx.connection.execute(newest.limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(tokens).where(mine)).scalar_one()
    return [Token(**row._mapping) for row in rows], total


def change(tx: Tx, token_id: str, **values: Any) -> None:
    """Change fields of a token."""
    tx.connection.execute(update(tokens).where(tokens.c.id == token_id).values(**values))


def revoke_owned(tx: Tx, user_id: str, now: int) -> None:
    """End the tokens of a person's automation; those of machines are their team's and stay."""
    mine = (tokens.c.kind == "operator") & (tokens.c.created_by == user_id) & tokens.c.revoked_at.is_(None)
    tx.connection.execute(update(tokens).where(mine).values(revoked_at=now))


def revoke_named(tx: Tx, team_id: str, name: str, now: int) -> None:
    """End the operators' tokens of a team that have a name."""
    mine = (tokens.c.team_id == team_id) & (tokens.c.name == name) & (tokens.c.kind == "operator")
    tx.connection.execute(update(tokens).where(mine & tokens.c.revoked_at.is_(None)).values(revoked_at=now))


def spend(tx: Tx, token_id: str, now: int) -> bool:
    """Count one use unless all are spent; tell whether there was one left."""
    left = (tokens.c.id == token_id) & (tokens.c.uses < tokens.c.max_uses)
    used = update(tokens).where(left).values(uses=tokens.c.uses + 1, last_used_at=now)
    return tx.connection.execute(used).rowcount == 1


def touch(tx: Tx, token_id: str, now: int, since: int) -> None:
    """Note a use, unless one was noted after ``since``."""
    old = or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at <= since)
    tx.connection.execute(update(tokens).where((tokens.c.id == token_id) & old).values(last_used_at=now))


def _token(row: Row[Any] | None) -> Token | None:
    return None if row is None else Token(**row._mapping)
