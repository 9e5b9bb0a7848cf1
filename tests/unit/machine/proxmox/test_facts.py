"""Pure functions over the API's answers."""

import pytest

from nanny_ops.machine.proxmox.facts import boot_disk, lxc_body, qemu_body

RESOURCE = {"vmid": 100, "node": "n", "status": "running", "maxcpu": 4, "maxmem": 2**30, "uptime": 5}


def test_a_guest_without_a_name_gets_one():
    assert lxc_body(RESOURCE, None)["name"] == "CT100"
    assert qemu_body(RESOURCE, None)["name"] == "VM100"


def test_cores_count_for_each_socket():
    body = qemu_body(RESOURCE, {"cores": 4, "sockets": 2, "memory": "current=4096"})
    assert (body["cpu_cores"], body["cores"], body["sockets"], body["memory_mb"]) == (8, 4, 2, 4096)


def test_only_disks_and_networks_are_taken_from_a_configuration():
    config = {"scsi0": "a", "net1": "b", "efidisk0": "c", "cipassword": "secret", "sshkeys": "x", "args": "-x"}
    body = qemu_body(RESOURCE, config)
    assert (body["scsi0"], body["net1"], body["efidisk0"]) == ("a", "b", "c")
    assert not {"cipassword", "sshkeys", "args"} & set(body)


def test_an_unlimited_container_has_the_nodes_cores():
    assert lxc_body(RESOURCE, {"memory": 256})["cpu_cores"] == 4


@pytest.mark.parametrize(
    ("boot", "config", "disk"),
    [
        ("order=scsi0;ide2;net0", {}, "scsi0"),
        ("order=ide2;virtio1", {"ide2": "none,media=cdrom"}, "virtio1"),
        ("order=net0", {}, ""),
        ("cdn", {}, ""),
        ("", {}, ""),
    ],
)
def test_boot_disks(boot, config, disk):
    assert boot_disk(boot, config) == disk
