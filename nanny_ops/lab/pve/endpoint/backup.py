"""Backups of guests: what vzdump says while it works, and how it falls back to another mode without a question."""

import shlex
import time
from dataclasses import dataclass
from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.guest import Guest
from nanny_ops.lab.pve.state.snapshot import check_lock, feature
from nanny_ops.lab.pve.state.storage import Storage, Volume
from nanny_ops.lab.pve.state.task import Interrupted, Worker

#: How an archive is packed -> the end of its name.
_ENDS = {"0": "", "1": ".lzo", "lzo": ".lzo", "gzip": ".gz", "zstd": ".zst"}
#: What holds where neither the call nor the node's configuration says otherwise.
_DEFAULTS: dict[str, Any] = {
    "mode": "snapshot",
    "compress": "0",
    "mailnotification": "always",
    "notification-mode": "auto",
    "bwlimit": 0,
    "ionice": 7,
    "lockwait": 180,
    "stopwait": 10,
    "pigz": 0,
    "zstd": 1,
    "remove": 1,
    "stdexcludes": 1,
    "all": 0,
    "stop": 0,
    "quiet": 0,
    "fleecing": {"enabled": 0},
    "performance": {"max-workers": 16, "pbs-entries-max": 1_048_576},
}
#: Bytes that are read in a second.
READ = 150_000_000
#: The least that an archive holds, in bytes.
LEAST = 80 << 20


def vzdump(api: Api, call: Call) -> Any:
    """Begin a task that backs guests up, one after another."""
    storage = call.text("storage", "local")
    if storage not in api.cluster.storages:
        raise Refusal(500, f"could not get storage information for '{storage}': storage '{storage}' does not exist")
    vmids = _vmids(api, call)
    if not vmids:
        raise Refusal(400, "you have to specify either 'all', 'pool' or 'vmid'")
    if "storage" in call.given:
        call.caller.need(f"/storage/{storage}", "Datastore.AllocateSpace")
    for vmid in vmids:
        call.caller.need(f"/vms/{vmid}", "VM.Backup")
    only = str(vmids[0]) if len(vmids) == 1 else ""
    return api.tasks.begin(
        call.node, "vzdump", only, call.caller.who, lambda worker: _job(api, call, worker, vmids, storage)
    )


def defaults(api: Api, call: Call) -> Any:
    """Answer with how a backup is made where a call does not say."""
    name = call.text("storage", "local")
    storage = api.cluster.storages.get(name)
    if storage is None:
        raise Refusal(500, f"storage '{name}' does not exist")
    where = {"storage": name, "dumpdir": f"{storage.path}/dump"}
    older = {"notification-policy": "always"} if api.cluster.release == "8.4" else {}
    return _DEFAULTS | older | where | {"prune-backups": storage.options.get("prune-backups", "keep-all=1")}


def _vmids(api: Api, call: Call) -> list[int]:
    excluded = {int(vmid) for vmid in call.text("exclude").replace(",", " ").split()}
    if pool := call.text("pool"):
        members = api.cluster.pools[pool].vmids if pool in api.cluster.pools else set()
    elif call.flag("all"):
        members = {guest.vmid for guest in api.cluster.list_guests(node=call.node)}
    else:
        return [int(vmid) for vmid in call.text("vmid").replace(",", " ").split()]
    here = {guest.vmid for guest in api.cluster.list_guests(node=call.node)}
    return sorted((members & here) - excluded)


def _job(api: Api, call: Call, worker: Worker, vmids: list[int], storage: str) -> None:
    options = {name: call.text(name) for name in call.given if name != "vmid"}
    words = " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items())
    worker.say(f"INFO: starting new backup job: vzdump {' '.join(map(str, vmids))} {words}")
    failed = [vmid for vmid in vmids if not _one(api, call, worker, vmid, storage)]
    worker.say(f"INFO: Backup job finished {'with errors' if failed else 'successfully'}")
    if failed:
        raise Refusal(500, "job errors")


def _one(api: Api, call: Call, worker: Worker, vmid: int, storage: str) -> bool:
    """Back one guest up and return whether that went well."""
    backup = _Backup(api, call, worker, storage, api.clock())
    try:
        backup.make(_found(api, call.node, vmid))
    except Interrupted:
        return backup.fail(vmid, f"{backup.command} failed: interrupted by signal")
    except Refusal as refusal:
        return backup.fail(vmid, refusal.text)
    return True


def _found(api: Api, node: str, vmid: int) -> Guest:
    guest = api.cluster.guests.get(vmid)
    if guest is None or guest.node != node:
        raise Refusal(500, f"unable to find VM '{vmid}'")
    return guest


@dataclass
class _Backup:
    """One guest's backup."""

    api: Api
    call: Call
    worker: Worker
    storage: str
    began: float
    #: The command that runs, as an error names it.
    command: str = "command 'tar'"

    def info(self, line: str) -> None:
        self.worker.say(f"INFO: {line}")

    def fail(self, vmid: int, why: str) -> bool:
        self.worker.say(f"ERROR: Backup of VM {vmid} failed - {why}")
        self.info(f"Failed at {_date(self.api.clock())}")
        return False

    def make(self, guest: Guest) -> None:
        running = self.api.cluster.power.read(guest).running
        self.info(f"Starting Backup of VM {guest.vmid} ({guest.kind})")
        self.info(f"Backup started at {_date(self.began)}")
        self.info(f"status = {'running' if running else 'stopped'}")
        check_lock(guest)
        mode = self.mode(guest, running=running)
        self.info(f"backup mode: {mode}")
        self.info("ionice priority: 7")
        self.lock(guest)
        try:
            self.copy(guest, mode)
        finally:
            with self.api.lock:
                guest.conf.pop("lock", None)
                self.api.cluster.records.write(guest)

    def mode(self, guest: Guest, *, running: bool) -> str:
        """Return how it will be done: what is asked for, unless the disks or the guest's state forbid it."""
        wanted = self.call.text("mode", "snapshot")
        if not running:
            return "stop"
        if wanted == "snapshot" and guest.kind == "lxc":
            self.contents(guest)
            if not feature(guest, "snapshot", self.api.cluster.storages):
                self.info("mode failure - some volumes do not support snapshots")
                self.info("trying 'suspend' mode instead")
                return "suspend"
        return wanted

    def contents(self, guest: Guest) -> None:
        self.info(f"{'CT' if guest.kind == 'lxc' else 'VM'} Name: {guest.name}")
        if guest.kind == "lxc":
            self.info("including mount point rootfs ('/') in backup")
        for volume in guest.volumes if guest.kind == "qemu" else ():
            self.info(f"include disk '{volume.key}' '{volume.volid}'")

    def lock(self, guest: Guest) -> None:
        guest.conf["lock"] = "backup"
        try:
            self.api.cluster.save(guest, self.worker.task.pid)
        except Refusal:
            del guest.conf["lock"]
            raise

    def copy(self, guest: Guest, mode: str) -> None:
        place = self.api.cluster.storages[self.storage]
        stem = f"vzdump-{guest.kind}-{guest.vmid}-{time.strftime('%Y_%m_%d-%H_%M_%S', time.gmtime(self.began))}"
        end = (".tar" if guest.kind == "lxc" else ".vma") + _ENDS[self.call.text("compress", "0")]
        archive = f"{place.path}/dump/{stem}{end}"
        if mode != "snapshot" or guest.kind == "qemu":
            self.contents(guest)
        if mode == "suspend":
            self.suspend(guest, f"{place.path}/dump/{stem}.tmp")
        elif mode == "snapshot" and guest.kind == "lxc":
            self.info("create storage snapshot 'vzdump'")
        self.info(f"creating vzdump archive '{archive}'")
        self.pack(guest, place, Volume(f"{self.storage}:backup/{stem}{end}", "backup", end[1:], LEAST, int(self.began)))
        if mode == "snapshot" and guest.kind == "lxc":
            self.info("cleanup temporary 'vzdump' snapshot")
        took = time.strftime("%H:%M:%S", time.gmtime(self.api.clock() - self.began))
        self.info(f"Finished Backup of VM {guest.vmid} ({took})")
        self.info(f"Backup finished at {_date(self.api.clock())}")

    def suspend(self, guest: Guest, directory: str) -> None:
        """Copy twice, the second time while the guest is frozen."""
        source = f"/proc/{self.api.cluster.power.read(guest).pid}/root/"
        self.command = f"command 'rsync --stats -h -X -A --numeric-ids -aH --delete {source}/./ {directory}'"
        self.info(f"starting first sync {source} to {directory}")
        self.worker.take(2)
        self.info("first sync finished - transferred 255.24M bytes in 2s")
        self.info("suspending guest")
        if not self.api.cluster.power.freeze(guest):
            self.worker.say("WARN: nothing can be frozen where this lab runs; the guest goes on")
        try:
            self.info(f"starting final sync {source} to {directory}")
            self.worker.take(0.5)
            self.info("final sync finished - transferred 0 bytes in 0s")
        finally:
            self.info("resuming guest")
            self.api.cluster.power.thaw(guest)
        self.info("guest is online again after <1 seconds")

    def pack(self, guest: Guest, place: Storage, archive: Volume) -> None:
        read = max(LEAST * 3, guest.disk // 8)
        self.worker.take(read / READ)
        self.info(f"Total bytes written: {read} ({read >> 20}MiB, {READ >> 20}MiB/s)")
        self.info(f"archive file size: {archive.size >> 20}MB")
        notes = self.call.text("notes-template").replace("{{guestname}}", guest.name)
        notes = notes.replace("{{vmid}}", str(guest.vmid)).replace("{{node}}", guest.node)
        if notes:
            self.info("adding notes to backup")
        made = Volume(
            archive.volid, "backup", archive.form, archive.size, archive.created, vmid=guest.vmid, notes=notes
        )
        place.volumes.setdefault("" if place.shared else guest.node, []).append(made)


def _date(now: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))


ROUTES = (
    Route("POST", "/nodes/{node}/vzdump", vzdump),
    Route("GET", "/nodes/{node}/vzdump/defaults", defaults),
)
