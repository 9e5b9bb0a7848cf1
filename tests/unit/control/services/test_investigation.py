"""Investigations: what is sent to an agent, what is not, and that none stays open for ever."""

from datetime import datetime, timedelta

import pytest

from nanny_ops.control.services import investigation as service
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Conflict, Forbidden, NotConfigured
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.investigation import InvestigationReport, InvestigationRequest

AGENT = HostAgent("agent-1", teams.DEFAULT, "pve1")
PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
ASKED = InvestigationRequest(agent_id=AGENT.id, issue="It is slow\0 today")


@pytest.fixture(autouse=True)
def enrolled(database: Database, now: datetime) -> None:
    row = agents.Agent(
        AGENT.id, AGENT.team_id, "pve1", "debian", "debian", "1", "", "6", "linux", [], "active", micros(now)
    )
    database.write_now(lambda tx: agents.add(tx, row))


@pytest.mark.parametrize(("who", "told"), [(PERSON, 1), (AGENT, 0)])
def test_only_what_others_ask_for_is_sent(
    database: Database, now: datetime, who: Person | HostAgent, told: int
) -> None:
    made = database.write_now(lambda tx: service.create(tx, who, ASKED, now))
    assert len(database.read_now(lambda tx: events.after(tx, 0, 10))) == told
    assert len(database.read_now(lambda tx: operations.open_for(tx, AGENT))) == told
    assert "\0" not in service.rendered(made).issue


def test_one_that_nobody_ends_expires(database: Database, now: datetime) -> None:
    made = database.write_now(lambda tx: service.create(tx, AGENT, ASKED, now))
    assert [item.id for item in database.write_now(lambda tx: operations.sweep(tx, now + timedelta(days=1)))] == [
        made.id
    ]
    left = database.read_now(lambda tx: store.find(tx, made.id))
    assert left is not None
    assert left.status == "expired"
    late, new = database.write_now(lambda tx: service.report(tx, AGENT, made.id, InvestigationReport(), now))
    assert (late.status, new) == ("expired", False)
    with pytest.raises(Conflict):
        database.read_now(lambda tx: service.take_turn(tx, AGENT, made.id))


def test_a_turn_needs_a_model_and_the_right_agent(database: Database, now: datetime) -> None:
    made = database.write_now(lambda tx: service.create(tx, PERSON, ASKED, now))
    with pytest.raises(NotConfigured):
        database.read_now(lambda tx: service.take_turn(tx, AGENT, made.id))
    with pytest.raises(Forbidden):
        database.read_now(lambda tx: service.take_turn(tx, HostAgent("agent-2", teams.DEFAULT, "x"), made.id))


def test_an_agent_speaks_for_itself_only(database: Database, now: datetime) -> None:
    with pytest.raises(Forbidden):
        database.write_now(lambda tx: service.create(tx, HostAgent("agent-2", teams.DEFAULT, "x"), ASKED, now))
