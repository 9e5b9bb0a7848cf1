"""The operation machine: where an order may go, and that each step is told to its agent."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.services import lease
from nanny_ops.control.services import operation as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, Forbidden, NotFound
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.operation import ENDED, MOVES, OPEN, Ack, Status

MINE = HostAgent("agent-mine", teams.DEFAULT, "pve1")
OTHER = HostAgent("agent-other", teams.DEFAULT, "pve2")


def order(now: datetime, name: str = "patch-1", agent: HostAgent = MINE) -> Operation:
    asked = {
        "mode": "dry-run",
        "timeout_seconds": 60,
        "script_args": "",
        "exclude": [],
        "only": [],
        "security_only": False,
    }
    return Operation(
        id=name, team_id=teams.DEFAULT, agent_id=agent.id, kind="patch", status="pending", target="lxc:100", vmid=100,
        script_id="apt-1", request=asked, created_by="user-1", created_at=micros(now), updated_at=micros(now),
        expires_at=micros(now + timedelta(hours=1)),
    )  # fmt: skip


@pytest.fixture
def placed(database: Database, now: datetime) -> Operation:
    for agent in (MINE, OTHER):
        row = agents.Agent(
            agent.id,
            agent.team_id,
            agent.hostname,
            "debian",
            "debian",
            "1",
            "",
            "6.8",
            "linux",
            [],
            "active",
            micros(now),
        )
        database.write_now(lambda tx, row=row: agents.add(tx, row))
    return database.write_now(lambda tx: service.create(tx, order(now)))


def logged(database: Database) -> list[tuple[str, str, str]]:
    found = database.read_now(lambda tx: events.after(tx, 0, 100))
    return [(event.subject, event.payload["action"], event.payload["record"]["status"]) for event in found]


def test_every_step_is_an_event_to_the_agent(database: Database, placed: Operation, now: datetime) -> None:
    for state in ("delivered", "running"):
        database.write_now(lambda tx, state=state: lease.acknowledge(tx, MINE, placed.id, Ack(state=state), now))
    assert logged(database) == [
        (MINE.id, "create", "pending"),
        (MINE.id, "update", "delivered"),
        (MINE.id, "update", "running"),
    ]


def test_acknowledging_twice_changes_nothing_more(database: Database, placed: Operation, now: datetime) -> None:
    for _ in range(2):
        reply = database.write_now(lambda tx: lease.acknowledge(tx, MINE, placed.id, Ack(), now))
        assert reply.answer is not None
        assert reply.answer.proceed
    assert len(logged(database)) == 2


def test_a_late_delivery_does_not_take_a_running_order_back(
    database: Database, placed: Operation, now: datetime
) -> None:
    database.write_now(lambda tx: lease.acknowledge(tx, MINE, placed.id, Ack(state="running"), now))
    reply = database.write_now(lambda tx: lease.acknowledge(tx, MINE, placed.id, Ack(state="delivered"), now))
    assert reply.answer is not None
    assert reply.answer.status == "running"


def test_another_agents_order_and_an_unknown_one_are_told_apart(
    database: Database, placed: Operation, now: datetime
) -> None:
    with pytest.raises(Forbidden):
        database.read_now(lambda tx: service.owned(tx, OTHER, placed.id))
    with pytest.raises(NotFound):
        database.read_now(lambda tx: service.owned(tx, MINE, "patch-none"))


def test_what_is_cancelled_is_not_begun(database: Database, placed: Operation, now: datetime) -> None:
    cancelled = database.write_now(lambda tx: service.cancel(tx, placed, "No longer wanted.", now))
    assert (cancelled.status, cancelled.outcome) == ("cancelled", "cancelled")
    assert database.write_now(lambda tx: service.cancel(tx, cancelled, "again", now)) == cancelled
    reply = database.write_now(lambda tx: lease.acknowledge(tx, MINE, placed.id, Ack(), now))
    assert reply.answer is not None
    assert not reply.answer.proceed


def test_the_sweep_expires_what_is_due_and_nothing_else(database: Database, placed: Operation, now: datetime) -> None:
    later = replace(order(now, "patch-2"), expires_at=micros(now + timedelta(days=1)))
    database.write_now(lambda tx: service.create(tx, later))
    assert database.write_now(lambda tx: service.sweep(tx, now)) == []
    swept = database.write_now(lambda tx: service.sweep(tx, now + timedelta(hours=1)))
    assert [operation.id for operation in swept] == [placed.id]
    expired = database.read_now(lambda tx: store.find(tx, placed.id))
    assert expired is not None
    assert (expired.status, expired.outcome) == ("expired", "expired")
    assert "fetch" in expired.reason


def test_an_order_past_its_expiry_is_not_handed_out(database: Database, placed: Operation, now: datetime) -> None:
    reply = database.write_now(lambda tx: lease.acknowledge(tx, MINE, placed.id, Ack(), now + timedelta(hours=2)))
    assert reply.answer is not None
    assert reply.ended is not None
    assert (reply.answer.status, reply.answer.proceed) == ("expired", False)


def test_open_orders_come_oldest_first(database: Database, placed: Operation, now: datetime) -> None:
    database.write_now(lambda tx: service.create(tx, order(now + timedelta(seconds=1), "patch-0")))
    listed = database.read_now(lambda tx: service.open_for(tx, MINE))
    assert [item["record"]["id"] for item in listed] == ["patch-1", "patch-0"]


@given(st.sampled_from(sorted(Status)), st.lists(st.sampled_from(sorted(Status)), max_size=6))
def test_no_way_leads_from_an_end_back_to_open(begin: Status, steps: list[Status]) -> None:
    at, ended = begin, begin in ENDED
    for step in steps:
        if step in MOVES[at]:
            at = step
            ended = ended or at in ENDED
            assert not (ended and at in OPEN)


def test_a_move_that_does_not_exist_is_a_conflict(database: Database, placed: Operation, now: datetime) -> None:
    done = database.write_now(lambda tx: service.move(tx, placed, Status.COMPLETED, now))
    with pytest.raises(Conflict, match="completed"):
        database.write_now(lambda tx: service.move(tx, done, Status.RUNNING, now))
