"""Updates: one at a time for an agent, and ended by the agent's first word."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.control.services import lease
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import update as service
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import release as releases
from nanny_ops.control.store import schema
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, sqlite_url
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, Fenced, Forbidden, NotFound
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.legacy import NANNYAGENT
from nanny_ops.protocol.operation import Ack
from nanny_ops.protocol.update import UpdateRequest, UpdateResult

AGENT = HostAgent("agent-1", teams.DEFAULT, "pve1")
OLD = HostAgent("agent-2", teams.DEFAULT, "pve2", dialect=NANNYAGENT)
PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
VIEWER = Person("user-2", "viewer@example.com", "viewer", False, {teams.DEFAULT: "viewer"})
RELEASE = "nanny-agent-2.0-0123456789abcdef"


class Plane:
    """A store with an agent of each dialect and one release."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database, self.now = database, now

    def place(self, person: Person = PERSON, agent: HostAgent = AGENT, **asked: Any) -> Operation:
        request = UpdateRequest(agent_id=agent.id, **asked)
        return self.database.write_now(lambda tx: service.place(tx, person, request, self.now))

    def begin(self, operation: Operation) -> lease.Reply:
        ack = Ack(state="running", claim="c1")
        return self.database.write_now(lambda tx: lease.acknowledge(tx, AGENT, operation.id, ack, self.now))

    def report(self, operation: Operation, **said: Any) -> tuple[Operation, bool]:
        result = UpdateResult(**{"outcome": "ok", "claim": "c1", **said})
        return self.database.write_now(lambda tx: service.take(tx, AGENT, operation.id, result, self.now))


@pytest.fixture
def plane(tmp_path: Path, now: datetime) -> Iterator[Plane]:
    database = Database(sqlite_url(tmp_path))
    schema.upgrade(database)
    database.write_now(lambda tx: teams.ensure_default(tx, micros(now)))
    for who in (AGENT, OLD):
        row = agents.Agent(
            who.id, who.team_id, who.hostname, "debian", "debian", "1", "", "6", "linux", [], "active", 0
        )
        database.write_now(lambda tx, row=row, who=who: agents.add(tx, replace(row, dialect=who.dialect)))
    release = releases.Release(RELEASE, teams.DEFAULT, "2.0", "0" * 64, 5, "user-1", micros(now))
    database.write_now(lambda tx: releases.add(tx, release, [b"bytes"]))
    yield Plane(database, now)
    database.close()


def test_an_order_names_the_newest_release_and_ends_with_the_agents_first_word(plane: Plane) -> None:
    placed = plane.place()
    record = plane.database.read_now(lambda tx: operations.open_for(tx, AGENT))[0]
    assert record["topic"] == "update_operations"
    assert record["record"]["release_id"] == RELEASE
    assert record["record"]["url"] == f"/api/releases/{RELEASE}/archive"
    with pytest.raises(Conflict):
        plane.place()
    plane.begin(placed)
    with pytest.raises(Fenced):
        plane.report(placed, claim="another")
    ended, new = plane.report(placed, outcome="rolled_back", reason="it did not come up", version="1.0")
    assert (new, ended.status, ended.outcome) == (True, "failed", "rolled_back")
    again, new = plane.report(placed)
    assert (new, again.outcome) == (False, "rolled_back")
    assert service.rendered(again).running_version == "1.0"
    assert plane.place(force=True).request["force"]


def test_who_may_not_and_what_cannot(plane: Plane) -> None:
    with pytest.raises(Forbidden):
        plane.place(VIEWER)
    with pytest.raises(Conflict):
        plane.place(agent=OLD)
    with pytest.raises(NotFound):
        plane.place(release_id="none")
    with pytest.raises(NotFound):
        plane.place(agent=HostAgent("nobody", teams.DEFAULT, "x"))


def test_only_what_has_not_begun_can_be_taken_back(plane: Plane) -> None:
    placed = plane.place()
    withdrawn, new = plane.database.write_now(lambda tx: service.withdraw(tx, PERSON, placed.id, plane.now))
    assert (new, withdrawn.status) == (True, "cancelled")
    begun = plane.place()
    plane.begin(begun)
    with pytest.raises(Conflict):
        plane.database.write_now(lambda tx: service.withdraw(tx, PERSON, begun.id, plane.now))
