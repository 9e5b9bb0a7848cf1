"""Snapshots of guests, under names that show whose they are; other people's are never touched."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nanny_ops.errors import ProxmoxError, SnapshotImpossible, TaskFailed, ValidationFailed
from nanny_ops.machine.proxmox.power import Guest, await_idle, start
from nanny_ops.machine.proxmox.task import PACE, Api, Pace, TaskEnd, Upid, follow
from nanny_ops.protocol.snapshot import PREFIX

#: Seconds for the task, and for the guest's locks to be gone after it.
SECONDS = 300.0
IDLE = 120.0
#: Characters of a name and of a description that Proxmox VE takes.
LONGEST_NAME, LONGEST_DESCRIPTION = 40, 8192
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,39}")
_MISSING = re.compile(r"snapshot '[^']*' does not exist")


@dataclass(frozen=True)
class Snapshot:
    """One snapshot; ``made`` in seconds of the epoch."""

    name: str
    made: int
    description: str = ""
    parent: str = ""
    #: The task that made it; known to whoever has just had it made.
    upid: str = ""

    @property
    def own(self) -> bool:
        """Return whether we made it, as far as its name tells."""
        return self.name.startswith(PREFIX)


def possible(api: Api, guest: Guest) -> bool:
    """Ask whether all storages of a guest can make snapshots; a task that tries would only fail."""
    answer = api.get(f"{guest.path}/feature", feature="snapshot")
    return bool(answer and answer.get("hasFeature"))


def listing(api: Api, guest: Guest) -> list[Snapshot]:
    """Return a guest's snapshots, oldest first, without the entry that stands for the present."""
    rows: list[dict[str, Any]] = api.get(f"{guest.path}/snapshot") or []
    found = [
        Snapshot(str(row["name"]), int(row["snaptime"]), str(row.get("description", "")), str(row.get("parent", "")))
        for row in rows
        if "snaptime" in row
    ]
    return sorted(found, key=lambda snapshot: (snapshot.made, snapshot.name))


def create(
    api: Api, guest: Guest, purpose: str, description: str = "", *, seconds: float = SECONDS, pace: Pace = PACE
) -> Snapshot:
    """Make a snapshot named after a purpose, without the memory's content, and return it when the guest is free again.

    Raises SnapshotImpossible before anything is begun; ValidationFailed, GuestLocked, NoQuorum, TaskFailed,
    TaskUnfinished and what the client raises.
    """
    name = name_for(purpose)
    if not possible(api, guest):
        raise SnapshotImpossible(f"A storage of {guest} cannot make snapshots.")
    told = {"snapname": name, "description": description[:LONGEST_DESCRIPTION]}
    end = _conduct(api, guest, lambda: api.post(f"{guest.path}/snapshot", **told), seconds, pace)
    made = next((snapshot for snapshot in listing(api, guest) if snapshot.name == name), None)
    if made is None:
        raise TaskFailed(f"The task ended well, but {guest} has no snapshot {name}.", upid=end.upid)
    return replace(made, upid=end.upid.text)


def rollback(
    api: Api, guest: Guest, name: str, *, run_after: bool, seconds: float = SECONDS, pace: Pace = PACE
) -> None:
    """Set a guest back to one of our snapshots, and start it with ``run_after``; what it did since is lost.

    The start is an order of its own: one that the rollback begins by itself ends well at once and goes on unseen.
    Raises as :func:`create` and as the start does.
    """
    _own(name)
    _conduct(api, guest, lambda: api.post(f"{guest.path}/snapshot/{name}/rollback"), seconds, pace)
    if run_after:
        start(api, guest, pace=pace)
        await_idle(api, guest, IDLE, pace=pace)


def delete(api: Api, guest: Guest, name: str, *, seconds: float = SECONDS, pace: Pace = PACE) -> str:
    """Remove one of our snapshots and return the task's UPID, empty where it was gone already.

    Raises as :func:`create`.
    """
    _own(name)
    try:
        end = _conduct(api, guest, lambda: api.delete(f"{guest.path}/snapshot/{name}"), seconds, pace)
    except ProxmoxError as wrong:
        text = str(wrong.details.get("exit_status", wrong.details.get("reason", "")))
        if not _MISSING.search(text):
            raise
        return ""
    return end.upid.text


def name_for(purpose: str) -> str:
    """Return a name of ours. Raises ValidationFailed for one that Proxmox VE would not take."""
    name = f"{PREFIX}{purpose}"
    if not purpose or _NAME.fullmatch(name) is None:
        most = LONGEST_NAME - len(PREFIX)
        raise ValidationFailed(f"A snapshot's purpose has 1 to {most} letters, digits, '_' and '-'.", field="purpose")
    return name


def _own(name: str) -> None:
    if _NAME.fullmatch(name) is None or not name.startswith(PREFIX):
        raise ValidationFailed(f"'{name}' is no snapshot of ours; their names begin with {PREFIX}.", field="name")


def _conduct(api: Api, guest: Guest, order: Callable[[], Any], seconds: float, pace: Pace) -> TaskEnd:
    """Give an order when the guest is free, follow its task, and wait until the guest is free again."""
    await_idle(api, guest, IDLE, pace=pace)
    end = follow(api, Upid.parse(order()), seconds, pace=pace)
    await_idle(api, guest, IDLE, pace=pace)
    return end
