"""How an agent is, who may see it, and how trust in it ends."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import agent as service
from nanny_ops.control.services import inventory
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import enrollment as enrollments
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Forbidden, NotFound
from nanny_ops.protocol.agent import Unread
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.enrollment import OFFLINE_AFTER, STALE_AFTER
from nanny_ops.protocol.inventory import UNNAMED, Fact, InventoryReport

OPERATOR = Person("user-1", "a@example.com", "a", False, {teams.DEFAULT: "operator"})


@pytest.fixture
def enrolled(database: Database, now: datetime) -> Database:
    row = Agent(
        "agent-1", teams.DEFAULT, "pve1", "debian", "debian", "1", "", "6.8", "linux", [], "active", micros(now)
    )
    family = enrollments.RefreshFamily("family-1", "agent-1", teams.DEFAULT, 1, "salt", micros(now))
    database.write_now(lambda tx: (agents.add(tx, row), enrollments.add_family(tx, family)))
    return database


@pytest.mark.rows("G0-AG-02")
@pytest.mark.parametrize(
    ("silence", "judged"),
    [
        (0, "healthy"),
        (STALE_AFTER, "healthy"),
        (STALE_AFTER + 1, "stale"),
        (OFFLINE_AFTER, "stale"),
        (OFFLINE_AFTER + 1, "offline"),
        (None, "unknown"),
        (-60, "healthy"),
    ],
)
def test_health_is_judged_by_silence(now: datetime, silence: int | None, judged: str) -> None:
    last_seen = None if silence is None else micros(now - timedelta(seconds=silence))
    assert service.health(last_seen, now) == judged


@pytest.mark.rows("G0-AG-02")
def test_revoking_ends_the_tokens_and_is_done_once(enrolled: Database, now: datetime) -> None:
    first = enrolled.write_now(lambda tx: service.revoke(tx, OPERATOR, "agent-1", now))
    again = enrolled.write_now(lambda tx: service.revoke(tx, OPERATOR, "agent-1", now + timedelta(hours=1)))
    assert service.status(first, now).status == "revoked"
    assert first.revoked_at == again.revoked_at == micros(now)
    family = enrolled.read_now(lambda tx: enrollments.family(tx, "family-1"))
    assert family is not None
    assert family.revoked_at == micros(now)


@pytest.mark.parametrize(
    ("role", "team", "refusal"),
    [("viewer", teams.DEFAULT, Forbidden), ("admin", "team-other", NotFound)],
)
def test_not_everybody_may_revoke(
    enrolled: Database, now: datetime, role: str, team: str, refusal: type[Exception]
) -> None:
    who = Person("user-2", "b@example.com", "b", False, {team: role})
    with pytest.raises(refusal):
        enrolled.write_now(lambda tx: service.revoke(tx, who, "agent-1", now))


def test_an_agent_sees_itself_only(enrolled: Database) -> None:
    mine = HostAgent("agent-1", teams.DEFAULT, "pve1")
    assert enrolled.read_now(lambda tx: service.seen_by(tx, mine, "agent-1")).hostname == "pve1"
    with pytest.raises(Forbidden):
        enrolled.read_now(lambda tx: service.seen_by(tx, mine, "agent-2"))


def test_what_an_agent_cannot_read_of_proxmox_stands_with_it_until_it_can(enrolled: Database, now: datetime) -> None:
    who = HostAgent("agent-1", teams.DEFAULT, "pve1")

    def shown(state: str, minute: int) -> Any:
        at = now + timedelta(minutes=minute)
        line = Fact(section="cluster", state=state, privilege="Sys.Audit", reason="no.")  # type: ignore[arg-type]
        report = InventoryReport(at=stamp(at), node=UNNAMED, facts=[line])
        enrolled.write_now(lambda tx: inventory.take(tx, who, report, {}, at))
        one = enrolled.read_now(lambda tx: agents.some(tx, ["agent-1"]))["agent-1"]
        return enrolled.read_now(lambda tx: service.unread(tx, [one]))

    told = Unread(section="cluster", state="forbidden", privilege="Sys.Audit", reason="no.")
    assert shown("forbidden", 0) == {"agent-1": [told]}
    assert shown("ok", 5) == {}
