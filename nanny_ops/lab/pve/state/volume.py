"""A guest's disks, read from its configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Settings that name a disk, in the order in which the first counts as the one to start from.
_DISK = re.compile(r"rootfs|mp\d+|(?:scsi|virtio|sata|ide)\d+|efidisk0|tpmstate0")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_UNIT = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class Volume:
    """One disk of a guest; ``size`` in bytes, 0 for a directory that shares its storage's space."""

    key: str
    volid: str
    size: int

    @property
    def storage(self) -> str:
        """Return the storage's name, empty for a path of the node."""
        head, colon, _ = self.volid.partition(":")
        return head if colon else ""

    @property
    def form(self) -> str:
        """Return the form, by the end of its name: raw, qcow2, subvol."""
        return self.volid.rpartition(".")[2]


def volumes_of(conf: Mapping[str, Any]) -> list[Volume]:
    """Return the disks of a configuration, the first one first; drives without a disk are none."""
    found = []
    for key in sorted(conf, key=_rank):
        if _DISK.fullmatch(key):
            volid, options = split(str(conf[key]))
            if options.get("media") != "cdrom" and volid != "none":
                found.append(Volume(key, volid, size_of(options.get("size", "0"))))
    return found


def split(text: str) -> tuple[str, dict[str, str]]:
    """Return the volume's id and the options behind it."""
    head, *rest = text.split(",")
    pairs = (part.partition("=") for part in rest)
    return head, {name: value for name, _, value in pairs}


def size_of(text: str) -> int:
    """Return bytes for a size such as ``2G`` or ``0T``; 0 for what is none."""
    found = _SIZE.fullmatch(text)
    return int(float(found[1]) * _UNIT[found[2]]) if found else 0


def _rank(key: str) -> tuple[int, str]:
    order = ("rootfs", "mp", "scsi", "virtio", "sata", "ide")
    head = key.rstrip("0123456789")
    return order.index(head) if head in order else len(order), key
