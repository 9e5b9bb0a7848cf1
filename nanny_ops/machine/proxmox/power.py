"""Start, stop, shut down and reboot a guest through the API, and follow each order to its true end.

A task that has ended well is not enough: what counts is how the guest is afterwards. A reboot of a locked guest, or in
a cluster without quorum, would shut it down and leave it stopped, so both are asked about first.
"""

from dataclasses import dataclass
from typing import Any, Literal

from nanny_ops.errors import (
    GuestLeftStopped,
    GuestLocked,
    GuestRunning,
    GuestStopped,
    NoQuorum,
    ProxmoxError,
    TaskFailed,
    TaskUnfinished,
)
from nanny_ops.machine.proxmox.task import PACE, Api, Pace, TaskEnd, Upid, follow

#: Seconds for a task beyond those that the guest itself is given.
MARGIN = 60.0
#: Seconds for a start; one after a rollback waits 45 s for the file system's multi-mount protection.
START = 180.0
#: Seconds that a guest gets to shut down.
SHUTDOWN = 120
#: Seconds by which two uptimes, told in whole seconds, may disagree with the clock.
ROUNDING = 2
#: Seconds between two looks at a guest that is busy.
PAUSE = 1.0


@dataclass(frozen=True)
class Guest:
    """One guest and the node that it is on."""

    node: str
    kind: Literal["lxc", "qemu"]
    vmid: int

    @property
    def path(self) -> str:
        """Return where the API knows it."""
        return f"nodes/{self.node}/{self.kind}/{self.vmid}"

    def __str__(self) -> str:
        """Return what a person calls it."""
        return f"{'container' if self.kind == 'lxc' else 'virtual machine'} {self.vmid} on {self.node}"


def current(api: Api, guest: Guest) -> dict[str, Any]:
    """Return what the guest does now: ``status``, ``lock`` where there is one, ``uptime`` in seconds ..."""
    status: dict[str, Any] = api.get(f"{guest.path}/status/current")
    return status


def start(api: Api, guest: Guest, *, seconds: float = START, pace: Pace = PACE) -> TaskEnd | None:
    """Start a guest and see it running; one that runs already stays as it is, and None is returned.

    Raises NoQuorum, GuestLocked, TaskFailed, TaskUnfinished and what the client raises.
    """
    try:
        end = follow(api, Upid.parse(api.post(f"{guest.path}/status/start")), seconds, pace=pace)
    except GuestRunning:
        return None
    _expect(api, guest, "running", end)
    return end


def stop(api: Api, guest: Guest, *, seconds: float = MARGIN, pace: Pace = PACE) -> TaskEnd | None:
    """Cut a guest's power and see it stopped; one that does not run stays so, and None is returned.

    Raises GuestLocked, TaskFailed, TaskUnfinished and what the client raises.
    """
    return _down(api, guest, "stop", {}, seconds, pace)


def shutdown(
    api: Api, guest: Guest, *, timeout: int = SHUTDOWN, force: bool = False, pace: Pace = PACE
) -> TaskEnd | None:
    """Ask a guest to end within ``timeout`` seconds, with ``force`` cut its power then; None where it did not run.

    Raises GuestLocked, TaskFailed (it did not end), TaskUnfinished and what the client raises.
    """
    return _down(api, guest, "shutdown", {"timeout": timeout, "forceStop": int(force)}, timeout + MARGIN, pace)


def reboot(api: Api, guest: Guest, *, timeout: int = SHUTDOWN, pace: Pace = PACE) -> TaskEnd:
    """Reboot a running guest and see it run anew; ``timeout`` seconds are what it gets to shut down.

    Raises GuestLocked, GuestStopped and NoQuorum before anything is done; GuestLeftStopped when it did not come back;
    TaskFailed (it did not shut down), TaskUnfinished and what the client raises.
    """
    ready(api, guest)
    before, began = current(api, guest).get("uptime", 0), pace.tick()
    try:
        upid = Upid.parse(api.post(f"{guest.path}/status/reboot", timeout=timeout))
        end = follow(api, upid, timeout + START, pace=pace)
    except TaskUnfinished:
        raise
    except ProxmoxError as wrong:
        if _stopped(api, guest):
            raise GuestLeftStopped(
                f"The {guest} was shut down and did not start again: {wrong.message}", **wrong.details
            ) from wrong
        raise
    after = _expect(api, guest, "running", end)
    if before > ROUNDING < after.get("uptime", 0) >= before + (pace.tick() - began) - ROUNDING:
        raise TaskFailed(f"The {guest} went on running; it was not rebooted.", log=end.log)
    return end


def ready(api: Api, guest: Guest) -> None:
    """See that a guest can be rebooted: it runs, nothing has locked it, and the cluster has quorum.

    Raises GuestStopped, GuestLocked, NoQuorum and what the client raises.
    """
    now = current(api, guest)
    if lock := now.get("lock"):
        raise GuestLocked(f"The {guest} is locked ({lock}); a reboot would leave it stopped.", lock=lock)
    if now.get("status") != "running":
        raise GuestStopped(f"The {guest} does not run.")
    for row in api.get("cluster/status"):
        if row.get("type") == "cluster" and not row.get("quorate"):
            raise NoQuorum(f"The cluster has no quorum; a reboot would leave the {guest} stopped.")


def await_idle(api: Api, guest: Guest, seconds: float, *, pace: Pace = PACE) -> None:
    """Wait until nothing is at work on a guest: no lock in its configuration and no task that still runs.

    A task may have ended while its lock is held on, and a rollback may have begun a start of its own. Raises
    GuestLocked after ``seconds``, and what the client raises.
    """
    until = pace.tick() + seconds
    while True:
        why = _busy(api, guest)
        if not why:
            return
        if pace.tick() >= until:
            raise GuestLocked(f"The {guest} is still busy after {seconds:.0f} s: {why}.")
        pace.sleep(PAUSE)


def _busy(api: Api, guest: Guest) -> str:
    if lock := current(api, guest).get("lock"):
        return f"it is locked ({lock})"
    active = api.get(f"nodes/{guest.node}/tasks", source="active", vmid=guest.vmid)
    running = [row for row in active or [] if "endtime" not in row and str(row.get("id")) == str(guest.vmid)]
    return f"the task {running[0].get('type')} runs" if running else ""


def _down(api: Api, guest: Guest, verb: str, parameters: dict[str, int], seconds: float, pace: Pace) -> TaskEnd | None:
    try:
        upid = Upid.parse(api.post(f"{guest.path}/status/{verb}", **parameters))
        end = follow(api, upid, seconds, pace=pace)
    except GuestStopped:
        return None
    _expect(api, guest, "stopped", end)
    return end


def _expect(api: Api, guest: Guest, wanted: str, end: TaskEnd) -> dict[str, Any]:
    now = current(api, guest)
    if now.get("status") != wanted:
        sentence = f"The task {end.upid.kind} ended well, but the {guest} is {now.get('status')}."
        raise TaskFailed(sentence, log=end.log)
    return now


def _stopped(api: Api, guest: Guest) -> bool:
    try:
        return current(api, guest).get("status") == "stopped"
    except ProxmoxError:
        return False  # how it is cannot be told; the first failure says more
