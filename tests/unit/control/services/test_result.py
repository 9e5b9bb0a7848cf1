"""What a result does to its operation, on both databases."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import result as service
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import patch as patches
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import OperationMismatch
from nanny_ops.protocol import patch_report
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.operation import GOOD, MOVES, Outcome, Status
from nanny_ops.protocol.patch import PackageChange, ResultMetadata
from nanny_ops.protocol.patch_report import Left, PatchReport, Step

AGENT = HostAgent("agent-1", teams.DEFAULT, "pve1")
TOLD = ResultMetadata(operation_id="patch-1", success=True, package_list=[PackageChange(name="nginx", version="2")])


def operation(now: datetime) -> Operation:
    asked = {"mode": "apply", "timeout_seconds": 60}
    at = micros(now)
    return Operation(
        "patch-1", teams.DEFAULT, AGENT.id, "patch", "pending", "host", asked, "user-1", at, at, at + 10**9
    )


@pytest.fixture
def placed(database: Database, now: datetime) -> Operation:
    row = agents.Agent(
        AGENT.id, AGENT.team_id, "pve1", "debian", "debian", "1", "", "6", "linux", [], "active", micros(now)
    )
    database.write_now(lambda tx: agents.add(tx, row))
    return database.write_now(lambda tx: operations.create(tx, operation(now)))


def take(database: Database, now: datetime, told: ResultMetadata = TOLD, receipt: str = "a") -> service.Taken:
    return database.write_now(lambda tx: service.take(tx, AGENT, "patch-1", told, receipt, now))


def test_the_same_result_ends_it_once(database: Database, placed: Operation, now: datetime) -> None:
    first, again = take(database, now), take(database, now + timedelta(seconds=9))
    assert (first.operation.status, first.operation.outcome) == ("completed", "ok")
    assert (first.new, first.counts, again.new, again.counts) == (True, True, False, True)
    assert first.message == again.message
    assert database.read_now(lambda tx: patches.changes_of(tx, placed.id)) == TOLD.package_list


@pytest.mark.usefixtures("placed")
def test_a_second_result_does_not_count(database: Database, now: datetime) -> None:
    take(database, now)
    second = take(database, now, replace(TOLD, success=False), "b")
    assert (second.counts, second.new, second.operation.status) == (False, False, "completed")


def test_an_expired_order_gets_its_true_end(database: Database, placed: Operation, now: datetime) -> None:
    late = now + timedelta(days=1)
    database.write_now(lambda tx: operations.sweep(tx, late))
    taken = take(database, late, replace(TOLD, started_at="2026-01-31T02:00:05Z"))
    assert taken.operation.status == "completed"
    assert taken.operation.result is not None
    assert [past["status"] for past in taken.operation.result["history"]] == ["expired"]
    assert taken.operation.started_at == placed.created_at + 5_000_000


@pytest.mark.usefixtures("placed")
def test_odd_words_do_not_cost_the_result(database: Database, now: datetime) -> None:
    odd = PackageChange(name="a\0b", version="\0")
    told = ResultMetadata(
        operation_id="patch-1", success=False, reason="N\0L", started_at="yesterday", package_list=[odd], outcome="\0"
    )
    taken = take(database, now, told)
    assert (taken.operation.outcome, taken.operation.started_at) == ("script_failed", None)
    assert "\0" not in taken.operation.reason


@given(
    st.sampled_from(sorted(Status)),
    st.booleans(),
    st.sampled_from([*(outcome.value for outcome in Outcome), "", "strange"]),
)
def test_the_worse_word_counts(status: str, success: bool, said: str) -> None:
    held = replace(operation(datetime.fromisoformat("2026-01-31T02:00:00Z")), status=status)
    to, outcome, reason = service.verdict(held, replace(TOLD, success=success, outcome=said))
    good = success and (said in {"", "strange"} or said in GOOD)
    assert (to is Status.COMPLETED) == (outcome in GOOD) == good
    assert to in MOVES[Status(status)] or to == status or Status.FAILED not in MOVES[Status(status)]
    assert good or said not in {"", "script_failed"} or reason


@pytest.mark.parametrize("changes", [{"timestamp": "2026-01-01T00:00:00Z"}, {}])
def test_the_moment_of_sending_is_not_essential(now: datetime, changes: dict[str, Any]) -> None:
    held = operation(now)
    assert service.essence(held, replace(TOLD, **changes)) == service.essence(held, TOLD)
    assert service.essence(held, replace(TOLD, duration=1)) != service.essence(held, TOLD)
    with pytest.raises(OperationMismatch):
        service.essence(held, replace(TOLD, operation_id="other"))


def test_a_report_is_kept_and_tells_exceptions_from_exclusions(
    database: Database, placed: Operation, now: datetime
) -> None:
    held = {**placed.request, "holds": [{"name": "nginx", "reason": "r", "expires_at": "", "scope": "guest"}]}
    database.write_now(lambda tx: operations.store.change(tx, placed.id, request=held))
    left = [Left(name="nginx", why="excluded"), Left(name="bash", why="excluded"), Left(name="vim", why="held")]
    told_of = ["https://ops:hunter2@example.com/debian stable InRelease"]
    report = PatchReport(left=left, steps=[Step(name="script", reason="a\0b\x1b")], not_refreshed=told_of)
    size = [PackageChange(name="a", version="2", size=7)]
    take(database, now, replace(TOLD, report=report, package_list=size))
    told = database.read_now(lambda tx: patches.report_of(tx, placed.id))
    assert told is not None
    back = patch_report.restored(told)
    assert [one.why for one in back.left] == ["exception", "excluded", "held"]
    assert back.not_refreshed == ["https://ops:*******@example.com/debian stable InRelease"]
    assert back.steps[0].reason == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert database.read_now(lambda tx: patches.changes_of(tx, placed.id)) == size
