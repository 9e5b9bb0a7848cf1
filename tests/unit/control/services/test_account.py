"""What admins may do with accounts, and that the last of them stays."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import account as service
from nanny_ops.control.services import token as tokens
from nanny_ops.control.services import user as people
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.session import as_person
from nanny_ops.control.store import audit
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import token as token_store
from nanny_ops.control.store import user as store
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.tables import teams as team_table
from nanny_ops.control.store.user import User
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.token import TokenRequest
from nanny_ops.protocol.user import UserChange, UserRequest

OTHER = "team-other"


class Site:
    """A store with an admin of the installation and two teams."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database, self.now = database, now
        other = team_table.insert().values(id=OTHER, name="o", created_at=0)
        database.write_now(lambda tx: tx.connection.execute(other))
        self.admin = self.person(self.make("admin@example.com", "admin"))

    def make(self, email: str, role: str, team_id: str = "") -> User:
        return self.database.write_now(lambda tx: people.add(tx, email, role, "x", self.now, team_id=team_id))

    def person(self, user: User) -> Person:
        return self.database.read_now(lambda tx: as_person(tx, user))

    def change(self, who: Person, user: User, **wanted: Any) -> tuple[User, bool]:
        asked = UserChange(**wanted)
        return self.database.write_now(lambda tx: service.change(tx, who, user.id, asked, self.now))

    def add(self, who: Person, **asked: Any) -> User:
        request = UserRequest(**{"email": "new@example.com", "role": "viewer", "password": "x", **asked})
        return self.database.write_now(lambda tx: service.add(tx, who, request, "x", self.now))

    def remove(self, who: Person, user: User) -> User:
        return self.database.write_now(lambda tx: service.remove(tx, who, user.id, self.now))

    def roles(self, user: User) -> dict[str, str]:
        return self.database.read_now(lambda tx: teams.roles_of(tx, user.id))

    def seen(self, who: Person) -> list[str]:
        return [one.email for one in self.database.read_now(lambda tx: store.page(tx, service.reach(who), 50, 0))[0]]

    def noted(self) -> list[str]:
        return [row.action for row in self.database.read_now(lambda tx: audit.after(tx, audit.Filter(teams=None), 0))]


@pytest.fixture
def site(database: Database, now: datetime) -> Site:
    return Site(database, now)


def test_a_change_is_made_once_and_noted(site: Site) -> None:
    user = site.make("op@example.com", "operator")
    for wanted in ({"role": "viewer"}, {"disabled": True}, {"disabled": False}, {"name": "Op"}):
        assert site.change(site.admin, user, **wanted)[1]
        assert not site.change(site.admin, user, **wanted)[1]
    assert site.roles(user) == {teams.DEFAULT: "viewer"}
    assert site.noted()[2:] == ["user.role", "user.disable", "user.enable", "user.rename"]
    with pytest.raises(ValidationFailed, match="printable"):
        site.change(site.admin, user, name="a\x1b[2J")


def test_nobody_takes_their_own_rights(site: Site) -> None:
    me = site.database.read_now(lambda tx: store.get(tx, site.admin.id))
    assert me is not None
    site.make("second@example.com", "admin")
    for wanted in ({"role": "viewer"}, {"disabled": True}):
        with pytest.raises(Conflict, match="your own"):
            site.change(site.admin, me, **wanted)
    with pytest.raises(Conflict, match="your own"):
        site.remove(site.admin, me)
    assert not site.change(site.admin, me, role="admin")[1]


def test_the_only_admin_of_the_installation_stays(site: Site) -> None:
    me = site.database.read_now(lambda tx: store.get(tx, site.admin.id))
    assert me is not None
    root = site.database.read_now(service.local)
    for wanted in ({"role": "viewer"}, {"disabled": True}):
        with pytest.raises(Conflict, match="only admin"):
            site.change(root, me, **wanted)
    with pytest.raises(Conflict, match="only admin"):
        site.remove(root, me)
    second = site.make("second@example.com", "admin")
    assert site.change(root, me, role="viewer")[1]
    with pytest.raises(Forbidden, match="any more"):  # what was looked up before that counts no more
        site.change(site.admin, second, disabled=True)
    assert site.roles(me) == {teams.DEFAULT: "viewer"}


def test_an_admin_of_a_team_has_the_accounts_of_that_team_alone(site: Site) -> None:
    lead = site.person(site.make("lead@example.com", "admin", OTHER))
    assert not lead.is_admin
    own, foreign = site.make("own@example.com", "viewer", OTHER), site.make("foreign@example.com", "viewer")
    both = site.make("both@example.com", "viewer", OTHER)
    site.database.write_now(lambda tx: teams.join(tx, both.id, teams.DEFAULT, "viewer"))
    assert site.seen(lead) == ["lead@example.com", "own@example.com"]
    assert site.change(lead, own, role="operator")[1]
    assert site.roles(own) == {OTHER: "operator"}
    for user in (foreign, both):
        with pytest.raises(NotFound):
            site.change(lead, user, disabled=True)
    for asked in ({"team_id": teams.DEFAULT}, {"team_id": "team-none"}):
        with pytest.raises(NotFound):
            site.add(lead, **asked)
    for wanted in ({"role": "admin"}, {"role": "admin", "team_id": ""}):
        with pytest.raises(Forbidden, match="installation"):
            site.change(lead, own, **wanted)
    with pytest.raises(Forbidden, match="installation"):
        site.add(lead, role="admin")
    assert site.roles(site.add(lead, role="admin", team_id=OTHER)) == {OTHER: "admin"}


def test_others_and_narrow_tokens_have_no_accounts(site: Site) -> None:
    operator = site.person(site.make("op@example.com", "operator"))
    narrow = Person(site.admin.id, "", "", False, {teams.DEFAULT: "admin"}, scopes={"patch"})
    for who in (operator, narrow):
        with pytest.raises(Forbidden):
            site.seen(who)
        with pytest.raises(Forbidden):
            site.add(who)


def test_who_was_admin_everywhere_keeps_the_team_that_is_named(site: Site) -> None:
    second = site.make("second@example.com", "admin")
    changed, _ = site.change(site.admin, second, role="admin", team_id=OTHER)
    assert (changed.is_admin, site.roles(second)) == (False, {OTHER: "admin"})
    site.database.write_now(lambda tx: teams.join(tx, second.id, teams.DEFAULT, "viewer"))
    with pytest.raises(ValidationFailed, match="in which"):
        site.change(site.admin, second, role="viewer")


def test_a_removed_account_leaves_no_token_that_works(site: Site) -> None:
    user = site.make("op@example.com", "operator")
    request = TokenRequest(name="nightly", scopes=["read"])
    made, _ = site.database.write_now(lambda tx: tokens.add(tx, site.person(user), request, site.now))
    site.remove(site.admin, user)
    left = site.database.read_now(lambda tx: token_store.by_hash(tx, made.hash))
    assert left is not None
    assert left.revoked_at is not None
    assert site.roles(user) == {}
    with pytest.raises(NotFound):
        site.remove(site.admin, user)


def test_a_password_is_noted_and_never_written_down(site: Site) -> None:
    user = site.make("op@example.com", "operator")
    later = site.now + timedelta(seconds=5)
    site.database.write_now(lambda tx: service.set_password(tx, site.admin, user.id, "hash-of-it", later))
    changed = site.database.read_now(lambda tx: store.get(tx, user.id))
    assert changed is not None
    assert changed.password_hash == "hash-of-it"
    rows = site.database.read_now(lambda tx: audit.after(tx, audit.Filter(teams=None), 0))
    assert rows[-1].action == "user.password"
    assert "hash-of-it" not in rows[-1].detail
    assert "secret" not in repr(UserRequest(email="a@b", role="viewer", password="secret"))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_who_was_admin_of_a_team_a_moment_ago_makes_nobody_admin(database: Database, now: datetime) -> None:
    site = Site(database, now)
    user = site.make("boss@example.com", "admin", OTHER)
    boss = site.person(user)
    site.change(site.admin, user, role="viewer")
    with pytest.raises(Forbidden, match="any more"):
        site.add(boss, role="admin", team_id=OTHER)
