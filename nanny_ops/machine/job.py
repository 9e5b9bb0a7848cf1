"""Jobs that survive their agent: one directory each, whose files and lock tell where the job stands.

``order.json`` and ``script`` arrive together by one rename. A supervisor, a process of its own, holds a lock on
``lock`` all its life; ``started`` is made by its holder just before the script runs, ``session`` just after, and
``result.json`` by one rename before the lock is let go. ``cancel`` is a wish of the agent. Hence: a result means DONE;
a held lock means RUNNING, and so does a living session whose supervisor was killed, as nothing else may begin on its
target; a ``started`` without any of them means LOST; anything else was never begun and may safely be begun again.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from nanny_ops.errors import DiskFull, MachineError, ValidationFailed
from nanny_ops.machine import carrier as carriers
from nanny_ops.machine import forked, silence
from nanny_ops.machine.carrier import Carrier
from nanny_ops.machine.run import signal_session
from nanny_ops.machine.session import living
from nanny_ops.machine.target import choose
from nanny_ops.machine.verbs import JobPhase, JobResult, JobState, ScriptJob

#: Where jobs lie in the state directory of who begins them.
FOLDER = "jobs"
_JOB_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
#: Bytes kept aside so that a result can be written when the disk is full.
RESERVE = 65536
#: Exit code of a supervisor that found another one at work.
BUSY = 75
#: Seconds to wait for another supervisor of the same job that is just being started.
RIVAL = 5.0
#: Tries and seconds between them for the lock: someone who only looks holds it for microseconds.
LOCK_TRIES, LOCK_PAUSE = 50, 0.02
#: Supervisors that are begun for a job that has lost its own, at most.
TENDED = 3
#: Written by whoever begins to touch the target; see :mod:`nanny_ops.machine.procedure.journal`.
JOURNAL = "journal.ndjson"
#: Seconds after which a half-written directory belongs to nobody.
LEFTOVER = 3600.0

#: Starts a supervisor for a directory, with the seal of the order that is to be found there.
Launch = Callable[[Path, str], None]


def seal(job: ScriptJob) -> str:
    """Return the SHA-256 of an order as it is written down, which names the script's own SHA-256 and its signers."""
    return hashlib.sha256(_written(job)).hexdigest()


def launch(directory: Path, seal: str, *, carrier: Carrier | None = None) -> None:
    """Start a supervisor for a job and return when it holds the job's lock. Raises MachineError.

    It runs nothing but the order with this seal, whatever lies in the directory by then; with none it can only note
    that the job was cancelled.
    """
    done = (carrier or forked.carry)(directory, seal)
    if done.exit_code not in (0, BUSY) and not _is_cared_for(directory):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise MachineError(f"The supervisor of a job did not start (exit code {done.exit_code}): {' '.join(said)}")


def start(jobs_dir: Path, job: ScriptJob, *, launch: Launch = launch) -> JobState:
    """Begin a job outside this process, once however often it is asked for. Raises DiskFull, MachineError."""
    directory = _directory(jobs_dir, job.job_id)
    if look(jobs_dir, job.job_id).phase is JobPhase.READY and not _is_written(directory, job):
        forget(jobs_dir, job.job_id)  # never begun, and not what was verified this time
    if not directory.exists():
        _write_order(jobs_dir, directory, job)
    return _begin(jobs_dir, job.job_id, launch, seal(job))


def look(jobs_dir: Path, job_id: str) -> JobState:
    """Say where a job stands.

    The order of the three looks matters: who has seen ``started`` and then finds the lock free knows that its holder
    has ended, and if it ended well its result is there by now.
    """
    directory = _directory(jobs_dir, job_id)
    begun = (directory / "started").exists() or (directory / JOURNAL).exists()
    held = _is_held(directory)
    result = _read_result(directory)
    if not (directory / "order.json").exists():
        return JobState(job_id=job_id, phase=JobPhase.ABSENT)
    if result is not None:
        phase = JobPhase.DONE
    elif held or (begun and _orphan(directory) is not None):
        phase = JobPhase.RUNNING
    else:
        phase = JobPhase.LOST if begun else JobPhase.READY
    return JobState(
        job_id=job_id,
        phase=phase,
        stdout_path=str(directory / "stdout"),
        stderr_path=str(directory / "stderr"),
        result=result,
        claim=_claim(directory),
        remark=silence.read(directory) if phase is JobPhase.RUNNING else "",
    )


def is_orphaned(jobs_dir: Path, job_id: str) -> bool:
    """Tell whether a job's script goes on here although nobody supervises it."""
    directory = _directory(jobs_dir, job_id)
    return not _is_held(directory) and _read_result(directory) is None and _orphan(directory) is not None


def tend(jobs_dir: Path, job_id: str, *, launch: Launch = launch) -> JobState:
    """Say where a job stands, and where its supervisor was killed begin another that sees to what is left to do.

    It runs no script that was begun; it may find one again, and leaves the target as it was. Tried a few times.
    """
    directory = _directory(jobs_dir, job_id)
    state = look(jobs_dir, job_id)
    orphaned = state.phase is JobPhase.LOST or (state.phase is JobPhase.RUNNING and not _is_held(directory))
    if not orphaned or not _one_more_try(directory):
        return state
    with contextlib.suppress(MachineError):  # the job stays lost then, and is told so
        launch(directory, "")
    return look(jobs_dir, job_id)


def cancel(jobs_dir: Path, job_id: str, *, launch: Launch = launch) -> JobState:
    """Ask for a job's end; its supervisor sees to it and writes the result, also for one that was never begun."""
    directory = _directory(jobs_dir, job_id)
    if look(jobs_dir, job_id).phase in (JobPhase.READY, JobPhase.RUNNING):
        (directory / "cancel").touch()
        _end_orphan(directory, job_id)
    return _begin(jobs_dir, job_id, launch, "")


def forget(jobs_dir: Path, job_id: str) -> JobState:
    """Remove a job's directory, unless it is running."""
    directory = _directory(jobs_dir, job_id)
    state = look(jobs_dir, job_id)
    if state.phase in (JobPhase.RUNNING, JobPhase.ABSENT):
        return state
    grave = jobs_dir / f".old-{job_id[:64]}-{secrets.token_hex(4)}"
    directory.rename(grave)
    shutil.rmtree(grave, ignore_errors=True)
    return look(jobs_dir, job_id)


@contextlib.contextmanager
def supervised(directory: Path) -> Iterator[bool]:
    """Hold a job's lock, or yield False if another supervisor does. The lock is not inherited by programs."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _seize(descriptor)
    finally:
        os.close(descriptor)


def read_order(directory: Path) -> ScriptJob:
    """Read a job's order and script back, each once; whether they are what was written is for :func:`seal` to say."""
    values: dict[str, Any] = json.loads((directory / "order.json").read_bytes())
    hooks = ((values.get("plan") or {}).get("hooks")) or []
    for number, hook in enumerate(hooks):
        hook["script"] = (directory / f"hook-{number}").read_bytes()
    return msgspec.convert({**values, "script": (directory / "script").read_bytes()}, ScriptJob)


def write_result(directory: Path, result: JobResult) -> None:
    """Write a job's result for good; on a full disk without its packages and its report, which no longer fit."""
    (directory / "reserve").unlink(missing_ok=True)
    try:
        _place(directory, result)
    except OSError as wrong:
        if not _is_full(wrong):
            raise
        reason = "No space is left for the result."
        _place(directory, replace(result, outcome="disk_full", reason=reason, packages=[], report=None))


def target_of(directory: Path) -> int | None:
    """Return the guest that a job's order names; None is the host. Raises OSError, ValueError for a torn order."""
    found: int | None = json.loads((directory / "order.json").read_bytes())["vmid"]
    return found


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _directory(jobs_dir: Path, job_id: str) -> Path:
    if not _JOB_ID.fullmatch(job_id):
        raise ValidationFailed("A job's id has 1 to 128 letters, digits, '_', '-' and '.', and no leading dot.")
    return jobs_dir / job_id


def _orphan(directory: Path) -> int | None:
    """Return the session of a script that still runs, as far as it is known."""
    try:
        return living((directory / "session").read_text())
    except FileNotFoundError:
        return None


def _end_orphan(directory: Path, job_id: str) -> None:
    """End a script that has lost the supervisor which would have seen to it."""
    session = _orphan(directory)
    if session is None or _is_held(directory):
        return
    job = read_order(directory)
    if job.guest == "lxc":  # in a virtual machine the next supervisor ends it, which reaches the API
        choose(job.vmid, os.environ, carriers.errand()).halt(job_id)
    signal_session(session, signal.SIGTERM)


def _begin(jobs_dir: Path, job_id: str, launch: Launch, seal: str) -> JobState:
    state = look(jobs_dir, job_id)
    if state.phase is not JobPhase.READY:
        return state
    launch(jobs_dir / job_id, seal)
    return look(jobs_dir, job_id)


def _one_more_try(directory: Path) -> bool:
    """Count another supervisor for a job that has lost its own; False where enough have been tried."""
    path = directory / "tended"
    tries = path.stat().st_size if path.exists() else 0
    if tries >= TENDED:
        return False
    with contextlib.suppress(OSError), path.open("ab") as file:
        file.write(b".")
    return True


def _is_cared_for(directory: Path) -> bool:
    """Tell whether another supervisor has the job; two that begin at once cannot both have the unit's name."""
    ends = time.monotonic() + RIVAL
    while not _is_held(directory) and _read_result(directory) is None:
        if time.monotonic() > ends:
            return False
        time.sleep(LOCK_PAUSE)
    return True


def _write_order(jobs_dir: Path, directory: Path, job: ScriptJob) -> None:
    draft = jobs_dir / f".new-{job.job_id[:64]}-{secrets.token_hex(4)}"
    try:
        if not jobs_dir.exists():
            jobs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync(jobs_dir.parent)
        _sweep(jobs_dir)
        draft.mkdir(mode=0o700)
        hooks = job.plan.hooks if job.plan else []
        scripts = {"script": job.script} | {f"hook-{number}": hook.script for number, hook in enumerate(hooks)}
        _fill(draft, {**scripts, "order.json": _written(job), "reserve": bytes(RESERVE)})
        draft.rename(directory)
        sync(jobs_dir)
    except OSError as wrong:
        shutil.rmtree(draft, ignore_errors=True)
        if wrong.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return  # another call has just written the same job
        if _is_full(wrong):
            raise DiskFull("No space is left for a job's files.", path=str(jobs_dir)) from wrong
        raise MachineError(f"A job could not be written to {jobs_dir}: {wrong.strerror}.") from wrong


def _written(job: ScriptJob) -> bytes:
    """Return the order without its scripts, which lie beside it and are named by their SHA-256."""
    order = {key: value for key, value in asdict(job).items() if key != "script"}
    for hook in (order["plan"] or {}).get("hooks", []):
        del hook["script"]
    return json.dumps(order, sort_keys=True).encode()


def _claim(directory: Path) -> str:
    try:
        return str(json.loads((directory / "order.json").read_bytes()).get("claim", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _is_written(directory: Path, job: ScriptJob) -> bool:
    try:
        return (directory / "order.json").read_bytes() == _written(job)
    except OSError:
        return False


def _fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        sync(path)
    for name in ("stdout", "stderr", "lock"):
        (folder / name).touch(mode=0o600)
    sync(folder)


def _sweep(jobs_dir: Path) -> None:
    """Remove what a crash has left half written or half removed."""
    for pattern in (".new-*", ".old-*"):
        for leftover in jobs_dir.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > LEFTOVER:
                    shutil.rmtree(leftover, ignore_errors=True)


def _seize(descriptor: int) -> bool:
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE)
        else:
            return True
    return False


def _is_held(directory: Path) -> bool:
    """Try the lock in shared mode, so that two who look do not take each other for a supervisor."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _read_result(directory: Path) -> JobResult | None:
    try:
        return msgspec.json.decode((directory / "result.json").read_bytes(), type=JobResult)
    except FileNotFoundError:
        return None


def _place(directory: Path, result: JobResult) -> None:
    draft = directory / "result.new"
    with draft.open("w") as file:
        json.dump(asdict(result), file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(directory / "result.json")
    sync(directory)


def _is_full(wrong: OSError) -> bool:
    return wrong.errno in (errno.ENOSPC, errno.EDQUOT)
