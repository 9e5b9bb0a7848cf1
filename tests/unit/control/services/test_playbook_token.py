"""A run's token: for who ordered it, in its team, with the scopes of the playbook, as long as the run."""

from datetime import datetime, timedelta

import pytest

from nanny_ops.control.services import playbook_token
from nanny_ops.control.services import token as tokens
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.playbook_run import Run
from nanny_ops.errors import TokenExpired, TokenInvalid
from nanny_ops.protocol.clock import micros

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def _run(now: datetime) -> Run:
    return Run(
        id="run-1", team_id=teams.DEFAULT, home="h", playbook="p", origin="site", digest="d", subject="s", vars={},
        only=[], checking=False, unchecked_reason="", timeout_seconds=60, created_by="user-1", created_at=micros(now),
    )  # fmt: skip


def test_it_lives_as_long_as_its_run(database: Database, now: datetime) -> None:
    run = _run(now)
    secret = database.write_now(lambda tx: playbook_token.issue(tx, run, ["read", "enrol"], now))
    other = database.write_now(lambda tx: playbook_token.issue(tx, run, ["read"], now))
    found = database.read_now(lambda tx: tokens.presented(tx, secret, now))
    assert (found.created_by, found.team_id, found.scopes) == ("user-1", teams.DEFAULT, ["enrol", "read"])
    with pytest.raises(TokenExpired):
        database.read_now(lambda tx: tokens.presented(tx, secret, now + timedelta(seconds=361)))
    database.write_now(lambda tx: playbook_token.end(tx, run, now))
    for ended in (secret, other):
        with pytest.raises(TokenInvalid):
            database.read_now(lambda tx, ended=ended: tokens.presented(tx, ended, now))  # type: ignore[misc]
