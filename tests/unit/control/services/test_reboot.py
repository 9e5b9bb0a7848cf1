"""Reboots: one at a time, begun once, and completed by nothing but a proof that the target began anew."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.services import lease, legacy
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import reboot as service
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import schema
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, sqlite_url
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, Fenced, Forbidden, NotFound, TargetBusy, ValidationFailed
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.feature import REBOOT
from nanny_ops.protocol.inventory import GuestUsage, NodeUsage
from nanny_ops.protocol.legacy import NANNYAGENT
from nanny_ops.protocol.operation import Ack
from nanny_ops.protocol.reboot import RebootRequest, RebootResult
from tests.unit.control.services.test_operation import order

AGENT = HostAgent("agent-1", teams.DEFAULT, "pve1.example.com", dialect=NANNYAGENT)
NEW = HostAgent("agent-2", teams.DEFAULT, "pve2")
PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
VIEWER = Person("user-2", "viewer@example.com", "viewer", False, {teams.DEFAULT: "viewer"})
SECOND = 1_000_000


class Plane:
    """A store with an agent of each dialect."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database, self.now = database, now

    def place(self, person: Person = PERSON, agent: HostAgent = AGENT, **asked: Any) -> Operation:
        request = RebootRequest(agent_id=agent.id, **asked)
        return self.database.write_now(lambda tx: service.place(tx, person, request, "", self.now))[0]

    def begin(self, operation: Operation, agent: HostAgent = AGENT) -> lease.Reply:
        return self.database.write_now(lambda tx: service.acknowledge(tx, agent, operation.id, self.now))

    def fail(self, operation: Operation, said: str) -> Operation:
        return self.database.write_now(lambda tx: service.fail(tx, AGENT, operation.id, said, self.now))

    def begun(self, **asked: Any) -> Operation:
        placed = self.place(**asked)
        assert self.begin(placed).answer is not None
        return placed

    def tick(self, seconds: int, guests: list[GuestUsage] | None = None, nodes: list[NodeUsage] | None = None) -> None:
        """Let time pass, then take a report, then do what the ticker does."""
        self.now += timedelta(seconds=seconds)
        at = micros(self.now)
        self.database.write_now(lambda tx: service.notice(tx, AGENT.id, guests or [], nodes or [], at, at))
        self.database.write_now(lambda tx: service.settle(tx, self.now))
        self.database.write_now(lambda tx: lease.sweep(tx, self.now))

    def state(self, operation: Operation) -> tuple[str, str | None]:
        found = self.database.read_now(lambda tx: store.find(tx, operation.id))
        assert found is not None
        return found.status, found.outcome

    def created(self) -> list[dict[str, Any]]:
        found = self.database.read_now(lambda tx: events.after(tx, 0, 100))
        return [event.payload["record"] for event in found if event.kind == "create"]


@pytest.fixture
def plane(tmp_path: Path, now: datetime) -> Iterator[Plane]:
    database = Database(sqlite_url(tmp_path))
    schema.upgrade(database)
    database.write_now(lambda tx: teams.ensure_default(tx, micros(now)))
    for who in (AGENT, NEW):
        row = agents.Agent(
            who.id, who.team_id, who.hostname, "debian", "debian", "1", "", "6", "linux", [], "active", 0
        )
        database.write_now(lambda tx, row=row, who=who: agents.add(tx, replace(row, dialect=who.dialect)))
    database.write_now(lambda tx: agents.change(tx, NEW.id, features=[REBOOT]))
    yield Plane(database, now)
    database.close()


def guest(uptime: int, status: str = "running", vmid: int = 100) -> GuestUsage:
    return GuestUsage(vmid=vmid, kind="lxc", node="pve1", status=status, uptime=uptime)


def node(uptime: int, name: str = "pve1") -> NodeUsage:
    return NodeUsage(node=name, status="online", uptime=uptime)


@pytest.mark.rows("R3")
@given(
    acknowledged=st.integers(0, 2**50), before=st.integers(0, 2**50), since=st.integers(0, 2**40),
    timeout=st.integers(30, 3600),
)  # fmt: skip
def test_whatever_ran_at_the_acknowledgement_proves_nothing(
    acknowledged: int, before: int, since: int, timeout: int
) -> None:
    asked = {"timeout_seconds": timeout, "reason": ""}
    running = Operation("r", "t", AGENT.id, "reboot", "running", "host", asked, "u", 0, 0, 0, started_at=acknowledged)
    read = acknowledged + since
    uptime = before + since  # it runs since before the agent acknowledged
    assert not service.proves(running, read - uptime)
    assert not service.proves(replace(running, started_at=None), read)


def test_the_same_order_with_the_same_key_reboots_once(plane: Plane) -> None:
    def place(key: str, **asked: Any) -> tuple[Operation, bool]:
        request = RebootRequest(agent_id=AGENT.id, **asked)
        return plane.database.write_now(lambda tx: service.place(tx, PERSON, request, key, plane.now))

    first, new = place("k")
    assert new
    again, new = place("k")
    assert (again.id, new) == (first.id, False)
    with pytest.raises(Conflict, match="another request"):
        place("k", reason="other")
    with pytest.raises(Conflict, match="The reboot"):
        place("")


@pytest.mark.rows("R3")
def test_a_heartbeat_is_no_proof_and_nobody_knows_is_said_in_the_end(plane: Plane) -> None:
    on_host, inside = plane.begun(), plane.begun(lxc_id="lxc-100")
    for _ in range(9):
        plane.tick(30, [guest(86_400), guest(5, vmid=101)], [node(86_400), node(5, "pve2")])
        assert plane.state(on_host) == plane.state(inside) == ("running", None)
    plane.tick(31, [guest(0, "stopped"), guest(0)])
    assert plane.state(on_host) == plane.state(inside) == ("expired", "unknown")
    found = plane.database.read_now(lambda tx: store.find(tx, inside.id))
    assert found is not None
    assert "nobody knows" in service.rendered(found).explanation
    plane.tick(30, [guest(10)])  # it began, but after the order's time
    assert plane.state(inside) == ("expired", "unknown")


@pytest.mark.rows("R3")
def test_a_start_after_the_acknowledgement_is_the_proof(plane: Plane) -> None:
    on_host, inside = plane.begun(), plane.begun(vmid=100)
    plane.tick(60, [guest(59)], [node(30)])
    assert (plane.state(on_host), plane.state(inside)) == (("completed", "ok"), ("running", None))
    plane.tick(60, [guest(100)])
    assert plane.state(inside) == ("completed", "ok")


def test_a_late_report_still_tells_the_truth(plane: Plane) -> None:
    inside = plane.begun(vmid=100)
    plane.tick(301)
    assert plane.state(inside) == ("expired", "unknown")
    plane.tick(120, [guest(400)])
    assert plane.state(inside) == ("completed", "ok")
    other = plane.begun(vmid=100)
    plane.tick(301)
    plane.tick(3700, [guest(3990)])
    assert plane.state(other) == ("expired", "unknown")


def test_one_reboot_of_a_target_at_a_time_begun_once(plane: Plane) -> None:
    placed = plane.place(vmid="100")
    with pytest.raises(Conflict, match=placed.id):
        plane.place(lxc_id="lxc/100")
    assert plane.begin(placed).answer is not None
    with pytest.raises(Conflict, match="not begun twice"):
        plane.begin(placed)
    with pytest.raises(Conflict, match="cannot be taken back"):
        plane.database.write_now(lambda tx: service.withdraw(tx, PERSON, placed.id, plane.now))
    plane.tick(301)
    assert plane.place(vmid="100").status == "pending"


def test_a_patch_and_a_reboot_wait_for_each_other(plane: Plane) -> None:
    patch = order(plane.now, "patch-1", AGENT)
    plane.database.write_now(lambda tx: operations.create(tx, replace(patch, target="host", vmid=None)))
    running = Ack(state="running")
    plane.database.write_now(lambda tx: lease.acknowledge(tx, AGENT, "patch-1", running, plane.now))
    placed = plane.place()
    assert isinstance(plane.begin(placed).wait, TargetBusy)
    patched = plane.database.read_now(lambda tx: store.find(tx, "patch-1"))
    assert patched is not None
    plane.database.write_now(lambda tx: lease.release(tx, patched, plane.now))
    told = [record["id"] for record in plane.created()]
    assert told == ["patch-1", placed.id, placed.id]  # told again since its target is free
    assert plane.begin(placed).answer is not None


def test_what_fails_is_told_in_bounds(plane: Plane) -> None:
    first = plane.begun()
    with pytest.raises(Forbidden):
        plane.database.write_now(lambda tx: service.fail(tx, NEW, first.id, "x", plane.now))
    ended = plane.fail(first, "no such\0 binary\x1b[31m" + "x" * 5000)
    assert (ended.status, ended.outcome, len(ended.reason)) == ("failed", "agent_error", 2000)
    assert not {"\0", "\x1b"} & set(ended.reason)
    for late in (lambda: plane.fail(first, "again"), lambda: plane.begin(first)):
        try:
            reply = late()
        except Conflict:
            continue
        assert isinstance(reply, lease.Reply)
        assert reply.answer is not None
        assert not reply.answer.proceed
    assert plane.fail(plane.place(), "").reason


def test_who_may_order_what(plane: Plane) -> None:
    with pytest.raises(Forbidden):
        plane.place(VIEWER)
    with pytest.raises(NotFound):
        plane.place(agent=replace(AGENT, id="agent-none"))
    plane.database.write_now(lambda tx: agents.change(tx, NEW.id, features=[]))
    with pytest.raises(Conflict, match="does not carry out reboots"):
        plane.place(agent=NEW)
    for wrong in ({"vmid": "qemu/100"}, {"vmid": 100, "lxc_id": "lxc-101"}, {"expires_at": "2001-01-01T00:00:00Z"}):
        with pytest.raises(ValidationFailed):
            plane.place(**wrong)
    placed = plane.place()
    for _ in range(2):
        ended, _new = plane.database.write_now(lambda tx: service.withdraw(tx, PERSON, placed.id, plane.now))
        assert ended.status == "cancelled"


def test_the_record_is_that_of_the_older_dialect(plane: Plane) -> None:
    placed = plane.place(vmid=100, reason="new libc")
    [record] = plane.created()
    told = legacy.record(record)
    assert told is not None
    assert told["collectionName"] == "reboot_operations"
    expected = {
        "id": placed.id, "agent_id": AGENT.id, "lxc_id": "lxc-100", "vmid": "100", "reason": "new libc",
        "requested_at": "2026-01-31T02:00:00.000Z", "status": "sent", "timeout_seconds": 300, "acknowledged_at": "",
        "completed_at": "", "error_message": "", "user_id": "",
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    states = [legacy.record({**record, "status": status}) for status in ("running", "expired")]
    assert [one["status"] for one in states if one] == ["rebooting", "timeout"]


def report(plane: Plane, operation: Operation, who: HostAgent = NEW, **said: Any) -> tuple[Operation, bool]:
    result = RebootResult(**{"outcome": "ok", "before": "a", "after": "b", "claim": "c", **said})
    return plane.database.write_now(lambda tx: service.take(tx, who, operation.id, result, plane.now))


def begun_by_claim(plane: Plane, **asked: Any) -> Operation:
    placed = plane.place(agent=NEW, **asked)
    running = Ack(state="running", claim="c")
    reply = plane.database.write_now(lambda tx: lease.acknowledge(tx, NEW, placed.id, running, plane.now))
    assert reply.answer is not None
    assert reply.answer.lease
    return placed


def test_an_agent_of_ours_tells_by_which_proof_and_the_first_word_stands(plane: Plane) -> None:
    placed = begun_by_claim(plane)
    plane.tick(60, [], [node(30, "pve2")])  # an uptime alone does not end it: a better proof is on its way
    assert plane.state(placed) == ("running", None)
    ended, new = report(plane, placed, reason="It runs anew.")
    assert (ended.status, ended.outcome, new) == ("completed", "ok", True)
    shown = service.rendered(ended)
    assert (shown.before, shown.after, shown.explanation) == ("a", "b", "It runs anew.")
    assert not report(plane, placed, outcome="not_rebooted")[1]
    assert plane.place(agent=NEW).status == "pending"


@pytest.mark.rows("F14", "R3")
@pytest.mark.parametrize("marks", [{"after": "a"}, {"after": ""}, {"before": ""}], ids=str)
def test_without_two_marks_that_differ_nothing_is_done(plane: Plane, marks: dict[str, str]) -> None:
    placed = begun_by_claim(plane)
    with pytest.raises(ValidationFailed, match="another mark"):
        report(plane, placed, **marks)
    ended, _ = report(plane, placed, outcome="not_rebooted", **marks)
    assert (ended.status, ended.outcome) == ("failed", "not_rebooted")


def test_who_may_tell(plane: Plane) -> None:
    placed = begun_by_claim(plane)
    with pytest.raises(Fenced):
        report(plane, placed, claim="another")
    with pytest.raises(Forbidden):
        report(plane, placed, AGENT)
    odd, _ = report(plane, placed, outcome="nonsense\x1b")
    assert (odd.status, odd.outcome) == ("failed", "agent_error")


def test_an_agent_that_never_came_back_is_unknown_and_its_late_word_counts(plane: Plane) -> None:
    placed = begun_by_claim(plane)
    plane.tick(300)
    assert plane.state(placed) == ("running", None)  # it may tell for an hour after the order's time
    plane.tick(3601)
    assert plane.state(placed) == ("expired", "unknown")
    plane.now += timedelta(hours=5)
    assert report(plane, placed)[0].status == "completed"


def test_virtual_machines_are_for_agents_that_can(plane: Plane) -> None:
    placed = plane.place(agent=NEW, vmid="qemu-102")
    assert (placed.target, service.rendered(placed).lxc_id) == ("qemu:102", "")
    assert plane.created()[-1]["target"] == "qemu:102"
    assert plane.place(agent=NEW, vmid="103").target == "lxc:103"
