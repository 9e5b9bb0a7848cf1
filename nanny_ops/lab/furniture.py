"""What a drawn installation has beside nodes and guests: disks that wear, pools of disks, jobs, and what is wrong."""

import random
from dataclasses import replace

from nanny_ops.lab.pve.state.cluster import Cluster
from nanny_ops.lab.pve.state.hardware import Disk, ZfsPool
from nanny_ops.lab.pve.state.job import BackupJob, Replication
from nanny_ops.lab.pve.state.node import GIB

#: Part of the guests that the nightly job leaves out.
LEFT_OUT = 10
_FAST = Disk("/dev/nvme0n1", "nvme", 960 * GIB, "Lab NVMe 960", vendor="Lab", health="PASSED", rpm=0, used="ZFS")
_SLOW = Disk("/dev/sda", "hdd", 4000 * GIB, "Lab HDD 4000", vendor="Lab", health="PASSED", rpm=7200, used="LVM")


def furnish(cluster: Cluster, seed: int, now: float) -> None:
    """Add all of it to a cluster with its guests; the same seed adds the same. ``now`` in seconds of the epoch."""
    dice = random.Random(seed + 2)
    for number, node in enumerate(cluster.nodes.values(), 1):
        node.disks = _disks(dice, number)
        node.zfs = (ZfsPool(size=node.disk, used=node.disk_used, disks=("nvme0n1p3", "nvme1n1p3")),)
    left_out = tuple(sorted(vmid for vmid in cluster.guests if vmid % LEFT_OUT == 0))
    cluster.backup_jobs["nightly"] = BackupJob("nightly", "02:30", exclude=left_out, comment="all but a few")
    if not cluster.standalone:
        _replicate(cluster, now)


def _disks(dice: random.Random, number: int) -> tuple[Disk, ...]:
    """Return two fast disks, of which one is nearly worn on every seventh node, and a slow one."""
    wear = (dice.randint(60, 99), 4 if number % 7 == 0 else dice.randint(60, 99))
    fast = [
        replace(
            _FAST,
            devpath=f"/dev/nvme{index}n1",
            serial=f"LABN{number:04}{index}",
            wearout=left,
            attributes=(("Percentage Used", 100 - left), ("Media and Data Integrity Errors", 0)),
        )
        for index, left in enumerate(wear)
    ]
    moved = dice.choice((0, 0, 0, 8))
    slow = replace(_SLOW, serial=f"LABH{number:04}", attributes=(("Reallocated_Sector_Ct", moved),))
    return (*fast, slow)


def _replicate(cluster: Cluster, now: float) -> None:
    """Let the first guest be replicated to the second node, every quarter of an hour."""
    guest = next(iter(cluster.guests.values()), None)
    others = [name for name in cluster.nodes if guest is not None and name != guest.node]
    if guest is not None and others:
        done = int(now) // 900 * 900
        job = Replication(guest.vmid, 0, others[0], last_sync=done, last_try=done, next_sync=done + 900, duration=3.2)
        cluster.replications[job.job_id] = job
