"""Usage from rows: what is not known is None."""

import pytest

from nanny_ops.machine.proxmox import usage

VM = {"type": "qemu", "vmid": 200, "node": "n", "status": "running", "cpu": 0.5, "maxcpu": 2, "mem": 5, "disk": 0}


def test_a_running_vm_tells_no_disk() -> None:
    found = usage.guest(VM, online=True)
    assert (found["disk"], found["mem"], found["cpus"], found["netin"]) == (None, 5, 2, None)


@pytest.mark.rows("F17", "PVE-36")
def test_of_a_guest_on_a_dead_node_only_its_place_is_known() -> None:
    assert usage.guest(VM, online=False) == {"vmid": 200, "kind": "qemu", "node": "n", "status": "unknown"}


@pytest.mark.parametrize(("online", "status"), [(True, "online"), (False, "offline"), (None, "unknown")])
def test_another_node(online: bool | None, status: str) -> None:
    found = usage.node({"node": "n", "cpu": 0.1, "maxmem": 5}, online)
    assert found["status"] == status
    assert ("cpu" in found) == (status == "online")


@pytest.mark.parametrize(
    ("status", "online", "told", "used"),
    [("available", True, "available", 5), ("unknown", True, "unknown", None), ("available", False, "unknown", None)],
)
def test_a_storage_that_is_not_there_is_not_empty(status: str, online: bool, told: str, used: int | None) -> None:
    row = {"storage": "s", "node": "n", "status": status, "disk": 5, "maxdisk": 9, "content": "rootdir,backup"}
    found = usage.storage(row, online)
    assert (found["status"], found["used"], found["content"]) == (told, used, "backup,rootdir")


def test_an_hour_in_short_leaves_out_the_minutes_that_are_not_known() -> None:
    minutes = [{"time": 60}, {"time": 120, "cpu": 0.5, "mem": 10, "netin": 4}, {"time": 180, "cpu": 0.1, "mem": 30}]
    found = usage.hour(minutes)
    assert found is not None
    assert (found["until"], found["points"], found["cpu_max"], found["mem_mean"]) == (180, 2, 0.5, 20.0)
    assert (found["netin"], found["diskread"]) == (4.0, None)
    assert usage.hour([{"time": 60}, {"time": 120, "maxmem": 5}]) is None
