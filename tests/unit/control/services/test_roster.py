"""What of a report becomes a guest's row; whole reports are in test_inventory.py."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import roster
from nanny_ops.control.services.change import Place
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.inventory import Scope
from nanny_ops.control.store.proxmox import Guest
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.proxmox import LxcReport, QemuReport
from tests.unit.control.services.fleet_site import Site

AGENT = HostAgent("agent-1", "team", "pve1")
PLACE = Place("team", "agent-1", None, "")


def row(old: Guest | None = None, now: int = 5, **fields: Any) -> Guest:
    told = {"name": "a", "lxc_id": "lxc/1", "status": "running", "vmid": 1, "node": "pve1"} | fields
    return roster.guest_row(PLACE, AGENT, LxcReport(**told), told, now, now, old)


def test_what_is_not_known_erases_nothing() -> None:
    first = row(pool="p", lock="backup", template=True)
    again = row(first, 9)
    assert (again.pool, again.lock, again.template, again.id) == ("p", "backup", True, first.id)
    assert row(first, 9, lock="").lock == ""


def test_since_when_a_status_holds() -> None:
    first = row()
    assert first.state_since is None  # seen for the first time: nobody knows since when
    stopped = row(first, 9, status="stopped")
    assert stopped.state_since == row(stopped, 12, status="stopped").state_since == 9
    unknown = row(stopped, 12, status="unknown")
    assert (unknown.status, unknown.state_since) == ("stopped", 9)


def test_a_number_used_again_by_the_other_kind_begins_anew() -> None:
    first = row(pool="p")
    told = QemuReport(name="vm", qemu_id="qemu/1", status="stopped", vmid=1, node="pve2")
    other = roster.guest_row(PLACE, AGENT, told, {}, 9, 9, first)
    assert (other.id, other.created_at, other.moved_at, other.pool) == (first.id, 9, None, None)


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (None, []),
        (Scope("s", "team", 0), []),
        (Scope("s", "team", 0, listed_at=1, undescribed=[1]), []),
        (Scope("s", "team", 0, listed_at=1), ["guest.created"]),
    ],
)
def test_a_guest_was_created_only_if_it_was_not_listed_before(scope: Scope | None, told: list[str]) -> None:
    assert [one.kind for one in roster.of_guest(scope, None, row(), {}, {})] == told


@pytest.mark.rows("F17", "PVE-15")
def test_a_guest_that_a_token_may_not_see_any_more_is_unknown_until_it_is_seen_again(
    database: Database, now: datetime
) -> None:
    site = Site(database, now, nodes=("pve1",))
    site.add(101, "pve1")
    site.add(102, "pve1")
    site.says("pve1")
    blind = [{"section": "guests", "object": "", "state": "forbidden"}]

    def less(*vmids: int) -> dict[str, Any]:
        site.now += timedelta(minutes=1)
        body = site.report("pve1", guests=None, facts=blind, lxc=[])
        body["cluster"]["guests"] = None
        return {**body, "usage": [one for one in body["usage"] if one["vmid"] in vmids]}

    site.says("pve1", less(101))
    assert site.stored()[102].unknown_since is None  # the rest of the reading may follow
    first = site.now
    site.says("pve1", less(101))
    assert (site.stored()[101].unknown_since, site.stored()[102].unknown_since) == (None, micros(first))
    site.says("pve1", less(101))
    assert site.stored()[102].unknown_since == micros(first)
    site.says("pve1", less(101, 102))
    assert site.stored()[102].unknown_since is None
