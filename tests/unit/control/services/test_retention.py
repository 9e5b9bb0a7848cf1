"""What is old goes, what is young stays."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from nanny_ops.control.services import enrollment, package, patch, retention
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import enrollment as codes
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import patch as patches
from nanny_ops.control.store import patch_batch as batches
from nanny_ops.control.store import retention as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import upkeep
from nanny_ops.control.store import user as users
from nanny_ops.control.store.database import DROPPED_AT_ONCE, Database, Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.output import Outputs
from nanny_ops.control.store.tables import events as event_table
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.enrollment import DeviceAuthStart
from nanny_ops.protocol.operation import ENDED, Status
from nanny_ops.protocol.patch import PackageChange
from tests.unit.control.services import batch_site


def test_old_events_codes_and_tokens_are_dropped(database: Database, now: datetime) -> None:
    def fill(tx: Tx) -> str:
        for age in (0, 31):
            at = micros(now - timedelta(days=age))
            events.log(tx, team_id=teams.DEFAULT, topic="t", subject="s", kind="create", payload={"age": age}, at=at)
            users.revoke_token(tx, f"jti-{age}", at + 1)
        return enrollment.start(tx, DeviceAuthStart(), "192.0.2.1", "", now - timedelta(days=2)).user_code

    old_code = database.write_now(fill)
    database.write_now(lambda tx: retention.forget_old(tx, Settings(), now))
    kept = database.read_now(lambda tx: [event.payload["age"] for event in events.after(tx, 0, 10)])
    assert kept == [0]
    assert database.read_now(lambda tx: codes.code_by_user(tx, old_code)) is None
    assert database.read_now(lambda tx: users.is_revoked(tx, "jti-0"))
    assert not database.read_now(lambda tx: users.is_revoked(tx, "jti-31"))


def test_a_mountain_of_old_rows_goes_in_steps(database: Database, now: datetime) -> None:
    old, young = micros(now - timedelta(days=40)), micros(now)
    row = {"team_id": teams.DEFAULT, "topic": "t", "subject": "s", "kind": "k", "payload": {}}
    due = DROPPED_AT_ONCE + 10
    rows = [{**row, "at": old + number} for number in range(due)] + [{**row, "at": young}]
    database.write_now(lambda tx: tx.connection.execute(insert(event_table), rows))
    more = [database.write_now(lambda tx: retention.forget_old(tx, Settings(), now)) for _ in range(2)]
    assert more == [True, False]
    assert [event.at for event in database.read_now(lambda tx: events.after(tx, 0, 10))] == [young]


ASKED: dict[str, Any] = {
    "mode": "apply", "script_args": "", "exclude": [], "only": [], "security_only": False, "timeout_seconds": 60,
}  # fmt: skip


@dataclass
class Attic:
    """Operations of several ages, with their files."""

    database: Database
    outputs: Outputs
    now: datetime

    def add(self, key: str, days: float, *, status: str = "completed", **more: Any) -> Path:
        """Write a patch that ended some days ago, its package and its report; return the file of what it printed."""
        at = micros(self.now - timedelta(days=days))
        row = Operation(
            key, teams.DEFAULT, "a1", "patch", status, "lxc:100", ASKED, "user-1", at, at, at,
            finished_at=at if Status(status) in ENDED else None, result={"receipt": "r"}, **more,
        )  # fmt: skip

        def write(tx: Tx) -> None:
            operations.add(tx, row)
            patches.add_changes(tx, row, [PackageChange(name="vim")])
            patches.add_report(tx, row, {})

        self.database.write_now(write)
        file = self.outputs._root / key / "r" / "stdout"
        file.parent.mkdir(parents=True)
        file.write_text("printed")
        return file

    def prune(self, **values: int) -> tuple[int, int, int]:
        """Prune once and return how many outputs, operations and batches went."""
        settings = Settings(**values)
        write = self.database.write_now
        return (
            write(lambda tx: retention.forget_outputs(tx, self.outputs, settings, self.now)),
            write(lambda tx: retention.forget_operations(tx, self.outputs, settings, self.now)),
            write(lambda tx: retention.forget_batches(tx, settings, self.now)),
        )

    def left(self) -> set[str]:
        """Return which operations are there."""
        found = self.database.read_now(lambda tx: operations.page(tx, "patch", [teams.DEFAULT], 99, 0))[0]
        return {one.id for one in found}


@pytest.fixture
def attic(database: Database, tmp_path: Path, now: datetime) -> Attic:
    batch_site.build(database, now)
    return Attic(database, Outputs(tmp_path), now)


def test_outputs_go_before_their_operations_and_nothing_of_what_is_open(attic: Attic) -> None:
    young, old, running = attic.add("p1", 89), attic.add("p2", 91), attic.add("p3", 900, status="running")
    ancient = attic.add("p4", 731)
    assert attic.prune(output_retention_days=0, operation_retention_days=0) == (0, 0, 0)
    assert attic.prune() == (2, 1, 0)
    assert attic.left() == {"p1", "p2", "p3"}
    assert [file.exists() for file in (young, old, running, ancient)] == [True, False, True, False]
    assert not ancient.parent.parent.exists()
    shown = attic.database.read_now(lambda tx: patch.rendered(_found(tx, "p2")))
    assert shown.outputs_dropped_at == stamp(attic.now)
    assert attic.prune() == (0, 0, 0)


def test_an_operation_to_which_something_refers_stays(attic: Attic) -> None:
    for key in ("seen", "looked", "held", "free"):
        attic.add(key, 800, held_until=micros(attic.now) + 1 if key == "held" else None)
    change = [PackageChange(name="vim", old_version="1", version="2")]

    def refer(tx: Tx) -> None:
        package.remember(tx, replace(_found(tx, "seen"), target="host"), change, attic.now)
        upkeep.put(tx, upkeep.Upkeep(scope="c1", target="lxc:100", team_id=teams.DEFAULT, operation_id="looked"))

    attic.database.write_now(refer)
    assert attic.prune()[1] == 1
    assert attic.left() == {"seen", "looked", "held"}
    columns = {f"{one.table.name}.{one.name}" for one in store._references()}
    assert {"packages.operation_id", "upkeep.operation_id", "snapshots.operation_id", "snapshots.removed_by"} <= columns
    assert not columns & {"package_changes.operation_id", "patch_reports.operation_id"}


def test_a_batch_goes_as_a_whole(attic: Attic) -> None:
    def write(tx: Tx) -> None:
        for key, days in (("whole", 800), ("partly", 800), ("empty", 10)):
            at = micros(attic.now - timedelta(days=days))
            batches.add(tx, batches.Batch(key, teams.DEFAULT, {}, [], 2, "user-1", at))

    attic.database.write_now(write)
    for key, batch, days in (("a", "whole", 800), ("b", "whole", 799), ("c", "partly", 800), ("d", "partly", 5)):
        attic.add(key, days, batch_id=batch)
    assert attic.prune() == (3, 2, 1)
    assert attic.left() == {"c", "d"}
    assert attic.database.read_now(lambda tx: {one.id for one in batches.page(tx, [teams.DEFAULT], 9, 0)[0]}) == {
        "partly", "empty",
    }  # fmt: skip


def _found(tx: Tx, key: str) -> Operation:
    found = operations.find(tx, key)
    assert found is not None
    return found
