"""The worker: every order once, every result delivered, whatever dies when."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent.order import State
from nanny_ops.agent.spool import Spool
from nanny_ops.agent.worker import Worker, kind_of
from nanny_ops.errors import DiskFull
from nanny_ops.machine.verbs import JobPhase, LookJob
from nanny_ops.protocol.operation import Outcome
from tests.fakes.control_plane import FakeControlPlane, make_equipment, patch_record, refuse
from tests.fakes.hands import FakeHands


class Killed(BaseException):
    """The process dies here."""


class Clockwork:
    """Counts the steps of a run and dies at one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.names = at, []

    def __call__(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.at:
            raise Killed(name)


class StepSpool(Spool):
    """A spool whose every write may be the last thing the process does."""

    step: Callable[[str], None] = staticmethod(lambda _name: None)

    def accept(self, order: Any) -> bool:
        self.step("before accept")
        new = super().accept(order)
        self.step("after accept")
        return new

    def move(self, order_id: str, state: State, reason: str = "") -> None:
        self.step(f"before {state}")
        super().move(order_id, state, reason)
        self.step(f"after {state}")

    def finish(self, order_id: str, finding: Any) -> None:
        self.step("before finish")
        super().finish(order_id, finding)
        self.step("after finish")


async def live(plane: FakeControlPlane, hands: FakeHands, path: Path, step: Callable[[str], None]) -> Spool:
    """Run one life of the agent: what is in the spool, then what the control plane still has open."""
    plane.step = hands.step = step
    spool = StepSpool(path, cap=10)
    spool.step = step
    equipment = make_equipment(plane, hands)
    worker = Worker(equipment, spool)
    try:
        worker.resume()
        for record in plane.open_records():
            worker.submit("patch_operations", "create", record)
        tasks = list(worker._tasks.values())
        await worker.idle()
        for task in tasks:
            task.exception()
    except Killed:
        await worker.close()
    await equipment.client.close()
    return spool


def lives(tmp_path: Path, at: int) -> tuple[FakeControlPlane, FakeHands, Clockwork, Spool]:
    plane, hands, clockwork = FakeControlPlane(), FakeHands(tmp_path, looks=2), Clockwork(at)
    plane.add(patch_record())

    async def two() -> Spool:
        (await live(plane, hands, tmp_path / "spool.db", clockwork)).close()
        return await live(plane, hands, tmp_path / "spool.db", lambda _name: None)

    return plane, hands, clockwork, asyncio.run(two())


def steps_of_a_whole_life(tmp_path: Path) -> int:
    _, _, clockwork, spool = lives(tmp_path, at=0)
    spool.close()
    return len(clockwork.names)


def test_a_run_dies_at_each_step_and_the_script_still_runs_once(tmp_path: Path) -> None:
    home = tmp_path / "whole"
    home.mkdir()
    total = steps_of_a_whole_life(home)
    assert total > 20
    for at in range(1, total + 1):
        home = tmp_path / str(at)
        home.mkdir()
        plane, hands, clockwork, spool = lives(home, at)
        found = spool.find("op-1")
        where = f"killed at step {at}: {clockwork.names[-1]}"
        assert hands.starts["op-1"] == 1, where
        assert plane.results["op-1"], where
        assert {one["metadata"]["outcome"] for one in plane.results["op-1"]} == {"ok"}, where
        assert plane.results["op-1"][0]["stdout"] == b"stdout of op-1\n", where
        assert found is not None, where
        assert found.state is State.DELIVERED, where
        spool.close()


class House:
    """A worker with everything it needs, for one test."""

    def __init__(self, tmp_path: Path, **values: Any) -> None:
        self.plane, self.hands = FakeControlPlane(), FakeHands(tmp_path)
        self.spool = Spool(tmp_path / "spool.db", cap=10)
        self.equipment = make_equipment(self.plane, self.hands, **values)

    def run(self, *records: dict[str, Any], lives: int = 1) -> None:
        async def go() -> None:
            for _ in range(lives):
                worker = Worker(self.equipment, self.spool)
                worker.resume()
                for record in records:
                    worker.submit("record", "create", record)
                await worker.idle()

        asyncio.run(go())

    def state(self, order_id: str = "op-1") -> State | None:
        found = self.spool.find(order_id)
        return found.state if found else None


@pytest.fixture
def house(tmp_path: Path) -> Any:
    made = House(tmp_path)
    yield made
    made.spool.close()


def test_the_same_order_twice_is_one_order(house: House) -> None:
    record = house.plane.add(patch_record())
    house.run(dict(record), dict(record))
    house.run(dict(record))
    assert house.hands.starts["op-1"] == 1
    assert len(house.plane.results["op-1"]) == 1
    assert house.hands.forgotten == ["op-1"]


def test_an_order_for_another_agent_is_left_alone(house: House) -> None:
    house.run(patch_record(agent_id="agent-2"))
    assert house.plane.requests == []
    assert house.state() is None


@pytest.mark.parametrize("order_id", ["", "../x", "a/b", ".", "x" * 129, 7, None])
def test_an_order_with_a_bad_id_is_left_alone(house: House, order_id: Any) -> None:
    house.run(patch_record(order_id))
    assert house.plane.requests == []


def test_an_order_that_nobody_wants_any_more_is_dropped(house: House) -> None:
    house.plane.add(patch_record(status="cancelled"))
    house.run(patch_record())
    assert house.state() is State.DROPPED
    assert not house.hands.starts


def test_an_expired_order_is_not_run(house: House) -> None:
    record = house.plane.add(patch_record(expires_at="2026-01-01T11:59:59Z"))
    house.run(dict(record))
    assert house.state() is State.DROPPED
    assert not house.hands.starts


def test_a_cancel_while_the_script_runs_ends_it(house: House) -> None:
    record = house.plane.add(patch_record())
    house.hands.looks = 10_000

    async def go() -> None:
        worker = Worker(house.equipment, house.spool)
        worker.submit("record", "create", dict(record))
        while not house.hands.starts:
            await asyncio.sleep(0)
        worker.submit("record", "update", {**record, "status": "cancelled"})
        await worker.idle()

    asyncio.run(go())
    assert house.hands.cancelled == ["op-1"]
    assert house.plane.results["op-1"][0]["metadata"]["outcome"] == "cancelled"


def test_a_cancel_whose_event_was_lost_is_noticed(house: House) -> None:
    record = house.plane.add(patch_record(timeout_seconds=600))
    house.hands.looks = 10_000

    async def go() -> None:
        worker = Worker(house.equipment, house.spool)
        worker.submit("record", "create", dict(record))
        while not house.hands.starts:
            await asyncio.sleep(0)
        house.plane.operations["op-1"]["status"] = "cancelled"
        await worker.idle()

    asyncio.run(go())
    assert house.hands.cancelled == ["op-1"]


def test_a_cancel_before_the_begin_drops_the_order(house: House) -> None:
    record = house.plane.add(patch_record())
    house.plane.rules.append(lambda request: refuse(503) if request.url.path.endswith("/ack") else None)
    house.run(dict(record))
    assert house.state() is State.RECEIVED
    house.plane.rules.clear()

    async def go() -> None:
        worker = Worker(house.equipment, house.spool)
        worker.submit("record", "update", {**record, "status": "cancelled"})
        await worker.idle()

    asyncio.run(go())
    assert house.state() is State.DROPPED
    assert not house.hands.starts


def test_two_orders_never_overlap_on_one_target(house: House) -> None:
    house.hands.looks = 5
    records = [house.plane.add(patch_record(f"op-{n}", vmid="100" if n % 2 else "")) for n in range(6)]
    house.run(*[dict(one) for one in records])
    assert sum(house.hands.starts.values()) == 6
    assert house.hands.most_at_once == {"100": 1, "None": 1}


def test_a_lost_job_is_reported_and_never_rerun(house: House) -> None:
    record = house.plane.add(patch_record())
    house.hands.jobs["op-1"] = [JobPhase.LOST, 0, None, "None"]
    house.run(dict(record))
    assert house.plane.results["op-1"][0]["metadata"]["outcome"] == "unknown"
    assert not house.hands.starts


def test_a_job_that_was_prepared_and_did_not_begin_is_begun(house: House) -> None:
    record = house.plane.add(patch_record())
    house.hands.jobs["op-1"] = [JobPhase.READY, 0, None, "None"]
    house.run(dict(record))
    assert house.hands.starts["op-1"] == 1
    assert house.plane.results["op-1"][0]["metadata"]["outcome"] == "ok"


def test_an_order_that_another_machine_has_begun_is_asked_for_and_never_run(house: House) -> None:
    record = house.plane.add(patch_record(status="running"))
    house.plane.claims["op-1"] = "another machine's"

    async def go() -> None:
        worker = Worker(house.equipment, house.spool)
        worker.submit("record", "create", dict(record))
        while len(house.plane.requests) < 3:
            await asyncio.sleep(0)
        house.plane.operations["op-1"]["status"] = "completed"
        await worker.idle()

    asyncio.run(go())
    assert house.state() is State.DROPPED
    assert not house.hands.starts
    assert house.plane.results == {}


def test_a_lost_spool_finds_its_running_job_and_speaks_for_it(house: House, tmp_path: Path) -> None:
    record = house.plane.add(patch_record())
    house.hands.looks = 10_000

    async def one_life(worker: Worker, *, over: bool) -> None:
        worker.submit("record", "create", dict(record))
        while not house.hands.starts:
            await asyncio.sleep(0)
        house.hands.looks = 2
        await (worker.idle() if over else worker.close())

    asyncio.run(one_life(Worker(house.equipment, house.spool), over=False))
    house.hands.jobs["op-1"][1] = 3
    other = Spool(tmp_path / "other.db", cap=1)
    asyncio.run(one_life(Worker(house.equipment, other), over=True))
    other.close()
    metadata = house.plane.results["op-1"][0]["metadata"]
    assert (metadata["outcome"], metadata["claim"]) == ("ok", house.plane.claims["op-1"])
    assert house.hands.starts["op-1"] == 1


def test_an_order_that_waits_for_its_target_leaves_room_and_hears_when_it_is_free(house: House) -> None:
    waits = [True]

    def busy(request: httpx.Request) -> httpx.Response | None:
        begins = request.url.path == "/api/operations/op-1/ack" and b"running" in request.content
        return refuse(423, "target_busy", **{"retry-after": "3600"}) if begins and waits[0] else None

    async def long(seconds: float) -> None:
        await (asyncio.sleep(0) if seconds < 3600 else asyncio.Event().wait())

    house.plane.rules.append(busy)
    house.equipment = make_equipment(house.plane, house.hands, sleep=long)
    first, other = house.plane.add(patch_record()), house.plane.add(patch_record("op-2"))

    async def go() -> None:
        worker = Worker(house.equipment, house.spool, room=1)
        worker.submit("record", "create", dict(first))
        worker.submit("record", "create", dict(other))
        async with asyncio.timeout(5):
            while house.state("op-2") is not State.DELIVERED:
                await asyncio.sleep(0)
        assert house.state("op-1") is State.BEGINNING
        waits[0] = False
        worker.submit("record", "create", dict(first))
        async with asyncio.timeout(5):
            await worker.idle()

    asyncio.run(go())
    assert house.state("op-1") is State.DELIVERED


def test_an_order_begun_before_the_spool_was_lost_is_unknown(house: House) -> None:
    record = house.plane.add(patch_record(status="running"))
    house.run(dict(record))
    assert house.plane.results["op-1"][0]["metadata"]["outcome"] == "unknown"
    assert not house.hands.starts


def test_a_result_waits_until_the_control_plane_is_back(house: House) -> None:
    record = house.plane.add(patch_record())
    house.plane.rules.append(lambda request: refuse(503) if request.url.path.endswith("/results") else None)
    house.run(dict(record))
    assert house.state() is State.FINISHED
    house.plane.rules.clear()
    house.run()
    assert house.state() is State.DELIVERED
    assert house.hands.starts["op-1"] == 1


def test_a_result_refused_for_good_is_kept_with_the_reason(house: House) -> None:
    record = house.plane.add(patch_record())
    house.plane.rules.append(lambda request: refuse(409) if request.url.path.endswith("/results") else None)
    house.run(dict(record), lives=3)
    found = house.spool.find("op-1")
    assert found is not None
    assert found.state is State.UNDELIVERABLE
    assert "409" in found.reason
    assert [one for one in house.plane.requests if one[1].endswith("/results")] == [
        ("POST", "/api/patches/op-1/results")
    ]


def test_a_full_disk_is_a_named_outcome_and_nothing_runs(house: House) -> None:
    class Full(Spool):
        def accept(self, order: Any) -> bool:
            raise DiskFull

    house.spool.close()
    house.spool = Full(house.spool.path, cap=1)
    house.run(house.plane.add(patch_record()))
    assert house.plane.results["op-1"][0]["metadata"]["outcome"] == "disk_full"
    assert not house.hands.starts


def test_a_result_is_delivered_though_the_disk_is_full(house: House) -> None:
    class Full(Spool):
        def finish(self, order_id: str, finding: Any) -> None:
            raise DiskFull

    house.spool.close()
    house.spool = Full(house.spool.path, cap=1)
    house.run(house.plane.add(patch_record()))
    assert house.plane.results["op-1"][0]["metadata"]["outcome"] == "ok"


def test_a_surprise_before_the_begin_is_reported_as_the_agents_failure(house: House) -> None:
    def surprise(_verb: Any) -> Any:
        raise ZeroDivisionError("nobody foresaw this")

    house.hands.answers[LookJob] = surprise
    house.run(house.plane.add(patch_record()), lives=2)
    metadata = house.plane.results["op-1"][0]["metadata"]
    assert metadata["outcome"] == Outcome.AGENT_ERROR
    assert "nobody foresaw this" in metadata["reason"]


@pytest.mark.rows("G0-IV-06")
def test_an_investigation_is_declined_with_a_reason(house: House) -> None:
    record = {"id": "inv-1", "agent_id": "agent-1", "user_prompt": "why is it slow", "status": "pending"}
    house.run(house.plane.add(record))
    assert house.plane.reports["inv-1"]["status"] == "failed"
    assert house.plane.reports["inv-1"]["outcome"] == "unsupported"
    assert house.plane.reports["inv-1"]["reason"]
    assert house.plane.open_records() == []


def test_old_orders_are_forgotten_with_what_they_left(house: House, tmp_path: Path) -> None:
    house.run(house.plane.add(patch_record()))
    house.hands.forgotten.clear()
    with sqlite3.connect(house.spool.path) as db:
        db.execute("UPDATE orders SET changed_at = 0")
    db.close()
    asyncio.run(Worker(house.equipment, house.spool).prune())
    assert house.hands.forgotten == ["op-1"]
    assert house.state() is None


def test_a_start_removes_what_an_end_that_was_cut_short_left(house: House) -> None:
    """Killed between the word that a result has arrived and the removal of its job's files."""
    house.run(house.plane.add(patch_record()))
    house.hands.forgotten.clear()
    asyncio.run(Worker(house.equipment, house.spool).prune())
    assert house.hands.forgotten == ["op-1"]
    assert house.state() is State.DELIVERED


def test_closing_lets_the_job_run_on(house: House) -> None:
    record = house.plane.add(patch_record())
    house.hands.looks = 10_000

    async def go() -> None:
        worker = Worker(house.equipment, house.spool)
        worker.submit("record", "create", dict(record))
        while not house.hands.starts:
            await asyncio.sleep(0)
        await worker.close()

    asyncio.run(go())
    assert house.hands.cancelled == []
    assert house.state() in {State.BEGINNING, State.STARTED}


@pytest.mark.parametrize(
    ("record", "kind"),
    [({"mode": "apply", "script_id": "x"}, "patch"), ({"user_prompt": ""}, "investigation"), ({"mode": "x"}, None)],
)
def test_the_kind_follows_from_the_shape(record: dict[str, Any], kind: str | None) -> None:
    assert kind_of(record) == kind


def test_a_revoked_agent_asks_nothing_more(house: House) -> None:
    house.plane.rules.append(lambda _request: refuse(403, "agent_revoked"))
    house.run(patch_record(), lives=3)
    assert len(house.plane.requests) == 1
    assert house.equipment.client.refused.is_set()
    assert isinstance(house.plane.seen[0], httpx.Request)


@pytest.mark.parametrize("status", [403, 404, 502])
def test_a_stranger_in_between_cannot_drop_an_order(house: House, status: int) -> None:
    """A proxy that knows no such page, or forbids one, does not speak for the control plane."""
    house.plane.add(patch_record())
    house.plane.rules.append(lambda _request: httpx.Response(status, content=b"<html>nginx</html>"))
    house.run(patch_record())
    assert house.state() is State.RECEIVED
    house.plane.rules.clear()
    house.run()
    assert house.state() is State.DELIVERED
    assert house.hands.starts["op-1"] == 1


@pytest.mark.parametrize("status", [[], {}, None, 7])
def test_a_status_of_nonsense_harms_nobody(house: House, status: Any) -> None:
    async def go() -> None:
        worker = Worker(house.equipment, house.spool)
        worker.submit("record", "update", patch_record(status=status))
        await worker.idle()

    asyncio.run(go())
    assert house.state() is None


def test_declining_an_investigation_waits_for_no_patch(house: House) -> None:
    async def go() -> None:
        worker = Worker(house.equipment, house.spool, room=1)
        house.hands.looks = 10**9
        patch = house.plane.add(patch_record(timeout_seconds=86_400))
        worker.submit("record", "create", dict(patch))
        while not house.hands.starts:
            await asyncio.sleep(0)
        record = {"id": "inv-1", "agent_id": "agent-1", "user_prompt": "why?", "status": "pending"}
        house.plane.add(dict(record))
        worker.submit("record", "create", record)
        async with asyncio.timeout(1):
            while "inv-1" not in house.plane.reports:
                await asyncio.sleep(0)
        await worker.close()

    asyncio.run(go())


def test_orders_for_one_target_are_carried_out_as_they_came(house: House) -> None:
    """Also if the answer to the first one's acknowledgement takes longer than the other's."""
    held = asyncio.Event()
    ask = house.equipment.client.request

    async def slow_for_the_first(method: str, path: str, **values: Any) -> Any:
        if path == "/api/operations/op-1/ack" and not held.is_set():
            await asyncio.sleep(0.1)
            held.set()
        return await ask(method, path, **values)

    house.equipment.client.request = slow_for_the_first  # type: ignore[method-assign]
    house.run(house.plane.add(patch_record("op-1")), house.plane.add(patch_record("op-2")))
    assert [job.job_id for job in house.hands.started] == ["op-1", "op-2"]


def test_an_order_that_cannot_be_acknowledged_does_not_keep_its_target(house: House) -> None:
    house.plane.rules.append(lambda request: refuse(500) if request.url.path.endswith("op-1/ack") else None)
    house.run(house.plane.add(patch_record("op-1")), house.plane.add(patch_record("op-2")))
    assert house.state("op-1") is State.RECEIVED
    assert house.state("op-2") is State.DELIVERED
