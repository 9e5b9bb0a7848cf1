"""How well targets are kept: every result adds to it, and what nobody has looked at is never up to date."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import fleet, package
from nanny_ops.control.services import upkeep as service
from nanny_ops.control.services.change import subject
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store.database import Database, Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.patch import PackageChange
from nanny_ops.protocol.patch_report import Left, PatchReport, System
from nanny_ops.protocol.upkeep import UpkeepRow
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON, TEAM

DEBIAN = System(id="debian", version="12", name="Debian GNU/Linux 12 (bookworm)")


class Results:
    """Ends patch operations on the guests of the site."""

    def __init__(self, database: Database, now: datetime) -> None:
        batch_site.build(database, now)
        self.database, self.now, self.count = database, now, 0

    def end(
        self, *changes: PackageChange, target: str = "lxc:100", outcome: str = "ok", report: PatchReport | None = None,
        mode: str = "dry-run", **asked: Any,
    ) -> None:  # fmt: skip
        self.count += 1
        at, good = micros(self.now), outcome in {"ok", "nothing_to_do"}
        status = "completed" if good else "failed"
        done = Operation(
            f"patch-{self.count}", TEAM, "a1", "patch", status, target, {"mode": mode, **asked}, "user-1", at, at, at,
            outcome=outcome, reason="It did not go well.",
        )  # fmt: skip

        def write(tx: Tx) -> None:
            operations.add(tx, done)
            if good:
                package.remember(tx, done, changes, self.now)
            service.remember(tx, done, report, self.now, whole=good and package.is_whole(done))

        self.database.write_now(write)

    def rows(self, who: Person = PERSON, **wanted: Any) -> dict[str, UpkeepRow]:
        asked = service.Wanted(**wanted)
        found, _ = self.database.read_now(lambda tx: service.page(tx, who, asked, 100, 0, self.now))
        return {row.name: row for row in found}

    def kinds(self) -> list[str]:
        found = self.database.read_now(lambda tx: events.after(tx, 0, 100, subjects=[subject(TEAM)]))
        return [event.payload["record"]["kind"] for event in found]


@pytest.fixture
def results(database: Database, now: datetime) -> Results:
    return Results(database, now)


def change(name: str, security: bool | None = False) -> PackageChange:
    return PackageChange(name=name, version="2", old_version="1", security=security)


@pytest.mark.rows("F17")
def test_what_nobody_has_looked_at_is_unknown_and_not_up_to_date(results: Results) -> None:
    rows = results.rows()
    assert set(rows) == {"pve1", "pve2", "web1", "web2", "db1", "far", "vm1", "dark", "alp"}
    assert {row.state for row in rows.values()} == {"unknown"}
    assert rows["web1"].why == "Nobody has looked yet."
    assert (rows["web1"].pending, rows["web1"].security, rows["web1"].restart_required) == (None, None, None)


def test_a_dry_run_tells_what_waits_how_much_of_it_is_security_and_how_old_that_is(results: Results) -> None:
    left = [Left(name="linux-image", why="held")]
    results.end(change("a", True), change("b"), report=PatchReport(left=left, system=DEBIAN))
    results.now += timedelta(hours=2)
    row = results.rows()["web1"]
    assert (row.state, row.pending, row.security, row.left) == ("pending", 2, 1, 1)
    assert (row.age_seconds, row.system, row.support) == (7200, DEBIAN.name, "supported")
    results.end(report=PatchReport(system=DEBIAN), outcome="nothing_to_do")
    assert results.rows()["web1"].state == "up_to_date"


def test_where_the_distribution_does_not_tell_security_is_unknown(results: Results) -> None:
    results.end(change("a", None), change("b", True))
    assert results.rows()["web1"].security is None


@pytest.mark.rows("F17")
def test_old_knowledge_is_unknown_again(results: Results) -> None:
    results.end(outcome="nothing_to_do")
    results.now += timedelta(days=8)
    row = results.rows()["web1"]
    assert (row.state, row.why) == ("unknown", "Last looked at 8 days ago.")


def test_a_look_that_failed_takes_nothing_away_and_says_why(results: Results) -> None:
    results.end(change("a"))
    results.end(outcome="blocked")
    row = results.rows()["web1"]
    assert (row.state, row.pending, row.why) == ("pending", 1, "blocked: It did not go well.")
    results.end(outcome="blocked", target="lxc:101")
    assert results.rows()["web2"].state == "unknown"


@pytest.mark.parametrize("asked", [{"only": ["a"]}, {"security_only": True}])
def test_an_order_that_looked_at_some_packages_only_says_nothing_of_the_whole(
    results: Results, asked: dict[str, Any]
) -> None:
    results.end(outcome="nothing_to_do", **asked)
    assert results.rows()["web1"].state == "unknown"


def test_an_exclusion_settles_the_others(results: Results) -> None:
    results.end(change("a"), change("b"))
    results.end(outcome="nothing_to_do", exclude=["a"])
    row = results.rows()["web1"]
    assert (row.state, row.pending) == ("pending", 1)


def test_a_restart_that_becomes_necessary_is_told_once_and_when_it_is_done(results: Results) -> None:
    needed = PatchReport(reboot_required=True, reboot_why=["linux-image"])
    for report in (needed, needed, PatchReport(), PatchReport(reboot_required=False)):
        results.end(target="host", outcome="nothing_to_do", report=report)
    assert results.kinds() == ["restart.needed", "restart.settled"]
    assert results.rows()["pve1"].restart_required is False


def test_filters_hold_and_another_team_sees_nothing(results: Results) -> None:
    results.end(change("a", True))
    results.end(target="host", outcome="nothing_to_do", report=PatchReport(reboot_required=True))
    assert set(results.rows(state="pending")) == {"web1"}
    assert set(results.rows(security=True)) == {"web1"}
    assert set(results.rows(restart=True)) == {"pve1"}
    stranger = Person("user-2", "b@example.com", "b", False, {"team-other": "admin"})
    assert results.rows(stranger) == {}


def test_a_list_of_guests_says_how_each_is_kept(results: Results) -> None:
    results.end(change("a", True))
    wanted = inventory.GuestFilter()
    page = results.database.read_now(lambda tx: fleet.guests(tx, PERSON, 100, 0, wanted, results.now))
    told = {row["name"]: (row["upkeep"]["state"], row["upkeep"]["pending"]) for row in page.items}
    assert (told["web1"], told["web2"]) == (("pending", 1), ("unknown", None))
