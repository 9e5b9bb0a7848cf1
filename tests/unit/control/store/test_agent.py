"""Agents by id, and ids that cannot be."""

from datetime import datetime

import pytest

from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database
from nanny_ops.errors import BadRequest
from nanny_ops.protocol.clock import micros


@pytest.fixture
def enrolled(database: Database, now: datetime) -> Database:
    def fill(tx: agents.Tx) -> None:
        for name in ("agent-1", "agent-2"):
            row = (name, teams.DEFAULT, "pve1", "debian", "debian", "1", "", "6.8", "linux", [], "active", micros(now))
            agents.add(tx, Agent(*row))

    database.write_now(fill)
    return database


async def test_several_are_heard_of_in_one_commit(enrolled: Database) -> None:
    await enrolled.append_all(
        (agents.SEEN, {"agent": "agent-1", "seen": 7}), (agents.SEEN, {"agent": "agent-2", "seen": 8})
    )
    found = enrolled.read_now(lambda tx: agents.some(tx, ["agent-1", "agent-2", "agent-3"]))
    assert {name: agent.last_seen for name, agent in found.items()} == {"agent-1": 7, "agent-2": 8}


async def test_agents_of_one_host_are_asked_for_by_its_name(enrolled: Database) -> None:
    await enrolled.write(lambda tx: agents.change(tx, "agent-2", hostname="pve2"))
    found, total = enrolled.read_now(lambda tx: agents.page(tx, {teams.DEFAULT}, 50, 0, "pve2"))
    assert ([one.id for one in found], total) == (["agent-2"], 1)
    assert enrolled.read_now(lambda tx: agents.page(tx, {teams.DEFAULT}, 50, 0))[1] == 2
    assert enrolled.read_now(lambda tx: agents.page(tx, {"team-other"}, 50, 0, "pve2"))[1] == 0


async def test_an_id_that_cannot_be_stored_is_not_our_fault(enrolled: Database) -> None:
    if enrolled.sqlite:  # takes it, and finds nothing
        assert await enrolled.read(lambda tx: agents.get(tx, "a\0b", {teams.DEFAULT})) is None
        return
    with pytest.raises(BadRequest):
        await enrolled.read(lambda tx: agents.get(tx, "a\0b", {teams.DEFAULT}))
    with pytest.raises(BadRequest):
        await enrolled.write(lambda tx: agents.change(tx, "agent-1", version="a\0b"))


async def test_the_writer_outlives_a_value_that_cannot_be_bound(enrolled: Database) -> None:
    with pytest.raises((OverflowError, BadRequest)):
        await enrolled.append(agents.SEEN, {"agent": "agent-1", "seen": 2**70})
    await enrolled.append(agents.SEEN, {"agent": "agent-1", "seen": 9})
    assert enrolled.read_now(lambda tx: agents.some(tx, ["agent-1"]))["agent-1"].last_seen == 9
