"""Two control planes on one database decide about one row one after the other."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import enrollment
from nanny_ops.control.services import operation as operations
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import enrollment as codes
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.errors import Conflict
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.enrollment import DeviceAuthStart
from nanny_ops.protocol.operation import Status


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """Return what a second control plane has open."""
    opened = Database(database.url)
    opened.start()
    yield opened
    opened.close()


def placed(tx: Tx, at: int) -> None:
    row = agents.Agent("agent-1", teams.DEFAULT, "pve1", "", "", "", "", "", "linux", [], "active", at)
    agents.add(tx, row)
    asked = {"mode": "apply", "timeout_seconds": 1}
    operations.create(
        tx,
        store.Operation(
            "patch-1", teams.DEFAULT, "agent-1", "patch", "running", "host", asked, "user-1", at, at, at + 10**9
        ),
    )


async def both(first: Database, second: Database, step: Callable[[Tx, Callable[[], None]], Any]) -> list[Any]:
    """Run a step in both; the first waits between looking and deciding until the second had time to look, too."""
    looked, decided = threading.Event(), threading.Event()

    def slow() -> None:
        looked.set()
        decided.wait(0.5)

    one = asyncio.ensure_future(first.write(lambda tx: step(tx, slow)))
    await asyncio.to_thread(looked.wait, 5)
    two = asyncio.ensure_future(second.write(lambda tx: step(tx, decided.set)))
    return await asyncio.gather(one, two, return_exceptions=True)


async def test_a_cancel_and_a_result_at_once_do_not_both_end_an_order(
    database: Database, other: Database, now: datetime
) -> None:
    await database.write(lambda tx: placed(tx, micros(now)))

    def end(tx: Tx, pause: Callable[[], None]) -> Any:
        found = store.of_agent(tx, "patch-1", "agent-1")
        pause()
        assert found is not None
        return operations.move(tx, found, Status.COMPLETED, now)

    results = await both(database, other, end)
    assert [isinstance(result, Conflict) for result in results] == [False, True]


async def test_two_sweeps_at_once_expire_an_order_once(database: Database, other: Database, now: datetime) -> None:
    await database.write(lambda tx: placed(tx, micros(now) - 10**10))

    def sweep(tx: Tx, pause: Callable[[], None]) -> int:
        found = store.overdue(tx, micros(now), 10)
        pause()
        return len([operations.move(tx, each, Status.EXPIRED, now) for each in found])

    assert sum(await both(database, other, sweep)) == 1


async def test_a_device_code_is_used_once_whoever_is_asked(database: Database, other: Database, now: datetime) -> None:
    started = await database.write(lambda tx: enrollment.start(tx, DeviceAuthStart(), "192.0.2.1", "", now))

    def use(tx: Tx, pause: Callable[[], None]) -> bool:
        found = codes.code_by_user(tx, started.user_code)
        pause()
        assert found is not None
        codes.change_code(tx, found.device_hash, status="used")
        return found.status == "pending"

    assert await both(database, other, use) == [True, False]


async def test_orders_that_wait_for_each_other_are_tried_again(
    database: Database, other: Database, now: datetime
) -> None:
    """Each holds one code and asks for the other's: PostgreSQL undoes one of both, which then finds its way."""
    started = [
        await database.write(lambda tx: enrollment.start(tx, DeviceAuthStart(), "192.0.2.1", "", now)) for _ in range(2)
    ]
    first, second = (code.user_code for code in started)
    meet = threading.Barrier(2)

    def crossing(one: str, two: str) -> Callable[[Tx], str]:
        waits = iter([True])

        def run(tx: Tx) -> str:
            codes.code_by_user(tx, one)
            if next(waits, False) and not database.sqlite:
                meet.wait(5)
            found = codes.code_by_user(tx, two)
            return "" if found is None else found.user_code

        return run

    results = await asyncio.gather(
        database.write(crossing(first, second)), other.write(crossing(second, first)), return_exceptions=True
    )
    assert results == [second, first]
