"""The list of everything, and the storages in it."""

from nanny_ops.lab.pve.state.storage import Storage
from tests.unit.lab.pve.pretended import asking


def test_a_storage_is_where_it_is_said_to_be() -> None:
    assert Storage("btr", "btrfs", nodes=("pve1",)).on("pve1")
    assert not Storage("btr", "btrfs", nodes=("pve1",)).on("pve2")
    assert Storage("btr", "btrfs").snapshots
    assert not Storage("local").snapshots


def test_every_node_shows_its_own_storage() -> None:
    rows = asking().get("/cluster/resources?type=storage")
    assert {row["id"] for row in rows} == {"storage/pve1/local", "storage/pve2/local"}
