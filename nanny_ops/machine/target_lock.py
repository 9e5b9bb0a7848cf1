"""Locks on targets: held by the process that is at work on one, for as long as it is, whoever began it.

They lie beside the jobs folder. ``machine.lock`` is held by all together, and by a reboot of the host alone;
``host.lock`` and one for each guest have one holder, which writes its order's id into it. The kernel lets go of them
when their holder ends, however that happens; programs that it starts do not inherit them.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from nanny_ops.errors import VerbRefused
from nanny_ops.protocol.operation import Outcome

MACHINE, HOST = "machine", "host"
#: Tries and seconds between them: someone who only looks holds a lock for microseconds.
TRIES, PAUSE = 50, 0.02
#: Bytes of a holder's name that are read.
CAP = 256


def folder_of(jobs_dir: Path) -> Path:
    """Return where the locks of the targets of a folder of jobs lie: beside it."""
    return jobs_dir.with_name("targets")


@contextlib.contextmanager
def for_job(jobs_dir: Path, job_id: str, vmid: int | None) -> Iterator[None]:
    """Hold a job's target. Raises VerbRefused with the holder's name where another process does, OSError."""
    with _held(jobs_dir, MACHINE, job_id, shared=True), _held(jobs_dir, _name(vmid), job_id):
        yield


@contextlib.contextmanager
def for_reboot(jobs_dir: Path, reboot_id: str, vmid: int | None) -> Iterator[None]:
    """Hold the target of a reboot, of the host everything. Raises VerbRefused as above, OSError."""
    if vmid is None:
        with _held(jobs_dir, MACHINE, reboot_id):
            yield
    else:
        with for_job(jobs_dir, reboot_id, vmid):
            yield


def _name(vmid: int | None) -> str:
    return HOST if vmid is None else str(vmid)


@contextlib.contextmanager
def _held(jobs_dir: Path, name: str, order_id: str, *, shared: bool = False) -> Iterator[None]:
    folder = folder_of(jobs_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if not _seize(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            raise _refusal(folder, name)
        if not shared:
            with contextlib.suppress(OSError):  # on a full disk it is held without a name
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, order_id.encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _seize(descriptor: int, how: int) -> bool:
    for _ in range(TRIES):
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE)
        else:
            return True
    return False


def _refusal(folder: Path, name: str) -> VerbRefused:
    found = holders(folder)
    what = {MACHINE: "this machine", HOST: "the host"}.get(name, f"guest {name}")
    who = found.get(name) or ", ".join(sorted(set(found.values()))) or "another order"
    return VerbRefused(f"{who} is at work on {what}; there is one at a time.", outcome=Outcome.BLOCKED.value)


def holders(folder: Path) -> dict[str, str]:
    """Return which order holds which target; one that has only just taken it may still be without a name."""
    found = {path.stem: _holder(path) for path in sorted(folder.glob("*.lock"))}
    return {name: holder for name, holder in found.items() if holder}


def _holder(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, CAP, 0).decode("utf-8", "replace")
    else:
        return ""
    finally:
        os.close(descriptor)
