"""A Proxmox VE API of one node with one guest, in memory: power, locks, snapshots, backups and tasks that end at once.

Whatever the guest holds in ``disk`` is kept by a snapshot and brought back by a rollback, as on a real storage.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.proxmox import refused

NODE = "pve1"


@dataclass
class GuestNode:
    """The node; fields may be changed between calls, ``faults`` end tasks of a kind with another exit status."""

    vmid: int = 101
    running: bool = True
    where: str = NODE
    template: bool = False
    lock: str = ""
    quorate: bool = True
    can_snapshot: bool = True
    conf: dict[str, Any] = field(default_factory=lambda: {"rootfs": "fast:101/vm-101-disk-0.raw,size=4G"})
    avail: int = 1 << 40
    disk: dict[str, str] = field(default_factory=lambda: {"app": "1"})
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    backups: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = lambda: 1_795_295_800.0
    calls: list[tuple[str, str]] = field(default_factory=list)
    #: Called before each call; may raise.
    before: Callable[[str, str], None] = lambda _method, _path: None
    _ends: dict[str, str] = field(default_factory=dict)
    closed: int = 0

    def get(self, path: str, /, **parameters: Any) -> Any:
        self._called("GET", path)
        base = f"nodes/{NODE}/lxc/{self.vmid}"
        answers: dict[str, Callable[[], Any]] = {
            "cluster/resources": self._rows,
            "cluster/status": lambda: [{"type": "cluster", "quorate": int(self.quorate)}],
            f"{base}/status/current": self._status,
            f"{base}/config": lambda: dict(self.conf),
            f"{base}/feature": lambda: {"hasFeature": int(self.can_snapshot)},
            f"{base}/snapshot": lambda: [{"name": "current"}, *({"name": k, **v} for k, v in self.snapshots.items())],
            f"nodes/{NODE}/tasks": list,
            f"nodes/{NODE}/storage": lambda: [{"storage": "store"}],
            f"nodes/{NODE}/storage/store/content": lambda: list(self.backups),
            f"nodes/{NODE}/storage/fast/status": lambda: {"avail": self.avail},
        }
        if path in answers:
            return copy.deepcopy(answers[path]())
        upid, _, what = path.removeprefix(f"nodes/{NODE}/tasks/").rpartition("/")
        if upid in self._ends:
            return {"status": "stopped", "exitstatus": self._ends[upid]} if what == "status" else []
        raise refused(501, f"Method 'GET /{path}' not implemented", path)

    def post(self, path: str, /, **parameters: Any) -> Any:
        self._called("POST", path)
        words = path.split("/")
        if words[-1] == "vzdump":
            return self._task("vzdump", lambda: self._back_up(parameters))
        if words[-1] == "start":
            if self.running:
                raise refused(500, f"CT {self.vmid} already running", path)
            return self._task("vzstart", lambda: self._power(True))
        if words[-1] in ("stop", "shutdown"):
            if not self.running:
                raise refused(500, f"CT {self.vmid} not running", path)
            return self._task("vzshutdown", lambda: self._power(False))
        if words[-1] == "rollback":
            return self._task("vzrollback", lambda: self._roll_back(words[-2]))
        if words[-1] == "snapshot":
            return self._task("vzsnapshot", lambda: self._take(parameters["snapname"], parameters["description"]))
        raise refused(501, f"Method 'POST /{path}' not implemented", path)

    def delete(self, path: str, /, **parameters: Any) -> Any:
        self._called("DELETE", path)
        name = path.rpartition("/")[2]
        return self._task("vzdelsnapshot", lambda: self.snapshots.pop(name))

    def close(self) -> None:
        self.closed += 1

    def _called(self, method: str, path: str) -> None:
        self.before(method, path)
        self.calls.append((method, path))
        if f"/{self.vmid}" in path and self.where != NODE:
            raise refused(500, f"Configuration file 'nodes/{NODE}/lxc/{self.vmid}.conf' does not exist", path)

    def _rows(self) -> list[dict[str, Any]]:
        row = {"type": "lxc", "vmid": self.vmid, "node": self.where, "status": "running" if self.running else "stopped"}
        return [{**row, "template": 1} if self.template else row] if self.where else []

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = {"status": "running" if self.running else "stopped", "uptime": 5 * self.running}
        return {**status, "lock": self.lock} if self.lock else status

    def _task(self, kind: str, work: Callable[[], object]) -> str:
        upid = f"UPID:{NODE}:0000{len(self._ends):04X}:00000001:6B00F2F8:{kind}:{self.vmid}:agent@pve!mon:"
        fault = self.faults.get(kind) or (f"CT is locked ({self.lock})" if self.lock else "")
        if not fault:
            work()
        self._ends[upid] = fault or "OK"
        return upid

    def _power(self, running: bool) -> None:
        self.running = running

    def _take(self, name: str, description: str) -> None:
        self.snapshots[name] = {"snaptime": int(self.clock()), "description": description, "disk": dict(self.disk)}

    def _roll_back(self, name: str) -> None:
        self.disk = dict(self.snapshots[name]["disk"])
        self.running = False

    def _back_up(self, parameters: dict[str, Any]) -> None:
        volid = f"{parameters['storage']}:backup/vzdump-lxc-{self.vmid}.tar.zst"
        self.backups.append({"volid": volid, "vmid": self.vmid, "size": 5, "ctime": int(self.clock())})
