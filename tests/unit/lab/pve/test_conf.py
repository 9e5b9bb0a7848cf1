"""Configurations, as the API shows them and as files."""

from pathlib import Path

import pytest

from nanny_ops.lab.pve.conf import ConfTree, digest, encoded, render, shown
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Guest

NET = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:E8:2B:0B,ip=10.88.0.106/24,type=veth"
#: As recorded, with the digest that the real file had.
RECORDED = {
    "arch": "amd64",
    "hostname": "snap1",
    "memory": 256,
    "net0": NET,
    "ostype": "debian",
    "rootfs": "btr:106/vm-106-disk-0.raw,size=1G",
    "swap": 0,
    "tags": "staging",
    "unprivileged": 1,
}
CONTAINER = draft(101, "lxc", "pve1", "web1", tags=("web", "prod"), description="One\ntwo\n", lock="backup", onboot=1)


@pytest.mark.rows("PVE-31")
def test_the_file_has_the_digest_of_the_recorded_one_with_its_snapshot() -> None:
    kept = RECORDED | {"description": "before-patch\n", "snaptime": 1795295005}
    guest = Guest(106, "lxc", "pve1", RECORDED | {"description": "x\n", "parent": "s1"}, {"s1": kept})
    assert digest(guest) == "71b477788454b9706770286f8486aecd10266046"
    assert shown(guest, guest.conf)["digest"] == digest(guest)


def test_the_description_stands_first_as_comments_and_encoded() -> None:
    assert render(CONTAINER).startswith("#One\n#two\narch: amd64\ncores: 1\n")
    assert encoded("50%: ä") == "50%25%3A %C3%A4"


def test_what_waits_for_the_next_start_has_a_section_of_its_own() -> None:
    guest = draft(101, "lxc", "pve1", "web1")
    guest.pending = {"hostname": "web2", "features": None}
    assert render(guest).endswith("\n[pve:pending]\ndelete: features\nhostname: web2\n")
    machine = draft(201, "qemu", "pve1", "vm")
    machine.pending = {"cores": 2}
    assert render(machine).endswith("\n[PENDING]\ncores: 2\n")


def test_files_lie_where_the_cluster_file_system_has_them(tmp_path: Path) -> None:
    tree = ConfTree(tmp_path)
    machine = draft(201, "qemu", "pve2", "vm")
    tree.write(CONTAINER)
    tree.write(machine)
    assert (tmp_path / "nodes/pve1/lxc/101.conf").read_text() == render(CONTAINER)
    assert [path.name for path in (tmp_path / "nodes/pve2/qemu-server").iterdir()] == ["201.conf"]
    tree.remove(machine)
    tree.remove(machine)
    assert not tree.path(machine).exists()
