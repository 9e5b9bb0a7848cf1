"""What a drawn installation has beside nodes and guests."""

from nanny_ops.lab.furniture import furnish
from tests.unit.lab.pve.pretended import NOW, Asking, asking


def furnished(seed: int = 1) -> Asking:
    made = asking()
    furnish(made.api.cluster, seed, NOW)
    return made


def test_disks_pools_and_jobs_are_there_to_be_collected() -> None:
    asked = furnished()
    disks = asked.get("/nodes/pve1/disks/list")
    assert {row["type"] for row in disks} == {"nvme", "hdd"}
    assert asked.get("/nodes/pve2/disks/zfs")[0]["health"] == "ONLINE"
    assert asked.get("/cluster/backup-info/not-backed-up") == []
    assert asked.get("/nodes/pve1/replication")[0]["target"] == "pve2"


def test_the_same_seed_gives_the_same() -> None:
    assert furnished().api.cluster.nodes["pve1"].disks == furnished().api.cluster.nodes["pve1"].disks
    assert furnished(1).api.cluster.nodes["pve1"].disks != furnished(2).api.cluster.nodes["pve1"].disks
