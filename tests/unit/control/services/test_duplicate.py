"""One identity on two machines is noticed, told once, and forgotten when it has stopped."""

from datetime import datetime, timedelta

import pytest

from nanny_ops.control.services import agent as agent_service
from nanny_ops.control.services import duplicate as service
from nanny_ops.control.services import enrollment
from nanny_ops.control.services.duplicate import COPIED, REPLACED, Replacements
from nanny_ops.control.services.keyring import Keyring
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import enrollment as enrollments
from nanny_ops.control.store import event as events
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.enrollment import AgentStatus, Refresh

OPERATOR = Person("user-1", "a@example.com", "a", False, {teams.DEFAULT: "operator"})
RING = Keyring(b"k" * 32)
AGENT = "agent-1"
HOUR = timedelta(hours=1)


@pytest.fixture
def enrolled(database: Database, now: datetime) -> Database:
    row = agents.Agent(
        AGENT, teams.DEFAULT, "pve1", "debian", "debian", "1", "", "6.8", "linux", [], "active", micros(now)
    )
    family = enrollments.RefreshFamily("family-1", AGENT, teams.DEFAULT, 1, "salt", micros(now))
    database.write_now(lambda tx: (agents.add(tx, row), enrollments.add_family(tx, family)))
    return database


def flag(database: Database, reason: str, at: datetime) -> None:
    database.write_now(lambda tx: service.flag(tx, AGENT, reason, at))


def shown(database: Database, at: datetime) -> AgentStatus:
    agent = database.read_now(lambda tx: agents.find(tx, AGENT))
    assert agent is not None
    doubled = database.read_now(lambda tx: agent_service.duplicated(tx, [agent], at))
    return agent_service.status(agent, at, doubled.get(AGENT))


def since(database: Database, at: datetime) -> str | None:
    found = shown(database, at)
    assert found.duplicate_identity == (found.duplicate_identity_since is not None)
    return found.duplicate_identity_since


@pytest.mark.rows("G0-RT-07")
def test_two_replacements_within_a_minute_show_two_machines(now: datetime) -> None:
    noted = Replacements()
    assert not noted.note(AGENT, now)
    assert not noted.note("agent-2", now)
    assert not noted.note(AGENT, now + timedelta(seconds=60))
    assert noted.note(AGENT, now + timedelta(seconds=119))
    assert not noted.note(AGENT, now + timedelta(seconds=200))


@pytest.mark.rows("G0-RT-07")
def test_replaced_streams_count_for_an_hour_after_the_last(enrolled: Database, now: datetime) -> None:
    assert since(enrolled, now) is None
    for late in (0, 40, 80):
        flag(enrolled, REPLACED, now + timedelta(minutes=late))
    assert since(enrolled, now + timedelta(minutes=139)) == stamp(now)
    assert since(enrolled, now + timedelta(minutes=140)) is None
    flag(enrolled, REPLACED, now + 5 * HOUR)
    assert since(enrolled, now + 5 * HOUR) == stamp(now + 5 * HOUR)


@pytest.mark.rows("G0-RT-07")
def test_operators_are_told_once_per_time(enrolled: Database, now: datetime) -> None:
    for at in (now, now + HOUR / 2, now + 5 * HOUR, now + 5 * HOUR):
        flag(enrolled, REPLACED, at)
    told = enrolled.read_now(lambda tx: events.after(tx, 0, 100))
    assert [(one.topic, one.kind, one.team_id, one.at) for one in told] == [
        ("agents", "duplicate_identity", teams.DEFAULT, micros(at)) for at in (now, now + 5 * HOUR)
    ]
    record = {"agent_id": AGENT, "hostname": "pve1", "since": stamp(now), "reason": REPLACED}
    assert told[0].payload == {"action": "create", "record": record}


@pytest.mark.rows("G0-RT-07")
def test_revoking_ends_it(enrolled: Database, now: datetime) -> None:
    flag(enrolled, COPIED, now)
    enrolled.write_now(lambda tx: agent_service.revoke(tx, OPERATOR, AGENT, now))
    assert since(enrolled, now) is None
    flag(enrolled, REPLACED, now)
    assert since(enrolled, now) is None


@pytest.mark.rows("G0-RT-07", "G0-AU-07")
def test_a_copied_refresh_token_counts_until_it_is_revoked(enrolled: Database, now: datetime) -> None:
    first = RING.refresh_token("family-1", 1, "salt")
    flag(enrolled, REPLACED, now)

    def refresh(token: str) -> enrollment.Outcome:
        return enrolled.write_now(lambda tx: enrollment.refresh(tx, Refresh(refresh_token=token), RING, now))

    second = refresh(first).answer
    assert second is not None
    third = refresh(second.refresh_token).answer
    assert third is not None
    assert since(enrolled, now + 2 * HOUR) is None
    assert refresh(first).refusal is not None
    assert since(enrolled, now + timedelta(days=30)) == stamp(now)
    assert len(enrolled.read_now(lambda tx: events.after(tx, 0, 100))) == 1
