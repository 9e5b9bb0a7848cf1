"""What admins do with people's accounts: see, make, change and remove them, and give them another password.

An admin of the installation has all of them. Who is admin of teams only, and a token that is, has the accounts that are
in these teams and in no others. Nobody takes their own rights, and one admin of the installation always stays.
"""

from collections.abc import Collection
from datetime import datetime

from nanny_ops.control.services import audit
from nanny_ops.control.services import user as people
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import token as tokens
from nanny_ops.control.store import user as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.user import User
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol import user as wire
from nanny_ops.protocol.clock import from_micros, micros, stamp


def local(tx: Tx) -> Person:
    """Return whoever works on the database itself, as root of the control plane does."""
    return Person("", "", "local", True, dict.fromkeys(teams.every(tx), "admin"))


def reach(person: Person) -> Collection[str] | None:
    """Return in which teams a person's accounts are; None is all of the installation. Raises Forbidden."""
    person.allow("admin")
    if person.is_admin:
        return None
    if not (mine := person.teams_as("admin")):
        raise Forbidden("This needs the role 'admin'.")
    return mine


def visible(tx: Tx, person: Person, user_id: str) -> User:
    """Return an account that a person may change. Raises NotFound, Forbidden."""
    found = store.one(tx, user_id, reach(person))
    if found is None:
        raise NotFound(f"There is no account '{user_id[:64]}'.")
    return found


def add(tx: Tx, person: Person, asked: wire.UserRequest, hashed: str, now: datetime) -> User:
    """Make an account. Raises Forbidden, NotFound, ValidationFailed, Conflict."""
    reach(person)
    _demand_present_rights(tx, person)
    if asked.role == "admin" and not asked.team_id:
        _demand_installation(person)
        return people.add(tx, asked.email, asked.role, hashed, now, name=asked.name)
    team_id = _own_team(person, asked.team_id or person.team_for("admin"))
    return people.add(tx, asked.email, asked.role, hashed, now, team_id=team_id, name=asked.name)


def change(tx: Tx, person: Person, user_id: str, asked: wire.UserChange, now: datetime) -> tuple[User, bool]:
    """Change an account; return it, and whether it was otherwise. Raises NotFound, Forbidden, Conflict and others.

    What lessens one's own rights, or would leave the installation without an admin, is a Conflict.
    """
    before = visible(tx, person, user_id)
    _demand_present_rights(tx, person)
    roles = teams.roles_of(tx, before.id)
    if asked.role is not None:
        _give_role(tx, person, before, asked.role, asked.team_id, now)
    if asked.disabled is not None and asked.disabled != before.disabled:
        _spare_admins(tx, person, before, "close" if asked.disabled else "open")
        ends = {"sessions_since": micros(now)} if asked.disabled else {}
        store.change(tx, before.id, disabled=asked.disabled, updated_at=micros(now), **ends)
        audit.note(tx, "user.disable" if asked.disabled else "user.enable", before.id, now, email=before.email)
    if asked.name is not None and (name := people.printable(asked.name)) != before.name:
        store.change(tx, before.id, name=name or before.name, updated_at=micros(now))
        audit.note(tx, "user.rename", before.id, now, email=before.email)
    after = store.get(tx, before.id) or before
    return after, (after, teams.roles_of(tx, after.id)) != (before, roles)


def set_password(tx: Tx, person: Person, user_id: str, hashed: str, now: datetime) -> User:
    """Give an account another password; who was signed in with the old one must sign in again. Raises NotFound."""
    user = store.get(tx, person.id) if user_id == person.id else visible(tx, person, user_id)
    if user is None:
        raise NotFound(f"There is no account '{user_id[:64]}'.")
    if user.id != person.id:
        _demand_present_rights(tx, person)
    store.change(tx, user.id, password_hash=hashed, sessions_since=micros(now), updated_at=micros(now))
    audit.note(tx, "user.password", user.id, now, email=user.email)
    return user


def remove(tx: Tx, person: Person, user_id: str, now: datetime) -> User:
    """Remove an account; its tokens of automation end with it. Raises NotFound, Forbidden, Conflict."""
    user = visible(tx, person, user_id)
    _demand_present_rights(tx, person)
    _spare_admins(tx, person, user, "remove")
    tokens.revoke_owned(tx, user.id, micros(now))
    teams.leave_all(tx, user.id)
    store.remove(tx, user.id)
    audit.note(tx, "user.remove", user.id, now, email=user.email)
    return user


def rendered(tx: Tx, user: User) -> wire.User:
    """Return an account as admins see it."""
    return wire.User(
        id=user.id,
        email=user.email,
        name=user.name,
        is_admin=user.is_admin,
        disabled=user.disabled,
        roles=teams.roles_of(tx, user.id),
        created_at=stamp(from_micros(user.created_at)),
        updated_at=stamp(from_micros(user.updated_at)),
    )


def _give_role(tx: Tx, person: Person, user: User, role: str, team_id: str, now: datetime) -> None:
    whole = role == "admin" and not team_id
    if whole or user.is_admin:
        _demand_installation(person)
    roles = teams.roles_of(tx, user.id)
    where = _own_team(person, team_id) if team_id else _only_team(roles)
    if (user.is_admin, roles.get(where)) == (whole, role):
        return
    _spare_admins(tx, person, user, "change")
    store.change(tx, user.id, is_admin=whole, updated_at=micros(now))
    if user.is_admin:  # who was admin everywhere keeps no team but the one that is meant
        teams.leave_all(tx, user.id)
    teams.leave(tx, user.id, where)
    teams.join(tx, user.id, where, role)
    audit.note(tx, "user.role", user.id, now, where, email=user.email, role=role, installation=whole)


def _own_team(person: Person, team_id: str) -> str:
    if team_id not in person.teams:
        raise NotFound(f"There is no team '{team_id[:64]}'.")
    person.require(team_id, "admin")
    return team_id


def _only_team(roles: Collection[str]) -> str:
    if len(roles) > 1:
        raise ValidationFailed("team_id: the account is in several teams; say in which.", field="team_id")
    return next(iter(roles), teams.DEFAULT)


def _demand_installation(person: Person) -> None:
    if not person.is_admin:
        raise Forbidden("Only an admin of the installation may do that; name a team for an admin of it alone.")


def _demand_present_rights(tx: Tx, person: Person) -> None:
    """Raise Forbidden where the person's own rights were taken since they were looked up, seconds ago."""
    if not person.id:
        return
    present = store.get(tx, person.id)
    lost = present is None or present.disabled or (person.is_admin and not present.is_admin)
    if present is not None and not present.is_admin:
        held = teams.roles_of(tx, person.id)
        lost = lost or any(held.get(team_id) != "admin" for team_id in person.teams_as("admin"))
    if lost:
        raise Forbidden("You may not do that any more.")


def _spare_admins(tx: Tx, person: Person, user: User, what: str) -> None:
    if user.id == person.id:
        raise Conflict(f"You cannot {what} your own account; another admin can.")
    if user.is_admin and not user.disabled and store.open_admins(tx) == [user.id]:
        raise Conflict(f"{user.email} is the only admin of the installation; make another one first.")
