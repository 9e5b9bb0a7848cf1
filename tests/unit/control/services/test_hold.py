"""Exceptions that come and go while an order waits reach it; one that has begun keeps what it began with."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import hold as service
from nanny_ops.control.services import lease, patch, result
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import package_exception as exceptions
from nanny_ops.control.services import patch_batch as batches
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import inventory
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.package_exception import Held
from nanny_ops.protocol.clock import stamp
from nanny_ops.protocol.operation import Ack, AckAnswer
from nanny_ops.protocol.package_exception import ExceptionRequest
from nanny_ops.protocol.patch import PackageChange, PatchRequest, PatchTerms, ResultMetadata
from nanny_ops.protocol.patch_batch import BatchRequest, Select
from nanny_ops.protocol.patch_report import Left, PatchReport
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON, TEAM

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
AGENT = HostAgent("a1", TEAM, "pve1")


@pytest.fixture
def site(database: Database, now: datetime) -> Database:
    batch_site.build(database, now)
    return database


def add(site: Database, now: datetime, package: str, **more: Any) -> Held:
    asked = ExceptionRequest(package=package, reason=f"because of {package}", **more)
    return site.write_now(lambda tx: exceptions.add(tx, PERSON, asked, now))


def placed(site: Database, now: datetime, **more: Any) -> Operation:
    request = PatchRequest(agent_id="a1", **{"mode": "apply", "vmid": "100", **more})
    return site.write_now(lambda tx: patch.place(tx, PERSON, request, "", now))[0]


def begins(site: Database, now: datetime, order: Operation, *, amends: bool = True) -> AckAnswer:
    ack = Ack(state="running", claim="c", amends=amends)
    answer = site.write_now(lambda tx: lease.acknowledge(tx, AGENT, order.id, ack, now)).answer
    assert answer is not None
    return answer


def row(site: Database, order: Operation) -> Operation:
    found = site.read_now(lambda tx: rows.find(tx, order.id))
    assert found is not None
    return found


def shown(site: Database, now: datetime, order: Operation) -> list[str]:
    """Return what people are shown that an order leaves."""
    return site.read_now(lambda tx: patch.detail(tx, row(site, order), now)).exclude


@pytest.mark.rows("C1")
def test_what_is_added_while_an_order_waits_reaches_it_and_what_was_begun_stays(site: Database, now: datetime) -> None:
    order = placed(site, now, exclude=["vim"])
    add(site, now, "nginx", scope="group", tag="web")
    assert shown(site, now, order) == ["vim", "nginx"]
    assert begins(site, now, order).exclude == ["vim", "nginx"]
    late = add(site, now, "openssl")
    assert begins(site, now, order).exclude == ["vim", "nginx"], "a repeated question gets the same answer"
    assert shown(site, now, order) == ["vim", "nginx"]
    assert [one["name"] for one in row(site, order).request["holds"]] == ["nginx"]
    reach = site.read_now(lambda tx: exceptions.reach(tx, late, now))
    assert (reach.waiting, [one.operation_id for one in reach.running]) == (0, [order.id])


def test_what_is_removed_or_lapses_while_an_order_waits_is_patched_again(site: Database, now: datetime) -> None:
    removed = add(site, now, "nginx")
    add(site, now, "openssl", expires_at=stamp(now + timedelta(minutes=1)))
    order = placed(site, now, exclude=["vim"])
    assert set(shown(site, now, order)) == {"vim", "nginx", "openssl"}
    ended = site.write_now(lambda tx: exceptions.remove(tx, PERSON, removed.id, now))
    assert site.read_now(lambda tx: exceptions.reach(tx, ended, now)).waiting == 1
    assert begins(site, now + timedelta(minutes=2), order).exclude == ["vim"]
    assert "holds" not in row(site, order).request


def test_what_another_exception_still_holds_is_not_reached_by_a_removal(site: Database, now: datetime) -> None:
    removed = add(site, now, "nginx")
    add(site, now, "nginx", scope="guest", guest_id="guest-100")
    placed(site, now)
    ended = site.write_now(lambda tx: exceptions.remove(tx, PERSON, removed.id, now))
    assert site.read_now(lambda tx: exceptions.reach(tx, ended, now)).waiting == 0


def test_what_a_guest_is_tagged_with_counts_when_the_order_begins(site: Database, now: datetime) -> None:
    add(site, now, "nginx", scope="group", tag="frozen")
    order = placed(site, now)
    site.write_now(lambda tx: inventory.mark_guests(tx, ["guest-100"], tags="frozen"))
    assert begins(site, now, order).exclude == ["nginx"]


def test_an_agent_that_does_not_listen_begins_nothing_that_lacks_an_exclusion(site: Database, now: datetime) -> None:
    gone = add(site, now, "vim")
    orders = [placed(site, now), placed(site, now, vmid="102"), placed(site, now, vmid="", mode="dry-run")]
    site.write_now(lambda tx: exceptions.remove(tx, PERSON, gone.id, now))
    assert begins(site, now, orders[0], amends=False).proceed
    assert shown(site, now, orders[0]) == ["vim"], "it was told so when it came, and that is what it runs"
    add(site, now, "nginx")
    assert not begins(site, now, orders[1], amends=False).proceed
    refused = row(site, orders[1])
    assert (refused.status, refused.outcome) == ("failed", "refused")
    assert "'nginx' is held back since the order was placed: because of nginx" in refused.reason
    assert begins(site, now, orders[2], amends=False).proceed, "a dry run changes nothing"


def test_orders_of_a_batch_are_reached_too(site: Database, now: datetime) -> None:
    request = BatchRequest(order=PatchTerms(mode="apply"), select=Select(vmids=[100, 101]))
    batch, _ = site.write_now(lambda tx: batches.place(tx, PERSON, request, "", now))
    held = add(site, now, "nginx")
    reach = site.read_now(lambda tx: exceptions.reach(tx, held, now))
    assert (reach.waiting, reach.running) == (2, [])
    first = next(one for one in batch.targets if one.agent_id == "a1")
    found = site.read_now(lambda tx: rows.find(tx, first.operation_id))
    assert found is not None
    assert begins(site, now, found).exclude == ["nginx"]


def test_an_exclusion_wins_over_only_and_the_result_tells_why(site: Database, now: datetime) -> None:
    order = placed(site, now, only=["nginx", "vim"])
    add(site, now, "nginx")
    assert begins(site, now, order).exclude == ["nginx"]
    report = PatchReport(left=[Left(name="nginx", why="excluded"), Left(name="vim", why="not_upgradable")])
    said = ResultMetadata(operation_id=order.id, success=True, claim="c", report=report)
    site.write_now(lambda tx: result.take(tx, AGENT, order.id, said, "r", now))
    told = site.read_now(lambda tx: patch.detail(tx, row(site, order), now)).report
    assert told is not None
    assert [(one.name, one.why, one.reason) for one in told.left] == [
        ("nginx", "exception", "because of nginx"), ("vim", "not_upgradable", ""),
    ]  # fmt: skip


def test_of_what_an_exception_leaves_a_dry_run_says_nothing(site: Database, now: datetime) -> None:
    """What waits for a package stays known while it is held, though a whole dry run does not list it."""
    first = placed(site, now, mode="dry-run")
    begins(site, now, first)
    change = PackageChange(name="nginx", old_version="1", version="2")
    said = ResultMetadata(operation_id=first.id, success=True, claim="c", package_list=[change])
    site.write_now(lambda tx: result.take(tx, AGENT, first.id, said, "r", now))
    second = placed(site, now, mode="dry-run")
    add(site, now, "nginx")
    begins(site, now, second)
    site.write_now(
        lambda tx: result.take(tx, AGENT, second.id, replace(said, operation_id=second.id, package_list=[]), "s", now)
    )
    kept = site.read_now(lambda tx: service.current(tx, [row(site, second)], now))
    assert kept == [row(site, second)]
    with site.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT candidate FROM packages WHERE name='nginx'").scalar() == "2"


def test_what_an_order_waits_for_is_said(site: Database, now: datetime) -> None:
    first, second = placed(site, now), placed(site, now)
    shown = site.read_now(lambda tx: patch.shown(tx, [first], now))[0]
    assert shown.waiting_for == "Its agent has not fetched it yet."
    site.write_now(lambda tx: lease.acknowledge(tx, AGENT, second.id, Ack(), now))
    assert patch.rendered(row(site, second)).waiting_for == "Its agent has it and has not asked to begin yet."
    begins(site, now, first)
    ack = Ack(state="running", claim="d")
    site.write_now(lambda tx: lease.acknowledge(tx, AGENT, second.id, ack, now))
    assert patch.rendered(row(site, second)).waiting_for == f"{first.id} comes first on lxc:100."
    cancelled = site.write_now(lambda tx: operations.cancel(tx, row(site, second), "r", now))
    assert patch.rendered(cancelled).waiting_for == patch.rendered(row(site, first)).waiting_for == ""
