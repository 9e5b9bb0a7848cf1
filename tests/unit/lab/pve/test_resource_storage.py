"""The list of everything, and the storages in it."""

import pytest

from nanny_ops.lab.pve.state.storage import Storage, Volume
from tests.unit.lab.pve.pretended import AUDITOR, asking


def test_a_storage_is_where_it_is_said_to_be() -> None:
    assert Storage("btr", "btrfs", nodes=("pve1",)).on("pve1")
    assert not Storage("btr", "btrfs", nodes=("pve1",)).on("pve2")
    assert Storage("btr", "btrfs").snapshots
    assert not Storage("local").snapshots


def test_every_node_shows_its_own_storage() -> None:
    rows = asking().get("/cluster/resources?type=storage")
    assert {row["id"] for row in rows} == {"storage/pve1/local", "storage/pve2/local"}


@pytest.mark.rows("PVE-15")
def test_an_auditor_sees_no_backups_and_is_not_told_so() -> None:
    asked = asking()
    lying = Volume("local:backup/vzdump-lxc-101-x.tar.zst", "backup", "tar.zst", 1, 1, vmid=101)
    asked.api.cluster.storages["local"].volumes["pve1"] = [lying]
    path = "/nodes/pve1/storage/local/content?content=backup"
    assert [row["subtype"] for row in asked.get(path)] == ["lxc"]
    assert asked.get(path, AUDITOR) == []


def test_a_storage_that_is_not_for_a_node_stands_there_without_figures() -> None:
    asked = asking()
    asked.api.cluster.storages["btr"] = Storage("btr", "btrfs", nodes=("pve1",))
    rows = {row["storage"]: row for row in asked.get("/nodes/pve2/storage")}
    assert (rows["btr"]["enabled"], "used_fraction" in rows["btr"]) == (0, False)
    assert [row["storage"] for row in asked.get("/nodes/pve2/storage?enabled=1")] == ["local"]
