"""Guest configurations from the cluster file system, where the agent runs on a node: no request, no program."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanny_ops.errors import ProxmoxError, ProxmoxGone
from nanny_ops.machine.proxmox.conf import GuestConf, parse

_FOLDER = {"lxc": "lxc", "qemu": "qemu-server"}
#: Bytes of one file; pmxcfs itself allows 1 MiB.
CAP = 1024 * 1024
#: Seconds for which a file counts as still being written: pmxcfs tells times in whole seconds.
SETTLED = 2.0


@dataclass(frozen=True)
class Stamp:
    """What tells that a file has not changed; an unsettled one never equals another."""

    mtime: int
    size: int
    settled: bool

    def same(self, other: Any) -> bool:
        """Tell whether the file is known to be as it was."""
        return self.settled and isinstance(other, Stamp) and (self.mtime, self.size) == (other.mtime, other.size)


class Pmxcfs:
    """The file system below ``root``, usually /etc/pve."""

    def __init__(self, root: Path, *, now: Callable[[], float] = time.time) -> None:
        """Take where it is mounted."""
        self._root, self._now = root, now

    def node(self) -> str:
        """Return this node's name, empty where the file system is not mounted."""
        try:
            return (self._root / "local").readlink().name
        except OSError:
            return ""

    def stamp(self, node: str, kind: str, vmid: int) -> Stamp:
        """Look at a guest's file without opening it. Raises ProxmoxGone, ProxmoxError."""
        try:
            found = self._path(node, kind, vmid).stat()
        except FileNotFoundError:
            raise ProxmoxGone(f"{kind}/{vmid} has no configuration on {node}.") from None
        except OSError as wrong:
            raise ProxmoxError(f"{self._path(node, kind, vmid)} cannot be read: {wrong.strerror}.") from None
        age = self._now() - found.st_mtime
        return Stamp(found.st_mtime_ns, found.st_size, not -SETTLED < age < SETTLED)

    def read(self, node: str, kind: str, vmid: int) -> GuestConf:
        """Read a guest's file. Raises ProxmoxGone, ProxmoxError."""
        path = self._path(node, kind, vmid)
        try:
            with path.open("rb") as file:
                return parse(file.read(CAP).decode("utf-8", "replace"))
        except FileNotFoundError:
            raise ProxmoxGone(f"{kind}/{vmid} has no configuration on {node}.") from None
        except OSError as wrong:
            raise ProxmoxError(f"{path} cannot be read: {wrong.strerror}.") from None

    def _path(self, node: str, kind: str, vmid: int) -> Path:
        return self._root / "nodes" / node / _FOLDER[kind] / f"{vmid}.conf"
