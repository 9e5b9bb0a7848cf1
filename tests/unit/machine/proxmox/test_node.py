"""From the API's words about nodes to the wire's."""

from nanny_ops.machine.proxmox import cluster, node


def test_disks_with_what_smart_says() -> None:
    told = node.disks(
        [
            {"devpath": "/dev/sdb", "health": "PASSED", "wearout": 97, "model": "X", "size": "10", "used": "ZFS"},
            {"devpath": "/dev/sda", "health": "UNKNOWN", "wearout": "N/A", "model": "unknown"},
        ]
    )["disks"]
    assert [(one["path"], one["health"], one["wearout"], one["model"]) for one in told] == [
        ("/dev/sda", "UNKNOWN", None, ""),
        ("/dev/sdb", "PASSED", 97.0, "X"),
    ]


def test_pools_and_clock() -> None:
    pools = node.zfs([{"name": "rpool", "health": "DEGRADED", "size": 9, "alloc": 4, "free": 5, "frag": 3}])["zfs"]
    assert (pools[0]["health"], pools[0]["allocated"], pools[0]["fragmentation"]) == ("DEGRADED", 4, 3.0)
    assert node.clock({"time": 1000, "timezone": "UTC"}, 1001.0)["clock_offset"] == 0.0
    assert node.clock({"time": 1000}, 1100.4)["clock_offset"] == -100


def test_an_older_nodes_kernel_stands_in_one_text() -> None:
    assert node.status({"kversion": "Linux 5.15"})["kernel"] == "Linux 5.15"
    assert node.usage("n", {"loadavg": ["0.5", "1", "2"]})["load"] == [0.5, 1.0, 2.0]


def test_ceph_in_short() -> None:
    told = cluster.ceph(
        {
            "health": {"status": "HEALTH_WARN", "checks": {"OSD_DOWN": {"summary": {"message": "1 osds down"}}}},
            "osdmap": {"num_osds": 3, "num_up_osds": 2, "num_in_osds": 3},
            "pgmap": {"degraded_objects": 7, "bytes_used": 5, "bytes_total": 9},
        }
    )
    assert (told["health"], told["checks"], told["osds_up"]) == ("HEALTH_WARN", ["OSD_DOWN: 1 osds down"], 2)
    assert cluster.ceph({"health": {}, "osdmap": {"osdmap": {"num_osds": 1}}})["osds"] == 1


def test_backup_jobs_new_and_old() -> None:
    told = cluster.jobs(
        [
            {"id": "b", "vmid": "101,102", "schedule": "sun 02:00", "enabled": 1, "storage": "s", "next-run": 5},
            {"id": "a", "all": 1, "exclude": "105", "dow": "mon", "starttime": "02:00", "enabled": 0},
        ]
    )
    assert [(one["id"], one["guests"], one["everything"], one["exclude"], one["enabled"]) for one in told] == [
        ("a", [], True, [105], False),
        ("b", [101, 102], False, [], True),
    ]
    assert told[0]["schedule"] == "mon 02:00"
