"""Which targets fit, and why others do not."""

from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import selection as service
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import package
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.patch_batch import Select
from tests.unit.control.services import batch_site

RUNNING = {"lxc:100", "lxc:101", "qemu:106", "lxc:108"}


@pytest.fixture
def site(database: Database, now: datetime) -> Database:
    batch_site.build(database, now)
    return database


def choose(site: Database, wanted: Select, unwanted: Select | None = None, **more: Any) -> service.Chosen:
    values = {"start_stopped": False, **more}
    return site.read_now(lambda tx: service.choose(tx, batch_site.TEAM, wanted, unwanted or Select(), **values))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("wanted", "targets"),
    [
        (Select(), RUNNING),
        (Select(kinds=["lxc"]), RUNNING - {"qemu:106"}),
        (Select(kinds=["host"]), {"host"}),
        (Select(agents=["pve2"]), {"host"}),
        (Select(agents=["a1"], kinds=["lxc", "qemu"]), {"lxc:100", "qemu:106"}),
        (Select(vmids=[100], ranges=["106-107"]), {"lxc:100", "qemu:106"}),
        (Select(names=["WEB*"]), {"lxc:100", "lxc:101"}),
        (Select(tags=["web"]), {"lxc:100", "lxc:101"}),
        (Select(tags=["web"], nodes=["pve2"]), {"lxc:101"}),
        (Select(pools=["shop"]), {"lxc:101"}),
        (Select(clusters=["lab"]), RUNNING),
        (Select(clusters=["other"]), set()),
        (Select(os=["Debian"]), {"lxc:100", "lxc:101"}),
        (Select(os=["Gentoo"]), {"lxc:108"}),
        (Select(os=["debian"], kinds=["host"]), {"host"}),
        (Select(updates="unknown"), RUNNING),
    ],
)
def test_each_field_narrows_down(site: Database, wanted: Select, targets: set[str]) -> None:
    assert {one.target for one in choose(site, wanted).targets} == targets


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_all_that_fits_and_is_left_out_has_a_reason(site: Database) -> None:
    wanted = Select(vmids=[103], ranges=["100-102", "104-999"])
    found = choose(site, wanted, Select(names=["web2"], updates="security"))
    assert {one.target: one.why for one in found.skipped} == {
        "lxc:101": "excluded", "lxc:102": "stopped", "lxc:103": "gone", "lxc:104": "template", "lxc:105": "no_agent",
        "lxc:107": "unknown",
    }  # fmt: skip
    assert all(one.reason.endswith(".") for one in found.skipped)
    started = choose(site, wanted, start_stopped=True)
    assert "lxc:102" in {one.target for one in started.targets}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_guests_that_are_gone_are_told_only_to_who_names_them(site: Database) -> None:
    assert "lxc:103" not in {one.target for one in choose(site, Select(ranges=["100-199"])).skipped}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_agent_is_the_one_on_the_guests_node_now(site: Database) -> None:
    found = {one.target: one.agent.id for one in choose(site, Select()).targets if one.agent}
    assert (found["lxc:100"], found["lxc:101"]) == ("a1", "a2")


def test_updates_are_known_or_told_as_unknown(site: Database) -> None:
    rows = [
        package.Package("a1", "lxc:100", "nginx", batch_site.TEAM, "1", "2", True, "patch-1", 1),
        # Known by another agent of the cluster, from before the guest moved.
        package.Package("a1", "lxc:101", "nginx", batch_site.TEAM, "1", "2", None, "patch-1", 1),
        package.Package("a2", "lxc:108", "nginx", batch_site.TEAM, "2", "2", True, "patch-1", 1),
    ]
    looked = Operation("patch-1", batch_site.TEAM, "a1", "patch", "completed", "host", {}, "user-1", 1, 1, 1)
    site.write_now(lambda tx: operations.add(tx, looked))
    for row in rows:
        site.write_now(lambda tx, row=row: package.remember(tx, [row]))
    assert {one.target for one in choose(site, Select(updates="security")).targets} == {"lxc:100"}
    assert {one.target for one in choose(site, Select(updates="any")).targets} == {"lxc:100", "lxc:101"}
    left = choose(site, Select(updates="any")).skipped
    assert {one.target for one in left if one.why == "unknown_updates"} == {"qemu:106", "lxc:108"}
    left = choose(site, Select(), Select(updates="security")).skipped
    assert [one.target for one in left if one.why == "excluded"] == ["lxc:100"]


@pytest.mark.parametrize("text", ["100", "200-100", "a-b", "0-5"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_no_range_is_refused(site: Database, text: str) -> None:
    with pytest.raises(ValidationFailed, match="range"):
        choose(site, Select(ranges=[text]))
