"""Whether something is at work on a target already: one job at a time, and none beside a reboot of what it runs on.

Who only looks counts whatever is supervised. Who holds the target's lock counts only what goes on without one, as a
script that has lost its supervisor: else two that begin in the same instant would each give way to the other.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine import job, prune, reboot
from nanny_ops.machine.prune_verbs import PruneOrder
from nanny_ops.machine.verbs import JobPhase, RebootOrder, ScriptJob
from nanny_ops.protocol import clock
from nanny_ops.protocol.operation import Outcome

Now = Callable[[], datetime]
#: Finds the jobs at work below a folder, each with its target.
Find = Callable[[Path], list[tuple[str, int | None]]]


def running(jobs_dir: Path) -> list[tuple[str, int | None]]:
    """Return the jobs that run, from their first step on: a backup or a hook is work, too."""
    return _found(jobs_dir, lambda name: job.look(jobs_dir, name).phase is JobPhase.RUNNING)


def orphans(jobs_dir: Path) -> list[tuple[str, int | None]]:
    """Return the jobs whose script goes on here although its supervisor was killed."""
    return _found(jobs_dir, lambda name: job.is_orphaned(jobs_dir, name))


def demand_for_job(jobs_dir: Path, order: ScriptJob, now: Now = clock.now, find: Find = running) -> None:
    """Raise VerbRefused while another job runs on a job's target, or the target or its host reboots."""
    for other, vmid in find(jobs_dir):
        if other != order.job_id and vmid == order.vmid:
            raise _refusal(f"The job {other} runs on {_name(vmid)}; there is one at a time.")
    _demand_no_reboot(jobs_dir, order.vmid, now())
    looks = find is running  # a removal holds the target's lock, too
    for removal in prune.under_way(prune.folder_of(jobs_dir), now()) if looks else ():
        if removal.vmid == order.vmid:
            raise _refusal(f"Snapshots of {_name(order.vmid)} are removed, by the order {removal.prune_id}.")


def demand_for_prune(jobs_dir: Path, order: PruneOrder, now: Now = clock.now) -> None:
    """Raise VerbRefused while a job of the guest is not over, which may set it back, or while it reboots."""
    for other, vmid in unfinished(jobs_dir):
        if vmid == order.vmid:
            raise _refusal(f"The job {other} of {_name(vmid)} is not over; it may set it back to a snapshot.")
    _demand_no_reboot(jobs_dir, order.vmid, now())


def demand_for_reboot(jobs_dir: Path, order: RebootOrder, now: Now = clock.now, find: Find = running) -> None:
    """Raise VerbRefused while a job runs that a reboot would end, or another reboot is under way there."""
    for other, vmid in find(jobs_dir):
        if order.vmid in (None, vmid):
            raise _refusal(f"The job {other} runs on {_name(vmid)}; a reboot would end it.")
    for one in under_way(reboot.folder_of(jobs_dir), now()):
        if one.reboot_id != order.reboot_id and (one.vmid is None or order.vmid in (None, one.vmid)):
            raise _refusal(f"{_name(one.vmid).capitalize()} reboots already, by the order {one.reboot_id}.")


def see_to_lost(jobs_dir: Path, order: ScriptJob, tend: Callable[[Path, str], object] = job.tend) -> None:
    """See to jobs of the same target that lost their supervisor: in a guest their scripts may still be at work."""
    for other, vmid in _found(jobs_dir, lambda name: job.look(jobs_dir, name).phase is JobPhase.LOST):
        if other != order.job_id and vmid == order.vmid:
            tend(jobs_dir, other)


def unfinished(jobs_dir: Path) -> list[tuple[str, int | None]]:
    """Return the jobs that run, are about to, or have lost their supervisor and may get another, with their targets."""
    phases = (JobPhase.RUNNING, JobPhase.READY, JobPhase.LOST)
    return _found(jobs_dir, lambda name: job.look(jobs_dir, name).phase in phases)


def under_way(folder: Path, now: datetime) -> list[RebootOrder]:
    """Return the reboots that were begun, are not proved, and whose time is not over."""
    found = []
    for order in reboot.open_reboots(folder):
        try:
            state = reboot.look(folder, order.reboot_id, _only_hosts)
        except MachineError:  # its files are damaged, and it does not come to an end here
            continue
        ends = clock.parse_stamp(state.begun_at) + timedelta(seconds=state.timeout_seconds)
        if not state.proved and not state.problem and now < ends:
            found.append(order)
    return found


def _found(jobs_dir: Path, chosen: Callable[[str], bool]) -> list[tuple[str, int | None]]:
    if not jobs_dir.is_dir():
        return []
    folders = [one for one in sorted(jobs_dir.iterdir()) if not one.name.startswith(".")]
    still = [one for one in folders if not (one / "result.json").exists()]  # most are over, and this is cheap
    return [(one.name, job.target_of(one)) for one in still if chosen(one.name)]


def _demand_no_reboot(jobs_dir: Path, vmid: int | None, now: datetime) -> None:
    for one in under_way(reboot.folder_of(jobs_dir), now):
        if one.vmid in (None, vmid):
            raise _refusal(f"{_name(one.vmid).capitalize()} reboots, by the order {one.reboot_id}.")


def _only_hosts(kind: str, vmid: int | None) -> str:
    """Return the host's mark alone: a guest is not looked at just to learn whether it may be touched."""
    return reboot.mark_here(kind, vmid) if vmid is None else ""


def _name(vmid: int | None) -> str:
    return "the host" if vmid is None else f"guest {vmid}"


def _refusal(sentence: str) -> VerbRefused:
    return VerbRefused(sentence, outcome=Outcome.BLOCKED.value)
