"""Disks and pools of disks of a node. Nothing of it but a plain disk has been recorded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Disk:
    """One disk; ``size`` in bytes; ``wearout`` in percent that are left, -1 for unknown; ``kind`` ssd, hdd or nvme."""

    devpath: str = "/dev/vda"
    kind: str = "unknown"
    size: int = 256 << 30
    model: str = "Virtual disk"
    serial: str = "lab-0001"
    vendor: str = "0x1af4"
    health: str = "UNKNOWN"
    wearout: int = -1
    rpm: int = -1
    used: str = "mounted"
    #: S.M.A.R.T. attribute -> raw value.
    attributes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class ZfsPool:
    """One ZFS pool; ``size`` and ``used`` in bytes."""

    name: str = "rpool"
    size: int = 1 << 40
    used: int = 256 << 30
    health: str = "ONLINE"
    fragmentation: int = 12
    disks: tuple[str, ...] = ("sda3", "sdb3")
    errors: str = "No known data errors"
    scan: str = "scrub repaired 0B with 0 errors"
