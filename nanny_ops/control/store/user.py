"""People, and the tokens they have given back."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, func, insert, select, true, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import memberships, revoked_tokens, users


@dataclass(frozen=True)
class User:
    """One person; instants in microseconds."""

    id: str
    email: str
    name: str
    password_hash: str
    is_admin: bool
    disabled: bool
    created_at: int
    updated_at: int
    #: Access tokens that were issued earlier are refused.
    sessions_since: int | None = None


def add(tx: Tx, user: User) -> None:
    """Write a new person."""
    tx.connection.execute(insert(users).values(**vars(user)))


def by_email(tx: Tx, email: str) -> User | None:
    """Find a person by e-mail, which is kept in lower case."""
    return _user(tx.connection.execute(select(users).where(users.c.email == email.lower())).first())


def get(tx: Tx, user_id: str) -> User | None:
    """Find a person by id."""
    return _user(tx.connection.execute(select(users).where(users.c.id == user_id)).first())


def page(tx: Tx, teams: Collection[str] | None, limit: int, offset: int, email: str = "") -> tuple[list[User], int]:
    """Return a page of the people of some teams, or of one address, by address, and how many there are."""
    mine = _within(teams)
    if email:
        mine &= users.c.email == email.lower()
    rows = tx.connection.execute(select(users).where(mine).order_by(users.c.email).limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(users).where(mine)).scalar_one()
    return [User(**row._mapping) for row in rows], total


def one(tx: Tx, user_id: str, teams: Collection[str] | None) -> User | None:
    """Find a person of some teams and of no others, and hold them; None as teams is everybody."""
    return _user(tx.connection.execute(tx.held(select(users).where((users.c.id == user_id) & _within(teams)))).first())


def open_admins(tx: Tx) -> list[str]:
    """Return who is admin of the installation and may sign in, and hold them, so that two do not end one another."""
    admins = select(users.c.id).where(users.c.is_admin.is_(True) & users.c.disabled.is_(False)).order_by(users.c.id)
    return list(tx.connection.execute(tx.held(admins)).scalars())


def change(tx: Tx, user_id: str, **values: Any) -> None:
    """Change fields of a person."""
    tx.connection.execute(update(users).where(users.c.id == user_id).values(**values))


def remove(tx: Tx, user_id: str) -> None:
    """Drop a person who is in no team."""
    tx.connection.execute(delete(users).where(users.c.id == user_id))


def revoke_token(tx: Tx, jti: str, expires_at: int) -> None:
    """Remember that an access token must no longer be accepted."""
    known = select(revoked_tokens.c.jti).where(revoked_tokens.c.jti == jti)
    if tx.connection.execute(known).first() is None:
        tx.connection.execute(insert(revoked_tokens).values(jti=jti, expires_at=expires_at))


def is_revoked(tx: Tx, jti: str) -> bool:
    """Tell whether an access token was given back."""
    return tx.connection.execute(select(revoked_tokens.c.jti).where(revoked_tokens.c.jti == jti)).first() is not None


def forget_expired_tokens(tx: Tx, now: int) -> int:
    """Drop what would be refused for its age anyway; return how many."""
    return tx.connection.execute(delete(revoked_tokens).where(revoked_tokens.c.expires_at < now)).rowcount


def _within(teams: Collection[str] | None) -> ColumnElement[bool]:
    """Return the condition that a person is in some of these teams, in no other, and not admin of all."""
    if teams is None:
        return true()
    here = exists().where((memberships.c.user_id == users.c.id) & memberships.c.team_id.in_(teams))
    elsewhere = exists().where((memberships.c.user_id == users.c.id) & memberships.c.team_id.not_in(teams))
    return and_(here, ~elsewhere, users.c.is_admin.is_(False))


def _user(row: Row[Any] | None) -> User | None:
    return None if row is None else User(**row._mapping)
