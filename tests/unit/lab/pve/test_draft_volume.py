"""Guests and their disks, read from their configurations."""

import pytest

from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Guest, sorted_tags
from nanny_ops.lab.pve.state.volume import Volume, size_of, volumes_of


@pytest.mark.rows("PVE-11")
def test_tags_are_sorted() -> None:
    guest = draft(101, "lxc", "pve1", "web1", tags=("web", "prod"))
    assert (guest.conf["tags"], guest.tags) == ("prod;web", ("prod", "web"))
    assert sorted_tags("b, a;b c") == "a;b;c"


def test_a_machines_memory_is_a_text_and_a_containers_a_number() -> None:
    assert draft(201, "qemu", "pve1", "vm").conf["memory"] == "512"
    container = draft(101, "lxc", "pve1", "ct", memory=256)
    assert (container.conf["memory"], container.memory, container.swap) == (256, 256, 512)


def test_what_is_not_configured_has_its_default() -> None:
    container, machine = Guest(101, "lxc", "pve1"), Guest(201, "qemu", "pve1", {"cores": 2, "sockets": 2})
    assert (container.name, container.cores, container.memory, container.disk) == ("CT101", 0, 512, 0)
    assert (machine.name, machine.cores, machine.agent, machine.volumes) == ("VM 201", 4, False, [])


@pytest.mark.rows("PVE-12")
def test_a_subvolumes_size_is_none() -> None:
    (volume,) = volumes_of({"rootfs": "local:102/subvol-102-disk-0.subvol,size=0T"})
    assert (volume.size, volume.form, volume.storage) == (0, "subvol", "local")


def test_disks_stand_in_order_and_drives_without_one_are_none() -> None:
    conf = {
        "virtio0": "btr:201/vm-201-disk-1.raw,size=512M",
        "scsi1": "local:201/vm-201-disk-0.qcow2,size=1G",
        "ide2": "none,media=cdrom",
        "scsihw": "virtio-scsi-pci",
    }
    assert volumes_of(conf) == [
        Volume("scsi1", "local:201/vm-201-disk-0.qcow2", 1 << 30),
        Volume("virtio0", "btr:201/vm-201-disk-1.raw", 512 << 20),
    ]
    assert size_of("nonsense") == 0


def test_what_waits_holds_from_the_next_start_on() -> None:
    guest = draft(101, "lxc", "pve1", "web1")
    guest.pending = {"hostname": "web2", "features": None}
    assert guest.effective()["hostname"] == "web2"
    guest.apply_pending()
    assert (guest.name, guest.pending, "features" in guest.conf) == ("web2", {}, False)
