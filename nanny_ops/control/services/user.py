"""People: new accounts, passwords, signing in and out; :mod:`nanny_ops.control.services.account` changes them."""

import asyncio
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from nanny_ops.control.services import audit
from nanny_ops.control.services.keyring import Claims
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.errors import Conflict, LoginFailed, ValidationFailed
from nanny_ops.protocol.clock import from_micros, micros

SHORTEST_PASSWORD = 10
ROLES = ("viewer", "operator", "admin")
_hasher = PasswordHasher()
#: Checked when there is no such person, so that the answer takes as long.
_NOBODY = _hasher.hash(secrets.token_hex(8))


def hash_password(password: str) -> str:
    """Hash with argon2id. Raises ValidationFailed for one that is too short."""
    if len(password) < SHORTEST_PASSWORD:
        raise ValidationFailed(f"The password is too short; use at least {SHORTEST_PASSWORD} characters.")
    return _hasher.hash(password)


def add(
    tx: Tx, email: str, role: str, password_hash: str, now: datetime, *, team_id: str = "", name: str = ""
) -> users.User:
    """Make an account; ``admin`` without a team is admin of the installation. Raises ValidationFailed or Conflict."""
    email = email.strip().lower()
    local, at, domain = email.partition("@")
    if not (local and at and domain) or len(email) > 255 or not email.isprintable() or " " in email:
        raise ValidationFailed(f"'{email}' is not an e-mail address.", field="email")
    if role not in ROLES:
        raise ValidationFailed(f"'{role}' is not a role; choose one of {', '.join(ROLES)}.", field="role")
    if users.by_email(tx, email) is not None:
        raise Conflict(f"There is an account for {email} already.")
    at_now = micros(now)
    teams.ensure_default(tx, at_now)
    known_as, whole = printable(name) or local, role == "admin" and not team_id
    user = users.User(f"user-{uuid.uuid4()}", email, known_as, password_hash, whole, False, at_now, at_now)
    users.add(tx, user)
    teams.join(tx, user.id, team_id or teams.DEFAULT, role)
    audit.note(tx, "user.add", user.id, now, team_id, email=email, role=role)
    return user


async def authenticate(database: Database, email: str, password: str, now: datetime) -> users.User:
    """Return the person whose password this is. Raises LoginFailed, always after the same work."""
    user = await database.read(lambda tx: users.by_email(tx, email))
    stored = user.password_hash if user is not None else _NOBODY
    matches = await asyncio.to_thread(is_password, stored, password)
    if user is None or not matches or user.disabled:
        # What was typed for an account that is not there may be a password: it is not written down.
        known: dict[str, Any] = {"email": user.email, "disabled": user.disabled} if user is not None else {}
        await database.write(lambda tx: audit.note(tx, "login_failed", user.id if user else "", now, **known))
        raise LoginFailed
    await database.write(lambda tx: audit.note(tx, "login", user.id, now, email=user.email))
    return user


def sign_out(tx: Tx, claims: Claims, now: datetime) -> None:
    """Make a signed access token worthless before it expires."""
    users.revoke_token(tx, claims.jti, micros(datetime.fromtimestamp(claims.expires, UTC)))
    audit.note(tx, "logout", claims.subject, now)


def rendered(user: users.User) -> dict[str, str]:
    """Return the account as ``/api/auth/me`` shows it."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "created_at": from_micros(user.created_at).isoformat().replace("+00:00", "Z"),
        "updated_at": from_micros(user.updated_at).isoformat().replace("+00:00", "Z"),
    }


def printable(name: str) -> str:
    """Return a name without spaces around it. Raises ValidationFailed for one that no terminal should see."""
    name = name.strip()
    if not name.isprintable():
        raise ValidationFailed("name: use printable characters.", field="name")
    return name


def is_password(stored: str, password: str) -> bool:
    """Tell whether a hash is of this password; takes some 50 ms of a core."""
    try:
        return _hasher.verify(stored, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
