"""Two control planes on one PostgreSQL ask at the same moment: no bound is passed, and no order is begun twice."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from nanny_ops.control.services import breaker, lease, relocation
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import package_exception as exceptions
from nanny_ops.control.services import patch_batch as batches
from nanny_ops.control.services.breaker import Rest
from nanny_ops.control.services.capacity import Bounds
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import inventory, schema, storage
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.patch_batch import Batch
from nanny_ops.control.store.patch_batch import add as add_batch
from nanny_ops.control.store.storage import Storage
from nanny_ops.errors import NannyError
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.operation import Ack, Outcome, Status
from nanny_ops.protocol.package_exception import ExceptionRequest
from tests.unit.control.conftest import NOW, emptied
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON, TEAM
from tests.unit.control.services.test_operation import order

pytestmark = [pytest.mark.postgres, pytest.mark.rows("R5")]
T = TypeVar("T")
A1, A2 = HostAgent("a1", TEAM, "pve1"), HostAgent("a2", TEAM, "pve2")
#: How often what hangs on the moment is tried.
ROUNDS = 25


class Planes:
    """Two control planes' stores on one database, with batch_site's cluster in it."""

    def __init__(self, url: str) -> None:
        self.both = (Database(url), Database(url))
        self.one = self.both[0]
        self.number = 0

    def place(self, target: str, agent: HostAgent = A1, **more: Any) -> str:
        """Order a patch; each is a second younger than the one before."""
        self.number += 1
        made = order(NOW + timedelta(seconds=self.number), f"patch-{self.number}", agent)
        vmid = int(target.partition(":")[2]) if ":" in target else None
        asked = {**made.request, **more.pop("request", {})}
        row = replace(made, target=target, vmid=vmid, request=asked, expires_at=micros(NOW + timedelta(days=9)), **more)
        self.one.write_now(lambda tx: operations.create(tx, row))
        return row.id

    def row(self, key: str) -> Operation:
        found = self.one.read_now(lambda tx: rows.find(tx, key))
        assert found is not None
        return found

    def at_once(self, *works: Callable[[Tx], T]) -> list[T | NannyError]:
        """Do works in threads of their own that begin at the same moment, by turns on both planes."""
        gate = threading.Barrier(len(works))

        def run(place: int, work: Callable[[Tx], T]) -> T | NannyError:
            gate.wait(30)
            try:
                return self.both[place % 2].write_now(work)
            except NannyError as wrong:
                return wrong

        with ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(run, range(len(works)), works))


@pytest.fixture(scope="module")
def address(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def planes(address: str) -> Iterator[Planes]:
    made = Planes(emptied(address))
    schema.upgrade(made.one)
    made.one.write_now(lambda tx: teams.ensure_default(tx, micros(NOW)))
    batch_site.build(made.one, NOW)
    yield made
    for one in made.both:
        one.close()


def asks(key: str, bounds: Bounds, agent: HostAgent = A1, claim: str = "", now: datetime = NOW) -> Callable[[Tx], bool]:
    """Return a work that asks to begin an order and tells whether it may."""
    ack = Ack(state="running", claim=claim or f"claim-{key}", amends=True)

    def work(tx: Tx) -> bool:
        reply = lease.acknowledge(tx, agent, key, ack, now, bounds)
        return reply.answer is not None and reply.answer.proceed

    return work


def ends(planes: Planes, key: str, outcome: Outcome = Outcome.OK) -> Callable[[Tx], None]:
    def work(tx: Tx) -> None:
        row = rows.find(tx, key)
        assert row is not None
        to = Status.COMPLETED if outcome is Outcome.OK else Status.FAILED
        lease.release(tx, operations.move(tx, row, to, NOW, outcome=outcome.value), NOW)

    return work


def running(planes: Planes, keys: Sequence[str]) -> list[str]:
    return [key for key in keys if planes.row(key).status == "running"]


async def ask_all(planes: Planes, works: Sequence[Callable[[Tx], bool]]) -> None:
    """Ask as requests do: through both writers, which let several share a commit."""
    await asyncio.gather(*(planes.both[place % 2].write(work) for place, work in enumerate(works)))


@pytest.mark.parametrize(
    ("bounds", "most", "spread"),
    [
        (Bounds(node=3, storage=99, cluster=99), 3, False),
        (Bounds(node=99, storage=99, cluster=4), 4, True),
        (Bounds(node=99, storage=2, cluster=99), 2, True),
    ],
    ids=["node", "cluster", "storage"],
)
async def test_no_bound_is_passed_and_everybody_gets_a_turn(
    planes: Planes, bounds: Bounds, most: int, *, spread: bool
) -> None:
    protect = {"protect": "require-snapshot"}
    homes = {number: A2 if spread and number % 2 else A1 for number in range(16)}
    _shared_storage(planes, homes)
    keys = {planes.place(f"lxc:{200 + n}", agent, request=protect): agent for n, agent in homes.items()}
    for one in planes.both:
        one.start()
    ended: list[str] = []
    for _ in range(len(keys)):
        open_ones = [key for key in keys if key not in ended]
        if not open_ones:
            break
        await ask_all(planes, [asks(key, bounds, keys[key]) for key in open_ones])
        now = running(planes, open_ones)
        assert 0 < len(now) <= most
        await ask_all(planes, [ends(planes, key) for key in now])  # type: ignore[misc]
        ended += now
    assert set(ended) == set(keys)


def test_one_target_has_one_order_and_one_order_one_claim(planes: Planes) -> None:
    wide = Bounds(99, 99, 99)
    for round_ in range(ROUNDS):
        keys = [planes.place(f"lxc:{300 + round_}") for _ in range(3)]
        planes.at_once(*(asks(key, wide) for key in keys))
        assert len(running(planes, keys)) == 1
        single = planes.place(f"lxc:{400 + round_}")
        got = planes.at_once(*(asks(single, wide, claim=f"claim-{number}") for number in range(3)))
        assert sorted(got, key=bool) == [False, False, True]


def test_all_failures_count_and_one_order_is_tried_after_the_rest(planes: Planes) -> None:
    wide, pause = Bounds(99, 99, 99, Rest(3)), Rest().pause
    keys = [planes.place(f"lxc:{500 + number}") for number in range(6)]
    planes.at_once(*(asks(key, wide) for key in keys))
    planes.at_once(*(ends(planes, key, Outcome.AGENT_ERROR) for key in keys))
    found = planes.one.read_now(lambda tx: breaker.store.get(tx, A1.id))
    assert found is not None
    assert found.failures == len(keys)
    told = planes.at_once(*(lambda tx: len(breaker.sweep(tx, Rest(3), NOW)) for _ in range(4)))
    assert sum(one for one in told if isinstance(one, int)) == 1
    waiting = [planes.place(f"lxc:{600 + number}", batch_id="batch-1") for number in range(5)]
    planes.at_once(*(asks(key, wide, now=NOW + pause) for key in waiting))
    assert len(running(planes, waiting)) == 1


def test_a_guest_that_moves_takes_its_order_along_or_leaves_it_where_it_began(planes: Planes) -> None:
    def move(tx: Tx) -> bool:
        inventory.mark_guests(tx, ["guest-100"], node="pve2")
        return bool(relocation.sweep(tx, NOW))

    homes = set()
    for _ in range(ROUNDS):
        planes.one.write_now(lambda tx: inventory.mark_guests(tx, ["guest-100"], node="pve1"))
        key = planes.place("lxc:100")
        granted, _ = planes.at_once(asks(key, Bounds()), move)
        planes.one.write_now(lambda tx: relocation.sweep(tx, NOW))
        row = planes.row(key)
        began = granted is True
        assert (row.agent_id, row.status) == (("a1", "running") if began else ("a2", "pending")), granted
        homes.add(row.agent_id)
        planes.one.write_now(lambda tx, row=row: lease.release(tx, operations.cancel(tx, row, "r", NOW), NOW))
    assert homes <= {"a1", "a2"}


def test_an_exception_reaches_an_order_or_is_told_that_it_came_too_late(planes: Planes) -> None:
    for number in range(ROUNDS):
        key, package = planes.place(f"lxc:{700 + number}"), f"p{number}"
        asked = ExceptionRequest(package=package, reason="r")

        def hold(tx: Tx, asked: ExceptionRequest = asked) -> bool:
            reach = exceptions.reach(tx, exceptions.add(tx, PERSON, asked, NOW), NOW)
            return any(one.operation_id == key for one in reach.running)  # noqa: B023

        _, late = planes.at_once(asks(key, Bounds(99, 99, 99)), hold)
        names = {one["name"] for one in planes.row(key).request.get("holds", ())}
        assert (package in names) is not late


def test_a_batch_that_is_cancelled_leaves_the_end_of_its_orders_true(planes: Planes) -> None:
    for number in range(ROUNDS):
        batch = Batch(f"batch-{number}", TEAM, _nothing(), [], 1, "user-1", micros(NOW))
        planes.one.write_now(lambda tx, batch=batch: add_batch(tx, batch))
        key = planes.place(f"lxc:{800 + number}", batch_id=batch.id)
        planes.one.write_now(asks(key, Bounds(99, 99, 99)))

        def finish(tx: Tx, key: str = key) -> bool:
            row = rows.of_agent(tx, key, A1.id)
            assert row is not None
            lease.release(tx, operations.move(tx, row, Status.COMPLETED, NOW, outcome="ok"), NOW)
            return True

        planes.at_once(finish, lambda tx, batch=batch: bool(batches.withdraw(tx, PERSON, batch.id, NOW)))
        assert (planes.row(key).status, planes.row(key).outcome) == ("completed", "ok")


def _nothing() -> dict[str, Any]:
    return {"order": {"mode": "apply"}, "select": {}, "exclude": {}}


def _shared_storage(planes: Planes, homes: dict[int, HostAgent]) -> None:
    """Put the guests that are ordered for on one storage, each on its agent's node."""
    body = {"rootfs": "shared:vm-disk-0,size=8G", "node": "pve1"}
    guests = [batch_site.guest(200 + n, "ct", agent.hostname, 1, body=body) for n, agent in homes.items()]
    seen = Storage("s", TEAM, "c1", "c1", "pve1", "shared", "zfspool", "available", True, "rootdir", 0, 1, "a1", 0, 0)
    planes.one.write_now(lambda tx: (inventory.add_guests(tx, guests), storage.put(tx, [seen], [])))
