"""Before anything is touched: is the guest here, does it run, is it free, is there quorum, and can it be protected."""

from typing import Any

from nanny_ops.errors import GuestLocked, ProgramMissing, ProxmoxError, ProxmoxForbidden
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Scene, Skip
from nanny_ops.machine.procedure.ward import Ward
from nanny_ops.machine.proxmox import power
from nanny_ops.machine.proxmox.task import Api
from nanny_ops.protocol.operation import Outcome

#: Seconds that a busy guest is waited for.
BUSY = 300.0
#: MiB that must be free where packages are unpacked.
LEAST_MIB = 200
#: Where packages are downloaded and unpacked to.
PLACES = ("/", "/usr", "/var")


def look(scene: Scene) -> str:
    """See that the guest can be worked on and note how it was found. Raises Halt, ProxmoxError; Skip for a host."""
    if scene.job.vmid is None:
        return _host(scene)
    if scene.ward is None:
        return _without_api(scene)
    row = scene.ward.row()
    if row.get("template"):
        raise Halt(Outcome.TARGET_STOPPED, f"Guest {scene.job.vmid} is a template; templates are left alone.")
    status = power.current(scene.ward.api, scene.ward.find())
    found = "running" if status.get("status") == "running" else "stopped"
    scene.journal.note(found=found, node=scene.ward.node)
    if found == "stopped" and not scene.plan.start_stopped:
        raise Halt(Outcome.TARGET_STOPPED, f"Guest {scene.job.vmid} is stopped, and the order does not start it.")
    if not scene.job.dry_run or found == "stopped":
        _await_free(scene, scene.ward)
        check_quorum(scene.ward.api)
    return f"It is {found} on node {scene.ward.node}."


def space(scene: Scene) -> str:
    """See that there is room for packages in the target. Raises Halt, MachineError."""
    if scene.job.dry_run:
        raise Skip("A dry run unpacks nothing.")
    try:
        done = scene.target.command(["df", "-Pk", *PLACES], 30)
    except ProgramMissing as wrong:
        raise Skip(f"How much room there is cannot be asked: {wrong.message}") from wrong
    if done.timed_out:
        sentence = f"In {scene.target_name} no program answers; it may be frozen by a backup."
        raise Halt(Outcome.TARGET_STOPPED, sentence)
    free = _free(done.stdout.decode("utf-8", "replace"))
    if not free:
        raise Skip("How much room there is cannot be told.")
    place, least = min(free.items(), key=lambda one: one[1])
    if least < LEAST_MIB:
        raise Halt(
            Outcome.DISK_FULL,
            f"On {scene.target_name} {place} has {least} MiB left, and {LEAST_MIB} are asked for; nothing was begun.",
        )
    return f"{least} MiB are free on {place}."


def _without_api(scene: Scene) -> str:
    wants = scene.plan.start_stopped or scene.plan.protect != "none"
    if wants:
        scene.notes.append(f"Proxmox VE could not be asked about guest {scene.job.vmid}: {scene.no_ward}")
    raise Skip(f"Proxmox VE cannot be asked: {scene.no_ward}")


def _await_free(scene: Scene, ward: Ward) -> None:
    """Wait until no backup, migration or snapshot is at work on the guest, for a bounded time. Raises Halt."""
    until = scene.pace.tick() + BUSY
    while True:
        try:
            power.await_idle(ward.api, ward.find(), 0, pace=scene.pace)
        except GuestLocked as busy:
            if scene.pace.tick() >= until:
                sentence = f"{busy.message} It was waited for {BUSY:.0f} s, and nothing was begun."
                raise Halt(Outcome.BLOCKED, sentence) from busy
            scene.wait(5)
        else:
            return


def _host(scene: Scene) -> str:
    """See that a node is no minority of its cluster, whose configuration cannot be written. Raises Halt, Skip."""
    if scene.job.dry_run or scene.node_api is None:
        raise Skip("The host is always here and runs.")
    try:
        check_quorum(scene.node_api)
    except ProxmoxError as wrong:  # its own packages may be the cure of an API that does not answer
        scene.notes.append(f"Whether the cluster has quorum is not known: {wrong.message}")
        raise Skip("The host runs, and Proxmox VE does not answer.") from wrong
    return "The host runs, and its cluster has quorum if it is in one."


def check_quorum(api: Api) -> None:
    """See that the cluster can change something. Raises Halt; a token that may not look is no reason to stop."""
    try:
        rows: list[dict[str, Any]] = api.get("cluster/status")
    except ProxmoxForbidden:
        return
    if any(row.get("type") == "cluster" and not row.get("quorate") for row in rows):
        sentence = "The cluster has no quorum: nothing could be set back, started or configured; nothing was begun."
        raise Halt(Outcome.BLOCKED, sentence)


def why_no_snapshot(ward: Ward) -> str:
    """Return the mount points that are no volumes, which keep a container from being snapshotted, as a sentence."""
    try:
        conf: dict[str, Any] = ward.api.get(f"{ward.find().path}/config")
    except ProxmoxError:
        return ""
    bound = [key for key, value in sorted(conf.items()) if key.startswith("mp") and str(value).startswith("/")]
    return f" Bind mounts stand in the way: {', '.join(bound)}." if bound else ""


def _free(text: str) -> dict[str, int]:
    """Return MiB by mount point, as POSIX ``df -Pk`` tells them."""
    found = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) >= 6 and words[3].isdigit():
            found[words[5]] = int(words[3]) // 1024
    return found
