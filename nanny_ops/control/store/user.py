"""People, and the tokens they have given back."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import revoked_tokens, users


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


def add(tx: Tx, user: User) -> None:
    """Write a new person."""
    tx.connection.execute(insert(users).values(**vars(user)))


def by_email(tx: Tx, email: str) -> User | None:
    """Find a person by e-mail, which is kept in lower case."""
    return _user(tx.connection.execute(select(users).where(users.c.email == email.lower())).first())


def get(tx: Tx, user_id: str) -> User | None:
    """Find a person by id."""
    return _user(tx.connection.execute(select(users).where(users.c.id == user_id)).first())


def every(tx: Tx) -> list[User]:
    """Return all people, oldest first."""
    rows = tx.connection.execute(select(users).order_by(users.c.created_at, users.c.id))
    return [User(**row._mapping) for row in rows]


def disable(tx: Tx, user_id: str, now: int) -> None:
    """Close a person's account."""
    tx.connection.execute(update(users).where(users.c.id == user_id).values(disabled=True, updated_at=now))


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


def _user(row: Row[Any] | None) -> User | None:
    return None if row is None else User(**row._mapping)
