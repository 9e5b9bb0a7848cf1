"""Surveys: each target is looked at once per interval, one of an agent at a time."""

from datetime import datetime, timedelta

import pytest

from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import survey as service
from nanny_ops.control.services import upkeep
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as store
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.operation import Status
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON, TEAM

DAY = timedelta(days=1)


class Site:
    """The site of batches, whose agents are heard of every minute."""

    def __init__(self, database: Database, now: datetime) -> None:
        batch_site.build(database, now)
        self.database, self.now = database, now

    def tick(self) -> list[Operation]:
        """Let five minutes pass and return what is ordered."""
        self.now += timedelta(minutes=5)

        def write(tx: Tx) -> list[Operation]:
            for key in ("a1", "a2"):
                agents.change(tx, key, last_seen=micros(self.now))
            return service.place(tx, service.find_due(tx, DAY, self.now), self.now)

        return self.database.write_now(write)

    def end(self, placed: list[Operation]) -> None:
        for one in placed:
            self.database.write_now(
                lambda tx, one=one: operations.move(tx, store.find(tx, one.id), Status.FAILED, self.now)  # type: ignore[misc,arg-type]
            )

    def first_hours(self) -> list[Operation]:
        """Return what is ordered within two hours; each order ends before the next tick."""
        found = []
        for _ in range(24):
            placed = self.tick()
            self.end(placed)
            found += placed
        return found


@pytest.fixture
def site(database: Database, now: datetime) -> Site:
    return Site(database, now)


def test_in_the_first_hours_each_target_that_can_be_looked_at_is_looked_at_once(site: Site) -> None:
    placed = site.first_hours()
    assert sorted((one.agent_id, one.target) for one in placed) == [
        ("a1", "host"), ("a1", "lxc:100"), ("a2", "host"), ("a2", "lxc:101"),
    ]  # fmt: skip
    assert {(one.request["mode"], one.created_by) for one in placed} == {("dry-run", "survey")}


def test_a_target_is_looked_at_again_a_day_later(site: Site) -> None:
    first = {(one.agent_id, one.target) for one in site.first_hours()}
    assert site.first_hours() == []
    site.now += DAY - timedelta(hours=3)
    assert {(one.agent_id, one.target) for one in site.first_hours()} == first


def test_nothing_is_ordered_in_the_first_minutes_and_one_target_of_an_agent_at_a_time(site: Site) -> None:
    assert site.tick() == []
    placed = [one for _ in range(24) for one in site.tick()]
    assert sorted(one.agent_id for one in placed) == ["a1", "a2"]


def test_what_cannot_be_ordered_is_noted_with_its_reason(site: Site) -> None:
    site.first_hours()
    rows, _ = site.database.read_now(lambda tx: upkeep.page(tx, PERSON, upkeep.Wanted(), 100, 0, site.now))
    odd = next(row for row in rows if row.name == "alp")  # it runs a distribution that no script is for
    assert (odd.state, "script" in odd.why) == ("unknown", True)


def test_an_agent_that_is_silent_is_not_asked(site: Site) -> None:
    site.now += timedelta(days=2)
    assert site.database.read_now(lambda tx: service.find_due(tx, DAY, site.now)) == []
    assert site.database.read_now(lambda tx: agents.get(tx, "a1", [TEAM])) is not None
