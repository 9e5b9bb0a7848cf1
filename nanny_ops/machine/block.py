"""The disks of a machine, as /sys/block shows them."""

from pathlib import Path
from typing import Any

_SECTOR = 512
#: More would be refused by the control plane.
MOST = 1024


def devices(root: Path = Path("/")) -> list[dict[str, Any]]:
    """Return the real disks and software RAIDs: name, size in bytes, type, model, serial_number.

    Loop devices, memory disks and volumes (dm-, zd), of which a node may have hundreds, belong to their disks.
    """
    entries = sorted((root / "sys/block").glob("*"))
    found = [_device(entry) for entry in entries if (entry / "device").exists() or entry.name.startswith("md")]
    return [device for device in found if device["size"] > 0][:MOST]


def _device(entry: Path) -> dict[str, Any]:
    sectors = _text(entry / "size")
    return {
        "name": entry.name,
        "size": int(sectors) * _SECTOR if sectors.isdigit() else 0,
        "type": {"md": "raid", "sr": "rom"}.get(entry.name[:2], "disk"),
        "model": _text(entry / "device/model")[:255],
        "serial_number": (_text(entry / "device/serial") or _text(entry / "serial") or _page(entry))[:255],
    }


def _page(entry: Path) -> str:
    """Return the serial number that a SCSI disk keeps in its vital product data, behind four bytes of header."""
    try:
        return (entry / "device/vpd_pg80").read_bytes()[4:].decode("ascii", "replace").strip("\0 ")
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""
