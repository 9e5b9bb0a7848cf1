"""Accounts: roles, bad input, and that a wrong password says nothing about the account."""

from datetime import datetime

import pytest

from nanny_ops.control.services import user as service
from nanny_ops.control.services.session import as_person
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Conflict, LoginFailed, ValidationFailed

PASSWORD = "correct horse battery"


async def test_only_the_right_password_of_an_open_account_signs_in(database: Database, now: datetime) -> None:
    hashed = service.hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$")
    made = await database.write(lambda tx: service.add(tx, "Op@Example.com ", "operator", hashed, now))
    assert (await service.authenticate(database, "op@example.COM", PASSWORD, now)).id == made.id
    refusals = []
    for email, password in (("op@example.com", "wrong"), ("nobody@example.com", PASSWORD)):
        with pytest.raises(LoginFailed) as caught:
            await service.authenticate(database, email, password, now)
        refusals.append(caught.value.message)
    assert len(set(refusals)) == 1
    await database.write(lambda tx: users.change(tx, made.id, disabled=True))
    with pytest.raises(LoginFailed):
        await service.authenticate(database, "op@example.com", PASSWORD, now)


@pytest.mark.parametrize("email", ["", "nobody", "@example.com", "a@", "a b@example.com", "x" * 250 + "@example.com"])
def test_what_is_no_address_is_refused(database: Database, now: datetime, email: str) -> None:
    with pytest.raises(ValidationFailed):
        database.write_now(lambda tx: service.add(tx, email, "viewer", "x", now))


def test_wrong_roles_short_passwords_and_doubles_are_refused(database: Database, now: datetime) -> None:
    with pytest.raises(ValidationFailed, match="choose one of"):
        database.write_now(lambda tx: service.add(tx, "a@example.com", "root", "x", now))
    with pytest.raises(ValidationFailed, match="at least 10"):
        service.hash_password("short")
    database.write_now(lambda tx: service.add(tx, "a@example.com", "viewer", "x", now))
    with pytest.raises(Conflict):
        database.write_now(lambda tx: service.add(tx, "A@example.com", "viewer", "x", now))


def test_an_admin_of_the_installation_reaches_every_team(database: Database, now: datetime) -> None:
    admin = database.write_now(lambda tx: as_person(tx, service.add(tx, "a@example.com", "admin", "x", now)))
    admin.require(teams.DEFAULT, "admin")
    assert set(admin.teams) == {teams.DEFAULT}
