"""Removals of snapshots of ours, each carried out by a process of its own that may be followed by another.

``order.json`` holds the order; ``result.json`` what has become of each snapshot so far, and in the end what all of it
came to. To remove what is gone already is no error, so that a process that was killed is simply followed by the next.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from nanny_ops.errors import MachineError, ValidationFailed, VerbRefused
from nanny_ops.machine import carrier, kept_file
from nanny_ops.machine.prune_verbs import (
    ForgetPrune,
    LookPrune,
    PruneOrder,
    PrunePhase,
    PruneState,
    PruneVerb,
    StartPrune,
)
from nanny_ops.machine.run import Done
from nanny_ops.protocol import clock
from nanny_ops.protocol.prune import Removal

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: Processes that carry one removal out, at most, and seconds that each gets to begin.
TRIES, BEGINNING = 3, timedelta(seconds=60)

Launch = Callable[[Path, PruneOrder], Done]


def folder_of(jobs_dir: Path) -> Path:
    """Return where removals are kept: beside the jobs."""
    return jobs_dir.with_name("prunes")


def is_known(folder: Path, prune_id: str) -> bool:
    """Tell whether a removal was begun here and is not forgotten. Raises ValidationFailed."""
    return (_directory(folder, prune_id) / "order.json").exists()


def jobs_beside(directory: Path) -> Path:
    """Return the folder of the jobs beside a removal's own."""
    return directory.parent.with_name("jobs")


def launch(directory: Path, order: PruneOrder) -> Done:
    """Have it carried out outside this process."""
    name = f"nanny-prune-{order.prune_id}-{_tries(directory)}"  # whatever the id is, no other unit of ours is called so
    return carrier.outlive("nanny_ops.machine.pruner", directory, name, order.timeout_seconds)


def perform_prune(
    verb: PruneVerb, *, folder: Path, launch: Launch = launch, now: Callable[[], datetime] = clock.now
) -> PruneState:
    """Do what a verb asks and return where the removal stands; blocks. Raises VerbRefused, MachineError."""
    try:
        match verb:
            case StartPrune(order=order):
                return _start(folder, order, launch, now)
            case LookPrune(prune_id=prune_id):
                return _tend(folder, prune_id, launch, now)
            case ForgetPrune(prune_id=prune_id):
                return _forget(folder, prune_id, now)
    except ValidationFailed as wrong:
        raise VerbRefused(wrong.message) from wrong
    except OSError as wrong:
        raise MachineError(f"A removal's files cannot be used: {wrong.strerror}.") from wrong


def look(folder: Path, prune_id: str, now: datetime) -> PruneState:
    """Say where a removal stands. Raises ValidationFailed, MachineError, OSError."""
    directory = _directory(folder, prune_id)
    held = is_held(directory)  # before its result: who has let go has written that
    kept = _read(directory / "order.json")
    if kept is None:
        return PruneState(prune_id=prune_id)
    result = _read(directory / "result.json") or {}
    begun_at = str(kept["begun_at"])
    if result.get("outcome"):
        phase = PrunePhase.DONE
    else:
        phase = PrunePhase.RUNNING if held or not _is_over(directory, now) else PrunePhase.LOST
    return PruneState(
        prune_id=prune_id,
        phase=phase,
        outcome=str(result.get("outcome", "")),
        reason=str(result.get("reason", "")),
        removals=[Removal(**one) for one in result.get("removals", ())],
        begun_at=begun_at,
        claim=read_order(kept).claim,
    )


def under_way(folder: Path, now: datetime) -> list[PruneOrder]:
    """Return the removals that are being carried out."""
    if not folder.is_dir():
        return []
    found = []
    for directory in sorted(folder.iterdir()):
        try:
            if look(folder, directory.name, now).phase is PrunePhase.RUNNING:
                found.append(load(directory))
        except (MachineError, ValidationFailed):  # its files are damaged, and it does not come to an end here
            continue
    return found


def read_order(kept: Mapping[str, Any]) -> PruneOrder:
    """Return the order as it was written down. Raises MachineError."""
    try:
        return msgspec.convert(kept["order"], PruneOrder)
    except (msgspec.ValidationError, KeyError) as wrong:
        raise MachineError(f"The order of a removal is damaged: {wrong}") from wrong


def load(directory: Path) -> PruneOrder:
    """Read the order in a folder. Raises MachineError."""
    kept = _read(directory / "order.json")
    if kept is None:
        raise MachineError(f"There is no order in {directory}.")
    return read_order(kept)


def done_so_far(directory: Path) -> list[Removal]:
    """Return what another process has written down of the same order. Raises MachineError."""
    return [Removal(**one) for one in (_read(directory / "result.json") or {}).get("removals", ())]


def write_result(directory: Path, removals: list[Removal], outcome: str = "", reason: str = "") -> None:
    """Write down what has become of snapshots; an outcome says that this is all. Raises OSError."""
    told = {"outcome": outcome, "reason": reason, "removals": [asdict(one) for one in removals]}
    kept_file.replace(directory / "result.json", json.dumps(told).encode())


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[bool]:
    """Hold the lock of a removal, or yield False if another process does."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _seize(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def is_held(directory: Path) -> bool:
    """Tell whether a process carries a removal out."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _seize(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _start(folder: Path, order: PruneOrder, launch: Launch, now: Callable[[], datetime]) -> PruneState:
    directory = _directory(folder, order.prune_id)
    if not (directory / "order.json").exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {"order": asdict(order), "begun_at": clock.stamp(now())}
        kept_file.replace(directory / "order.json", json.dumps(kept).encode())
        kept_file.sync_folder(folder)
    return _tend(folder, order.prune_id, launch, now)


def _tend(folder: Path, prune_id: str, launch: Launch, now: Callable[[], datetime]) -> PruneState:
    """Say where a removal stands, and let another process take up one that nobody carries out."""
    directory, state = _directory(folder, prune_id), look(folder, prune_id, now())
    waits = state.phase is PrunePhase.LOST or (state.phase is PrunePhase.RUNNING and not _tries(directory))
    if not waits or _tries(directory) >= TRIES:
        return state
    _count(directory, now())
    done = launch(directory, load(directory))
    if done.exit_code != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise MachineError(f"The removal could not be begun (exit code {done.exit_code}): {' '.join(said)}")
    return look(folder, prune_id, now())


def _forget(folder: Path, prune_id: str, now: Callable[[], datetime]) -> PruneState:
    state = look(folder, prune_id, now())
    if state.phase is not PrunePhase.RUNNING:
        shutil.rmtree(_directory(folder, prune_id), ignore_errors=True)
        return PruneState(prune_id=prune_id)
    return state


def _is_over(directory: Path, now: datetime) -> bool:
    """Tell whether the last process that was started has had its time to begin."""
    launched = _read(directory / "launched.json")
    return launched is not None and not timedelta(0) <= now - clock.parse_stamp(launched["at"]) < BEGINNING


def _tries(directory: Path) -> int:
    launched = _read(directory / "launched.json")
    return 0 if launched is None else int(launched["tries"])


def _count(directory: Path, now: datetime) -> None:
    told = {"tries": _tries(directory) + 1, "at": clock.stamp(now)}
    kept_file.replace(directory / "launched.json", json.dumps(told).encode())


def _seize(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _directory(folder: Path, prune_id: str) -> Path:
    if not _ID.fullmatch(prune_id):
        raise ValidationFailed("A removal's id has 1 to 128 letters, digits, '_', '-' and '.'.")
    return folder / prune_id


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as wrong:
        raise MachineError(f"{path} is damaged: {wrong}") from wrong
    return found
