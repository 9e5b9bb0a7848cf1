"""The default team is made once; roles are per team."""

from datetime import datetime

from nanny_ops.control.services import user as people
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.protocol.clock import micros


def test_the_default_team_is_made_once(database: Database, now: datetime) -> None:
    database.write_now(lambda tx: teams.ensure_default(tx, micros(now)))
    assert database.read_now(teams.every) == [teams.DEFAULT]


def test_roles_of_a_person(database: Database, now: datetime) -> None:
    user = database.write_now(lambda tx: people.add(tx, "a@example.com", "viewer", "x", now))
    assert database.read_now(lambda tx: teams.roles_of(tx, user.id)) == {teams.DEFAULT: "viewer"}
    assert database.read_now(lambda tx: teams.roles_of(tx, "user-none")) == {}
