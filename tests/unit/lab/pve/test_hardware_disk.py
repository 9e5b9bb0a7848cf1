"""Disks and ZFS pools of nodes; by the schema only."""

from nanny_ops.lab.pve.state.hardware import Disk, ZfsPool
from tests.unit.lab.pve.pretended import asking

WORN = Disk("/dev/nvme0n1", "nvme", 1 << 40, health="PASSED", wearout=7, used="ZFS", attributes=(("Media Errors", 3),))
OLD = Disk("/dev/sda", "hdd", 1 << 41, health="FAILED", rpm=7200, attributes=(("Reallocated_Sector_Ct", 812),))


def test_what_disks_tell_of_their_health() -> None:
    asked = asking()
    asked.api.cluster.nodes["pve1"].disks = (WORN, OLD)
    rows = {row["devpath"]: row for row in asked.get("/nodes/pve1/disks/list")}
    assert (rows["/dev/nvme0n1"]["wearout"], rows["/dev/sda"]["wearout"]) == (7, "N/A")
    smart = asked.get("/nodes/pve1/disks/smart?disk=/dev/sda")
    assert (smart["health"], smart["attributes"][0]["raw"]) == ("FAILED", "812")
    assert "Media Errors: 3" in asked.get("/nodes/pve1/disks/smart?disk=/dev/nvme0n1")["text"]
    assert asked.get("/nodes/pve1/disks/smart?disk=/dev/sda&healthonly=1") == {"health": "FAILED"}
    assert asked.refusal("GET", "/nodes/pve1/disks/smart?disk=/dev/sdz")[0] == 500


def test_pools_of_disks() -> None:
    asked = asking()
    asked.api.cluster.nodes["pve1"].zfs = (ZfsPool("tank", health="DEGRADED"),)
    assert [row["health"] for row in asked.get("/nodes/pve1/disks/zfs")] == ["DEGRADED"]
    assert asked.get("/nodes/pve1/disks/zfs/tank")["children"][0]["name"] == "tank"
    assert asked.refusal("GET", "/nodes/pve1/disks/zfs/none")[0] == 500
