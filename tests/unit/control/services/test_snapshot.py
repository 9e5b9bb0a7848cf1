"""A row for everything that orders made, from their reports or from the inventory, and never a wrong word about it."""

from dataclasses import replace
from datetime import datetime

import pytest

from nanny_ops.control.services import snapshot as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import inventory
from nanny_ops.control.store import snapshot as store
from nanny_ops.control.store.database import Database
from nanny_ops.errors import NotFound
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.inventory import Fact
from nanny_ops.protocol.patch_report import PatchReport, Protection
from nanny_ops.protocol.proxmox import LxcReport
from tests.unit.control.services.snapshot_site import Site

STRANGER = Person("user-9", "other@example.com", "other", False, {"team-9": "admin"})


@pytest.fixture
def site(database: Database, now: datetime) -> Site:
    return Site(database, now)


@pytest.mark.rows("F6")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_report_makes_a_row_once_and_the_inventory_confirms_it(site: Site) -> None:
    done = site.operation(site.patch())
    site.tell(done, site.report())
    row = site.one()
    assert (row.state, row.there, row.name, row.vmid, row.guest) == ("kept", True, "nanny-1", 100, "web1")
    assert (row.operation_id, row.agent_id, row.upid, row.node, row.cluster_name) == (done.id, "a1", "U", "pve1", "lab")
    assert row.expires_at is not None
    site.wait(minutes=5)
    site.lists(100, "nanny-1", maker=done.id)
    assert (site.one().there, site.one().age_seconds, site.one().id) == (True, 0, row.id)
    site.wait(hours=4)
    late = site.one()
    assert (late.there, late.state) == (None, "kept")
    assert "4 hours ago" in late.why
    assert site.rows(STRANGER) == []
    with pytest.raises(NotFound):
        site.database.read_now(lambda tx: service.show(tx, STRANGER, row.id, site.now))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("more", "state"),
    [({"kept": False}, "removed"), ({"kind": "none", "why_not": "It hangs."}, "made"), ({"ours": False}, "kept")],
)
def test_what_became_of_it_is_the_state(site: Site, more: dict[str, object], state: str) -> None:
    site.patch(outcome="agent_error", told=site.report(**{"name": "nanny-1", **more}))
    assert (site.one().state, site.one().expires_at) == (state, None)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_rollback_a_later_removal_and_a_backup_are_told(site: Site) -> None:
    site.patch(outcome="rolled_back", told=replace(site.report(name="nanny-a"), rolled_back=True))
    site.wait(hours=1)
    made = Protection(kind="backup", name="store:backup/x.zst", storage="store", ours=True, upid="V")
    by = site.patch(told=PatchReport(protection=made, removed=["nanny-a", "nanny-unheard-of"]))
    found = {row.name: row for row in site.rows()}
    assert (found["nanny-a"].state, found["nanny-a"].removed_by, found["nanny-a"].there) == ("removed", by, False)
    backup = found["store:backup/x.zst"]
    assert (backup.kind, backup.storage, backup.state, backup.expires_at) == ("backup", "store", "kept", None)
    site.patch(told=PatchReport(protection=Protection(kind="backup", name="store:backup/old.zst")))
    assert len(site.rows()) == 2  # one that was there already is not ours
    site.patch(told=PatchReport())
    assert [row.name for row in site.rows(kind="backup")] == ["store:backup/x.zst"]


@pytest.mark.rows("F6")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_a_person_deletes_is_gone_and_comes_back_if_it_was_not(site: Site) -> None:
    done = site.patch()
    site.lists(100)  # read before it was made: an hour may pass between two lists
    assert (site.one().state, site.one().there) == ("kept", True)
    site.wait(minutes=5)
    site.lists(100)
    assert (site.one().state, site.one().there, site.one().removed_by) == ("gone", False, None)
    assert "no order of ours" in site.one().why
    site.wait(minutes=5)
    site.lists(100, "nanny-1", maker=done)
    assert (site.one().state, site.one().there) == ("kept", True)
    site.patch(101, agent="a2", told=site.report(name="nanny-2"))
    site.lists(101, "nanny-2", agent="a2")
    site.lists(101, agent="a2")  # it was listed before, and is not: no time has to pass for that
    assert site.one(vmid=101).state == "gone"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_removal_that_a_fresh_list_belies_is_none(site: Site) -> None:
    done = site.patch(told=site.report(kept=False, name="nanny-1"))
    site.wait(minutes=5)
    site.lists(100, "nanny-1", maker=done)
    assert site.one().state == "removed"  # the list may be older than it says
    site.wait(minutes=10)
    site.lists(100, "nanny-1", maker=done)
    assert (site.one().state, site.one().removed_by) == ("kept", None)


@pytest.mark.rows("F8")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_no_report_told_of_is_claimed_by_its_own_word_or_foreign(site: Site) -> None:
    running, dead = site.patch(status="running"), site.patch(status="expired")
    site.lists(100, "nanny-r", maker=running)
    site.lists(102, "nanny-x", maker=dead)  # that order was about another guest
    site.lists(100, "nanny-r", "nanny-d", "before-upgrade", maker=dead)
    found = {row.name: row for row in site.rows()}
    assert {name: (row.state, row.operation_id) for name, row in found.items()} == {
        "nanny-r": ("made", running), "nanny-x": ("foreign", None), "nanny-d": ("kept", dead),
    }  # fmt: skip
    assert (found["nanny-r"].in_use, found["nanny-d"].in_use) == (True, False)
    assert "told nothing" in found["nanny-d"].why
    site.tell(replace(site.operation(running), status="completed", outcome="ok"), site.report(name="nanny-r", upid="W"))
    assert {row.name: row for row in site.rows()}["nanny-r"].upid == "W"
    assert len(site.rows()) == 3


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_filters_by_guest_agent_cluster_age_and_state(site: Site) -> None:
    site.patch(100)
    site.wait(hours=2)
    site.patch(101, agent="a2", told=site.report(name="nanny-2"))
    assert [row.vmid for row in site.rows(guest_id="guest-100")] == [100]
    assert [row.vmid for row in site.rows(vmid=101)] == [101]
    assert [row.vmid for row in site.rows(agent_id="a2")] == [101]
    assert [row.vmid for row in site.rows(cluster="lab")] == [row.vmid for row in site.rows(cluster="c1")] == [101, 100]
    assert site.rows(cluster="other") == site.rows(states=["gone"]) == []
    assert [row.vmid for row in site.rows(before=micros(site.now) - 3600 * 1_000_000)] == [100]
    assert [row.vmid for row in site.rows(operation_id="patch-1")] == [100]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_rows_follow_their_scope_and_are_forgotten_when_old(site: Site) -> None:
    site.patch(told=site.report(kept=False, name="nanny-0"))
    site.patch()
    site.write(lambda tx: store.rescope(tx, "c1", "c2"))
    assert {row.guest_id for row in site.rows()} == {None}
    site.write(lambda tx: store.rescope(tx, "c2", "c1"))
    assert site.write(lambda tx: store.forget(tx, micros(site.now) + 1)) == 1
    assert site.one().state == "kept"
    row = site.database.read_now(lambda tx: store.named(tx, "c1", 100, "snapshot", "nanny-2"))
    assert row is not None
    site.write(lambda tx: store.put(tx, replace(row, id="twin", scope="c3"), known=False))
    site.write(lambda tx: store.rescope(tx, "c3", "c1"))
    assert site.one().id == row.id
    site.write(lambda tx: inventory.mark_guests(tx, ["guest-100"], gone_at=micros(site.now)))
    assert (site.one().there, site.one().why) == (False, "Its guest is gone, and it with it.")
    site.write(lambda tx: service.settle(tx, [row], site.now))
    assert site.one().state == "gone"


def test_readings_are_those_of_guests_whose_lists_are_known() -> None:
    told = {"lxc_id": "lxc/101", "vmid": 101, "name": "g", "node": "pve1", "status": "running"}
    reports = [LxcReport(**told, snapshots=[]), LxcReport(**{**told, "vmid": 102})]  # type: ignore[arg-type]
    line = Fact(section="guest.snapshots", state="ok", at="1970-01-01T00:00:05Z")
    [read] = service.readings(reports, [line], 9_000_000, 9_000_000)
    assert (read.vmid, read.at) == (101, 5_000_000)
    [read] = service.readings(reports, [], 9_000_000, 9_000_000)
    assert read.at == 9_000_000
