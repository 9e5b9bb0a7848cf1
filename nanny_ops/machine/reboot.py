"""Reboots of this host and its guests, each begun once, and what tells later whether the target began anew.

``order.json`` holds the order and the target's mark of before; a process of its own makes ``started`` and then asks the
target to reboot; ``result.json`` is what became of asking. Files are on the disk before anything goes down.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from nanny_ops.errors import MachineError, ValidationFailed, VerbRefused
from nanny_ops.machine import carrier, kept_file, life
from nanny_ops.machine.run import Done
from nanny_ops.machine.verbs import ForgetReboot, LookReboot, RebootOrder, RebootState, RebootVerb, StartReboot
from nanny_ops.protocol import clock

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: Seconds of an order's time that are left for the start after the shutdown, and the least for the shutdown.
START_UP, SHUT_DOWN = 60, 20
#: Letters of a reason that others are shown.
SHOWN = 200

Launch = Callable[[Path, RebootOrder], Done]
Mark = Callable[[str, int | None], str]


def folder_of(jobs_dir: Path) -> Path:
    """Return where reboots are kept: beside the jobs."""
    return jobs_dir.with_name("reboots")


def argv(order: RebootOrder) -> list[str]:
    """Return what asks a target to reboot; a guest that does not shut down in time is not ended by force."""
    if order.kind == life.HOST:
        return ["systemctl", "reboot", f"--message=nanny-ops: {_shown(order)}"]
    shut_down = max(SHUT_DOWN, order.timeout_seconds - START_UP)
    return ["pct" if order.kind == life.LXC else "qm", "reboot", str(order.vmid), "--timeout", str(shut_down)]


def launch(directory: Path, order: RebootOrder) -> Done:
    """Have the target asked outside this process, which may go down with it."""
    name = f"nanny-reboot-{order.reboot_id}"  # whatever the id is, no other unit of ours is called so
    return carrier.outlive("nanny_ops.machine.rebooter", directory, name, order.timeout_seconds)


def mark_here(kind: str, vmid: int | None) -> str:
    """Return the mark of a target of this machine. Raises VerbRefused, MachineError."""
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    return life.mark(kind, vmid, run=carrier.errand(), environ=environ)


def perform_reboot(
    verb: RebootVerb,
    *,
    folder: Path,
    mark: Mark = mark_here,
    launch: Launch = launch,
    now: Callable[[], datetime] = clock.now,
) -> RebootState:
    """Do what a verb asks and return where the reboot stands; blocks. Raises VerbRefused, MachineError."""
    try:
        match verb:
            case StartReboot(order=order):
                return _start(folder, order, mark, launch, now)
            case LookReboot(reboot_id=reboot_id):
                return look(folder, reboot_id, mark)
            case ForgetReboot(reboot_id=reboot_id):
                shutil.rmtree(_directory(folder, reboot_id), ignore_errors=True)
                return RebootState(reboot_id=reboot_id)
    except ValidationFailed as wrong:
        raise VerbRefused(wrong.message) from wrong
    except OSError as wrong:
        raise MachineError(f"A reboot's files cannot be used: {wrong.strerror}.") from wrong


def look(folder: Path, reboot_id: str, mark: Mark = mark_here) -> RebootState:
    """Say where a reboot stands; a guest is looked at only once asking it has ended."""
    directory = _directory(folder, reboot_id)
    kept = _read(directory / "order.json")
    if kept is None:
        return RebootState(reboot_id=reboot_id)
    order, result = read_order(kept), _read(directory / "result.json")
    begun = (directory / "started").exists()
    found = ""
    if begun and (order.kind == life.HOST or result is not None):
        with contextlib.suppress(MachineError):  # as long as it is down nothing can be said
            found = mark(order.kind, order.vmid)
    return RebootState(
        reboot_id=reboot_id,
        begun=begun,
        kind=order.kind,
        before=str(kept["before"]),
        now=found,
        begun_at=str(kept["begun_at"]),
        timeout_seconds=order.timeout_seconds,
        asked=result is not None,
        problem=str(result["problem"]) if result else "",
        claim=order.claim,
    )


def open_reboots(folder: Path) -> list[RebootOrder]:
    """Return the reboots that were begun and not forgotten."""
    if not folder.is_dir():
        return []
    begun = [one for one in folder.iterdir() if (one / "started").exists()]
    return [read_order(kept) for one in begun if (kept := _read(one / "order.json")) is not None]


def read_order(kept: Mapping[str, Any]) -> RebootOrder:
    """Return the order as it was written down."""
    return RebootOrder(**kept["order"])


def _start(folder: Path, order: RebootOrder, mark: Mark, launch: Launch, now: Callable[[], datetime]) -> RebootState:
    directory = _directory(folder, order.reboot_id)
    if not (directory / "started").exists():
        kept = {"order": asdict(order), "before": mark(order.kind, order.vmid), "begun_at": clock.stamp(now())}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / "result.json").unlink(missing_ok=True)  # of a time when something was in the way
        kept_file.replace(directory / "order.json", json.dumps(kept).encode())
        kept_file.sync_folder(folder)
        done = launch(directory, order)
        if done.exit_code != 0 and not (directory / "started").exists():
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise MachineError(f"The reboot could not be begun (exit code {done.exit_code}): {' '.join(said)}")
    return look(folder, order.reboot_id, mark)


def _directory(folder: Path, reboot_id: str) -> Path:
    if not _ID.fullmatch(reboot_id):
        raise ValidationFailed("A reboot's id has 1 to 128 letters, digits, '_', '-' and '.'.")
    return folder / reboot_id


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as wrong:
        raise MachineError(f"{path} is damaged: {wrong}") from wrong
    return found


def _shown(order: RebootOrder) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in order.reason)
    return f"{text[:SHOWN] or 'no reason was given'} ({order.reboot_id})"
