"""Something to go back to: a snapshot of our own, or a backup that is young enough; and what becomes of it afterwards.

Whatever is ``required`` and cannot be had ends the job before its script: fail closed.
"""

from datetime import UTC, datetime
from typing import Any

from nanny_ops.errors import ProxmoxError, SnapshotImpossible
from nanny_ops.machine.procedure import preflight
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.record import Record
from nanny_ops.machine.procedure.scene import Scene, Skip
from nanny_ops.machine.procedure.ward import Ward
from nanny_ops.machine.proxmox import backup, snapshot
from nanny_ops.machine.proxmox.task import Upid
from nanny_ops.protocol import clock
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch_report import MOST_PATHS, Protection
from nanny_ops.protocol.snapshot import description

#: Bytes that a storage must have left for a snapshot, which grows with every change.
LEAST_BYTES = 1024**3
#: Said of a snapshot whose making nobody saw to its end.
UNSEEN = "The job was cut short while the snapshot was being made; whether it is there was not seen."
_HOST = "A host has no snapshots and no backups of its own."


def protect(scene: Scene) -> str:
    """Make what the plan asks for. Raises Halt, OSError; Skip where nothing is asked or, if so allowed, possible."""
    asked = scene.plan.protect
    if asked == "none" or scene.job.dry_run:
        raise Skip("Nothing is asked for." if asked == "none" else "A dry run changes nothing.")
    why_not = _HOST if scene.job.vmid is None else scene.no_ward
    if scene.ward is None:
        return _unprotected(scene, why_not)
    try:
        return _back_up(scene, scene.ward) if asked == "require-backup" else _snapshot(scene, scene.ward)
    except ProxmoxError as wrong:
        task = wrong.details.get("upid")
        return _unprotected(scene, wrong.message, upid=task.text if isinstance(task, Upid) else "")


def told(scene: Scene) -> Protection | None:
    """Return what the job was protected by, None where nothing was asked for.

    A snapshot that was asked for is named even where nobody saw it made, as when a supervisor was killed over it.
    """
    facts = scene.journal.facts
    kept, asked, removed = facts.get("protection"), facts.get("snapshot"), facts.get("removed", [])
    if kept is None and asked is None:
        return None
    values: dict[str, Any] = {"why_not": UNSEEN} if kept is None else kept
    if asked and values.get("kind", "none") == "none":
        return Protection(**{**values, "name": asked, "ours": True, "kept": asked not in removed})
    return Protection(**values)


def release(scene: Scene, *, needless: bool) -> str:
    """Remove our snapshots that are no longer wanted: this job's where ``needless``, and stale ones. Raises Halt."""
    if scene.ward is None or scene.job.vmid is None:
        raise Skip("There is nothing to remove.")
    ward, guest = scene.ward, scene.ward.find()
    there = {found.name: found for found in snapshot.listing(ward.api, guest)}
    ours, removed = scene.records.of(scene.job.vmid), 0
    _note_strays(scene, there, {record.name for record in ours})
    for record in ours:
        if record.name not in there:
            scene.records.remove(record)
    living = [record for record in ours if record.name in there]
    for record in _stale(scene, living, needless):
        snapshot.delete(ward.api, guest, record.name, pace=scene.pace)
        scene.records.remove(record)
        removed += 1
        _note_removed(scene, record)
    return f"{removed} snapshots were removed, {len(living) - removed} of ours are kept."


def _stale(scene: Scene, living: list[Record], needless: bool) -> list[Record]:
    """Return those to remove; this job's own goes first where nothing was changed, else it is the last to go."""
    now, plan = scene.now().timestamp(), scene.plan
    own = [record for record in living if record.job_id == scene.job.job_id]
    others = [record for record in living if record not in own]
    kept = others if needless else others + own
    many = kept[: max(0, len(kept) - plan.keep_snapshots)] if not needless else []
    old = [record for record in others if now - record.made > plan.keep_snapshot_hours * 3600]
    gone = {record.name for record in (*(own if needless else []), *many, *old)}
    return [record for record in living if record.name in gone]


def _snapshot(scene: Scene, ward: Ward) -> str:
    """Make a snapshot under a name that is written down before Proxmox VE hears of it. Raises ProxmoxError."""
    guest = ward.find()
    if not snapshot.possible(ward.api, guest):
        raise SnapshotImpossible(f"A storage of {guest} cannot make snapshots.{preflight.why_no_snapshot(ward)}")
    _check_room(ward)
    now = scene.now().astimezone(UTC)
    purpose = f"{now:%Y%m%d%H%M%S}-{_four(scene)}"
    record = Record(vmid=ward.vmid, name=snapshot.name_for(purpose), job_id=scene.job.job_id, made=now.timestamp())
    scene.records.add(record)
    scene.journal.note(snapshot=record.name)
    made = snapshot.create(ward.api, guest, purpose, description(scene.job.job_id), pace=scene.pace)
    at = clock.stamp(datetime.fromtimestamp(made.made, UTC))
    _note(scene, kind="snapshot", name=made.name, made_at=at, ours=True, upid=made.upid)
    return f"Snapshot {made.name} was made."


def _four(scene: Scene) -> str:
    """Return four hex digits that another job of the same second would hardly have."""
    return f"{int(scene.pace.dice() * 65536) % 65536:04x}"


def _check_room(ward: Ward) -> None:
    """See that the storages of the guest have room for a snapshot's growth. Raises SnapshotImpossible, ProxmoxError."""
    guest = ward.find()
    conf: dict[str, Any] = ward.api.get(f"{guest.path}/config")
    disks = ("rootfs", "mp") if guest.kind == "lxc" else ("scsi", "virtio", "sata", "ide", "efidisk", "tpmstate")
    volumes = [str(value) for key, value in conf.items() if key.rstrip("0123456789") in disks]
    for storage in sorted({volume.partition(":")[0] for volume in volumes if ":" in volume.partition(",")[0]}):
        _check_storage(ward, storage, "a snapshot")


def _check_storage(ward: Ward, storage: str, what: str) -> None:
    """See that a storage has room; filling it would harm whatever else lies there. Raises SnapshotImpossible."""
    try:
        status: dict[str, Any] = ward.api.get(f"nodes/{ward.node}/storage/{storage}/status")
    except ProxmoxError:
        return  # a storage that may not be looked at is left to the task's own judgement
    left = status.get("avail")
    if left is not None and int(left) < LEAST_BYTES:
        raise SnapshotImpossible(f"Storage {storage} has {int(left) >> 20} MiB left, too few for {what}.")


def _back_up(scene: Scene, ward: Ward) -> str:
    """Find a backup that is young enough and whole, or make one. Raises Halt, ProxmoxError."""
    newest = _newest(scene, ward) if scene.plan.backup_max_age_hours else None
    if newest is not None:
        _note_backup(scene, newest)
        return f"Backup {newest['volid']} is young enough."
    if not scene.plan.backup_storage:
        hours = scene.plan.backup_max_age_hours
        return _unprotected(scene, f"There is no backup of the last {hours} hours, and no storage to make one on.")
    _check_storage(ward, scene.plan.backup_storage, "a backup")
    made = backup.dump(
        ward.api,
        ward.find(),
        scene.plan.backup_storage,
        may_freeze=True,
        pace=scene.pace,
        watch=scene.heed,
        cancelled=Halt,
    )
    newest = _new(ward, scene.plan.backup_storage, made)
    if newest is None:
        sentence = f"vzdump ended well, but {scene.plan.backup_storage} shows no new backup."
        return _unprotected(scene, sentence, upid=made.upid)
    _note_backup(scene, newest, ours=True, upid=made.upid)
    how = " The guest stood still for a while, as its storage cannot make snapshots." if made.frozen else ""
    return f"Backup {newest['volid']} was made.{how}"


def _newest(scene: Scene, ward: Ward) -> dict[str, Any] | None:
    """Return the newest backup within the age that the plan allows, on any storage of this node."""
    storages: list[dict[str, Any]] = ward.api.get(f"nodes/{ward.node}/storage", content="backup", enabled=1) or []
    found: list[dict[str, Any]] = []
    for storage in storages:
        try:
            path = f"nodes/{ward.node}/storage/{storage['storage']}/content"
            found += ward.api.get(path, content="backup", vmid=ward.vmid) or []
        except ProxmoxError as wrong:  # a storage that is away hides its backups, and hides them from a restore too
            scene.notes.append(f"Storage {storage.get('storage')} could not be asked for backups: {wrong.message}")
    least = scene.now().timestamp() - scene.plan.backup_max_age_hours * 3600
    good = [one for one in found if _whole(one, ward.vmid) and int(one.get("ctime", 0)) >= least]
    return max(good, key=lambda one: int(one["ctime"]), default=None)


def _new(ward: Ward, storage: str, made: backup.Backup) -> dict[str, Any] | None:
    """Return what a backup of ours has really put on its storage, None where nothing of its time is there."""
    listed = ward.api.get(f"nodes/{ward.node}/storage/{storage}/content", content="backup", vmid=ward.vmid) or []
    since = Upid.parse(made.upid).started
    good = [one for one in listed if _whole(one, ward.vmid) and int(one.get("ctime", 0)) >= since]
    return max(good, key=lambda one: int(one["ctime"]), default=None)


def _whole(entry: dict[str, Any], vmid: int) -> bool:
    """Tell whether a backup is this guest's, has a content, and was not found damaged when it was verified."""
    verified = (entry.get("verification") or {}).get("state", "ok")
    return int(entry.get("vmid", 0)) == vmid and int(entry.get("size", 0)) > 0 and verified == "ok"


def _unprotected(scene: Scene, why: str, *, upid: str = "") -> str:
    """Go on without, where that is allowed. Raises Halt where it is not, Skip where it is."""
    _note(scene, why_not=why, upid=upid)
    if scene.plan.protect.startswith("require"):
        raise Halt(Outcome.UNPROTECTED, f"The order asks for {scene.plan.protect}: {why} Nothing was begun.")
    scene.notes.append(f"The target was not protected: {why}")
    raise Skip(f"It goes on without: {why}")


def _note(scene: Scene, **values: str | bool) -> None:
    scene.journal.note(protection={name: value for name, value in values.items() if value != ""})


def _note_backup(scene: Scene, entry: dict[str, Any], **more: str | bool) -> None:
    volume = str(entry["volid"])
    made = _stamp(entry["ctime"])
    _note(scene, kind="backup", name=volume, storage=volume.partition(":")[0], made_at=made, **more)


def _note_removed(scene: Scene, record: Record) -> None:
    kept = scene.journal.facts.get("protection") or {}
    removed = [*scene.journal.facts.get("removed", []), record.name][-MOST_PATHS:]
    scene.journal.note(removed=removed)
    if kept.get("name") == record.name:
        scene.journal.note(protection={**kept, "kept": False})


def _note_strays(scene: Scene, there: dict[str, snapshot.Snapshot], ours: set[str]) -> None:
    strays = [name for name, found in there.items() if found.own and name not in ours]
    if strays:
        scene.journal.note(strays=strays[:MOST_PATHS])


def _stamp(seconds: Any) -> str:
    return clock.stamp(datetime.fromtimestamp(int(seconds), UTC))
