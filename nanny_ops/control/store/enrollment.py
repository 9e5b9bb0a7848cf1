"""Device codes and families of refresh tokens. Codes are stored hashed."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import device_codes, refresh_families


@dataclass(frozen=True)
class DeviceCode:
    """One attempt to enrol; ``status`` is pending, approved, denied or used."""

    device_hash: str
    user_code: str
    status: str
    claims: dict[str, Any]
    peer: str
    poll_interval: int
    polled_at: int | None
    created_at: int
    expires_at: int
    decided_by: str | None = None
    decided_at: int | None = None
    team_id: str | None = None
    agent_id: str | None = None


@dataclass(frozen=True)
class RefreshFamily:
    """The chain of refresh tokens that began with one enrolment; ``generation`` is the newest issued."""

    id: str
    agent_id: str
    team_id: str
    generation: int
    salt: str
    created_at: int
    used_at: int | None = None
    revoked_at: int | None = None


def add_code(tx: Tx, code: DeviceCode) -> None:
    """Write a new attempt."""
    tx.connection.execute(insert(device_codes).values(**vars(code)))


def code_by_device(tx: Tx, device_hash: str) -> DeviceCode | None:
    """Find an attempt by the hash of its device code."""
    found = select(device_codes).where(device_codes.c.device_hash == device_hash)
    return _code(tx.connection.execute(tx.held(found)).first())


def code_by_user(tx: Tx, user_code: str) -> DeviceCode | None:
    """Find an attempt by the code that people type."""
    found = select(device_codes).where(device_codes.c.user_code == user_code)
    return _code(tx.connection.execute(tx.held(found)).first())


def change_code(tx: Tx, device_hash: str, **values: Any) -> None:
    """Change fields of an attempt."""
    tx.connection.execute(update(device_codes).where(device_codes.c.device_hash == device_hash).values(**values))


def forget_codes(tx: Tx, before: int) -> int:
    """Drop attempts that expired before an instant; return how many."""
    return tx.connection.execute(delete(device_codes).where(device_codes.c.expires_at < before)).rowcount


def add_family(tx: Tx, family: RefreshFamily) -> None:
    """Write a new family."""
    tx.connection.execute(insert(refresh_families).values(**vars(family)))


def family(tx: Tx, family_id: str) -> RefreshFamily | None:
    """Find a family."""
    row = tx.connection.execute(tx.held(select(refresh_families).where(refresh_families.c.id == family_id))).first()
    return None if row is None else RefreshFamily(**row._mapping)


def change_family(tx: Tx, family_id: str, **values: Any) -> None:
    """Change fields of a family."""
    tx.connection.execute(update(refresh_families).where(refresh_families.c.id == family_id).values(**values))


def revoke_families(tx: Tx, agent_id: str, now: int) -> None:
    """End every family of an agent."""
    open_ones = (refresh_families.c.agent_id == agent_id) & refresh_families.c.revoked_at.is_(None)
    tx.connection.execute(update(refresh_families).where(open_ones).values(revoked_at=now))


def _code(row: Row[Any] | None) -> DeviceCode | None:
    return None if row is None else DeviceCode(**row._mapping)
