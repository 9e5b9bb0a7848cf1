"""Snapshots of guests: which disks allow them, how they are taken, deleted and gone back to."""

from collections.abc import Mapping
from typing import Any

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.guest import WORD, Conf, Guest
from nanny_ops.lab.pve.state.storage import Storage
from nanny_ops.lab.pve.state.volume import Volume

#: Names that mean something else.
RESERVED = {"lxc": ("current", "vzdump"), "qemu": ("current", "pending")}
#: Settings of the guest itself, which no snapshot holds.
_NOT_KEPT = frozenset({"lock", "parent", "template", "protection"})


def feature(guest: Guest, name: str, storages: Mapping[str, Storage]) -> bool:
    """Return whether a guest's disks allow ``snapshot``, ``clone`` (of a template, linked) or ``copy``."""
    if name == "copy":
        return True
    able = all(_able(guest, volume, storages) for volume in guest.volumes)
    return able if name == "snapshot" else able and guest.template


def _able(guest: Guest, volume: Volume, storages: Mapping[str, Storage]) -> bool:
    storage = storages.get(volume.storage)
    if storage is None:
        return False
    # A directory can do so only for a machine, by the disk's own form.
    return storage.snapshots or (guest.kind == "qemu" and volume.form == "qcow2")


def check_name(guest_kind: str, name: str) -> None:
    """Raise Refusal for a name that means something else."""
    if name in RESERVED[guest_kind]:
        raise Refusal(500, f"unable to use snapshot name '{name}' (reserved name)")


def check_new(guest: Guest, name: str, storages: Mapping[str, Storage]) -> None:
    """Raise Refusal unless a snapshot of this name can be taken now."""
    if guest.template:
        raise Refusal(500, "you can't take a snapshot if it's a template")
    check_lock(guest)
    if name in guest.snapshots:
        raise Refusal(500, f"snapshot name '{name}' already used")
    if not feature(guest, "snapshot", storages):
        raise Refusal(500, "snapshot feature is not available")


def check_lock(guest: Guest, *but: str) -> None:
    """Raise Refusal when the guest is locked, except by one of ``but``."""
    if guest.lock and guest.lock not in but:
        raise Refusal(500, f"{WORD[guest.kind]} is locked ({guest.lock})")


def existing(guest: Guest, name: str) -> Conf:
    """Return what a snapshot holds. Raises Refusal."""
    if name not in guest.snapshots:
        raise Refusal(500, f"snapshot '{name}' does not exist")
    return guest.snapshots[name]


def take(guest: Guest, name: str, description: str, now: float) -> None:
    """Take a snapshot."""
    kept = {key: value for key, value in guest.conf.items() if key not in _NOT_KEPT and key != "description"}
    if description:
        kept["description"] = lines(description)
    if "parent" in guest.conf:
        kept["parent"] = guest.conf["parent"]
    guest.snapshots[name] = kept | {"snaptime": int(now)}
    guest.conf["parent"] = name


def delete(guest: Guest, name: str) -> None:
    """Forget a snapshot; what came after it comes after what it came after."""
    gone = guest.snapshots.pop(name)
    for conf in (guest.conf, *guest.snapshots.values()):
        if conf.get("parent") == name:
            del conf["parent"]
            conf |= {"parent": gone["parent"]} if "parent" in gone else {}


def go_back(guest: Guest, name: str) -> None:
    """Let the configuration be again what it was."""
    old = guest.snapshots[name]
    stays = {key: value for key, value in guest.conf.items() if key in _NOT_KEPT and key != "parent"}
    stays |= {"description": guest.conf["description"]} if "description" in guest.conf else {}
    then = {key: value for key, value in old.items() if key not in {"snaptime", "parent", "description", "vmstate"}}
    guest.conf = then | stays | {"parent": name}
    guest.pending.clear()


def rows(guest: Guest, digest: str, *, running: bool) -> list[dict[str, Any]]:
    """Return the snapshots as the API lists them; ``current`` is none, and stands in every list."""
    found = [_row(guest, name, conf) for name, conf in guest.snapshots.items()]
    current: dict[str, Any] = {"name": "current", "description": "You are here!"}
    current |= {"digest": digest, "running": int(running)}
    return [*found, current | ({"parent": guest.conf["parent"]} if "parent" in guest.conf else {})]


def _row(guest: Guest, name: str, conf: Conf) -> dict[str, Any]:
    row = {"name": name, "description": conf.get("description", ""), "snaptime": conf.get("snaptime", 0)}
    row |= {"vmstate": int("vmstate" in conf)} if guest.kind == "qemu" else {}
    return row | ({"parent": conf["parent"]} if "parent" in conf else {})


def lines(description: str) -> str:
    """Return a description as it is read back: each line with its end."""
    return "".join(f"{line}\n" for line in description.splitlines())
