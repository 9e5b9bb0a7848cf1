"""Making, copying, moving and removing guests over the API."""

from urllib.parse import urlencode

import pytest

from nanny_ops.lab.pve.state.pool import Pool
from nanny_ops.lab.pve.state.storage import Storage, Volume
from tests.unit.lab.pve.pretended import Asking, asking

TEMPLATE = "local:vztmpl/debian-12.tar.zst"


def with_template(release: str = "8.4") -> Asking:
    asked = asking(release)
    asked.api.cluster.storages["local"].volumes["pve1"] = [Volume(TEMPLATE, "vztmpl", "tzst", 1, 0)]
    asked.api.cluster.pools["ring"] = Pool("ring")
    return asked


def create(asked: Asking, **more: str | int) -> str:
    return asked.task("/nodes/pve1/lxc?" + urlencode({"vmid": 120, "ostemplate": TEMPLATE} | more))


def test_a_container_is_made_and_removed() -> None:
    asked = with_template()
    assert create(asked, hostname="fresh", memory=128, rootfs="local:2", pool="ring", tags="b,a") == "OK"
    found = asked.get("/nodes/pve1/lxc/120/config")
    assert (found["hostname"], found["memory"], found["tags"], "lock" in found) == ("fresh", 128, "a;b", False)
    assert found["rootfs"] == "local:120/vm-120-disk-0.raw,size=2G"
    assert asked.api.cluster.pools["ring"].vmids == {120}
    assert asked.task("/nodes/pve1/lxc/120?purge=1", method="DELETE") == "OK"
    assert asked.refusal("GET", "/nodes/pve1/lxc/120/config")[0] == 500
    assert asked.api.cluster.pools["ring"].vmids == set()


@pytest.mark.rows("PVE-17")
def test_a_missing_template_is_told_by_the_task_and_leaves_nothing() -> None:
    asked = asking()
    assert create(asked) == f"unable to create CT 120 - volume '{TEMPLATE}' does not exist"
    assert 120 not in asked.api.cluster.guests


@pytest.mark.rows("PVE-18")
def test_since_9_a_container_that_may_not_nest_is_made_with_a_warning() -> None:
    assert create(with_template("9.2")) == "WARNINGS: 1"
    assert create(with_template("9.2"), features="nesting=1") == "OK"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("vmid=101", "CT 101 already exists on node 'pve1'"),
        ("vmid=203", "VM 203 already exists on node 'pve1'"),
        ("vmid=120&rootfs=no-such:1", "storage 'no-such' does not exist"),
        ("vmid=120&pool=no-such", "pool 'no-such' does not exist"),
    ],
)
def test_what_cannot_be_made(query: str, reason: str) -> None:
    assert asking().refusal("POST", f"/nodes/pve1/lxc?ostemplate={TEMPLATE}&{query}") == (500, reason)


def test_what_is_protected_locked_or_running_is_not_removed() -> None:
    asked = asking()
    path = "/nodes/pve1/lxc/101"
    assert asked.refusal("DELETE", path) == (500, "unable to destroy CT 101 - container is running")
    asked.api.cluster.update(101, lock="backup")
    assert asked.refusal("DELETE", path) == (500, "CT is locked (backup)")
    asked.api.cluster.update(101, protection=1)
    assert asked.refusal("DELETE", path) == (500, "can't remove CT 101 - protection mode enabled")
    assert asked.refusal("DELETE", "/nodes/pve1/qemu/203") == (500, "VM 203 is running - destroy failed")


def test_a_clone_has_its_own_disk_and_address() -> None:
    asked = asking()
    assert asked.task("/nodes/pve1/lxc/103/clone?newid=130&hostname=twin") == "OK"
    old, new = asked.get("/nodes/pve1/lxc/103/config"), asked.get("/nodes/pve1/lxc/130/config")
    assert (new["hostname"], new["rootfs"]) == ("twin", "local:130/vm-130-disk-0.raw,size=4G")
    assert new["net0"] != old["net0"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("101/clone?newid=130", "Cannot do full clones on a running container without snapshots"),
        ("105/clone?newid=130", "Linked clone feature for 'local:105/vm-105-disk-0.raw' is not available"),
        ("103/clone?newid=101", "CT 101 already exists on node 'pve1'"),
        ("103/clone?newid=130&target=pve9", "no such cluster node 'pve9'"),
        ("101/template", "you can't convert a CT to template if the CT is running"),
    ],
)
def test_what_cannot_be_copied(path: str, reason: str) -> None:
    assert asking().refusal("POST", f"/nodes/pve1/lxc/{path}") == (500, reason)


def test_a_template_can_be_cloned_linked_where_the_storage_allows() -> None:
    asked = asking()
    asked.api.cluster.storages["btr"] = Storage("btr", "btrfs")
    asked.api.cluster.update(103, rootfs="btr:103/vm-103-disk-0.raw,size=1G")
    assert asked.reply("POST", "/nodes/pve1/lxc/103/template").status == 200
    assert asked.get("/nodes/pve1/lxc/103/config")["rootfs"] == "btr:103/base-103-disk-0.raw,size=1G"
    assert asked.task("/nodes/pve1/lxc/103/clone?newid=130") == "OK"
    assert asked.get("/nodes/pve1/lxc/130/config")["rootfs"] == "btr:130/vm-130-disk-0.raw,size=1G"


def test_a_stopped_container_moves_and_is_gone_where_it_was() -> None:
    asked = asking()
    assert asked.task("/nodes/pve1/lxc/103/migrate?target=pve2") == "OK"
    where = "Configuration file 'nodes/pve1/lxc/103.conf' does not exist"
    assert asked.refusal("GET", "/nodes/pve1/lxc/103/config") == (500, where)
    assert "lock" not in asked.get("/nodes/pve2/lxc/103/config")


def test_a_running_container_moves_with_a_restart() -> None:
    asked = asking()
    path = "/nodes/pve1/lxc/101/migrate?target=pve2"
    assert asked.refusal("POST", path)[1] == "can't migrate running container without --online or --restart"
    assert asked.task(f"{path}&restart=1") == "OK"
    assert asked.get("/nodes/pve2/lxc/101/status/current")["status"] == "running"


@pytest.mark.rows("PVE-18")
def test_what_forbids_a_move_is_told_by_the_tasks_log_only() -> None:
    asked = asking()
    asked.api.cluster.update(103, lock="backup")
    assert asked.task("/nodes/pve1/lxc/103/migrate?target=pve2") == "migration aborted"
    asked.api.cluster.update(103, lock=None)
    asked.api.cluster.set_online("pve2", online=False)
    assert asked.task("/nodes/pve1/lxc/103/migrate?target=pve2") == "migration aborted"
    assert "lock" not in asked.get("/nodes/pve1/lxc/103/config")


def test_where_a_container_could_move_is_told_since_9() -> None:
    assert asking().refusal("GET", "/nodes/pve1/lxc/103/migrate")[0] == 501
    found = asking("9.2").get("/nodes/pve1/lxc/103/migrate")
    assert found == {"running": 0, "allowed-nodes": ["pve2"], "not-allowed-nodes": {}}
    assert asking().refusal("POST", "/nodes/pve1/lxc/103/migrate?target=pve9")[1] == "no such cluster node 'pve9'"
