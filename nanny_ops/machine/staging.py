"""Make a release ready beside the running version: checked before anything is unpacked, whole or not there at all."""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine import signature, trial
from nanny_ops.machine.archive import unpack
from nanny_ops.machine.kept_file import sync_folder
from nanny_ops.machine.run import run
from nanny_ops.machine.update_verbs import StageUpdate, TryUpdate, UpdatePhase, UpdateTried
from nanny_ops.machine.verbs import SignatureCheck, VerifySignature
from nanny_ops.machine.versions import NOTE, Run, Versions, found, write
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.release import ARCHIVE_CAP, MANIFEST, REQUIREMENTS, WHEELS, is_version, read_manifest
from nanny_ops.protocol.signature import KEY_SIZE, SIGNATURE_SIZE, decode, release_message

#: Free bytes that must be there beyond five times the archive: wheels grow when they are unpacked.
RESERVE, GROWTH = 64 * 2**20, 5
#: Seconds for one program of the installation.
DEADLINE = 900.0
PIECE = 2**20
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
#: pip as the archive carries it, and what it is told: nothing from anywhere else, nothing without its hash.
PIP = "pip.whl/pip"
PIP_WORDS = (
    "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-index",
    "--require-hashes",
)  # fmt: skip
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FULL = (errno.ENOSPC, errno.EDQUOT)


def stage(
    order: StageUpdate,
    versions: Versions,
    *,
    run: Run = run,
    verify: Callable[[VerifySignature], SignatureCheck] = signature.verify,
    python: str = sys.executable,
    processes: Path = Path("/proc"),
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    uid: int | None = None,
) -> str:
    """Install a release and return its version's name; one that is installed already is left as it is.

    With a ``uid`` only that user's archive is taken.
    Raises VerbRefused with the order's outcome, MachineError where it may be asked again later.
    """
    if not is_version(order.version) or not _SHA256.fullmatch(order.sha256):
        raise refusal("The release's version or SHA-256 is malformed.", Outcome.REFUSED)
    with alone(versions):  # a switch in between would leave no way back
        if trial.look(versions).phase is UpdatePhase.TRIAL:
            raise MachineError("A version is on trial; another one has to wait.")
        known = versions.installed().get(order.sha256)
        if known is not None:
            return known
        name = f"{order.version}-{order.sha256[:8]}"
        work = versions.prefix / ".staging"
        shutil.rmtree(work, ignore_errors=True)
        try:
            work.mkdir(mode=0o700)
            _take(order, work / "archive", free(versions.prefix), uid)
            check_signatures(order, verify)
            _install(order, versions, name, work, run, python, processes)
        except OSError as wrong:
            outcome = Outcome.DISK_FULL if wrong.errno in _FULL else Outcome.UPDATE_FAILED
            raise refusal(f"The release cannot be installed: {wrong}", outcome) from wrong
        finally:
            shutil.rmtree(work, ignore_errors=True)
            if not (versions.home(name) / NOTE).exists():
                shutil.rmtree(versions.home(name), ignore_errors=True)
        return name


def rehearse(order: TryUpdate, find: Callable[[], Versions | None] = found, run: Run = run) -> UpdateTried:
    """Let a staged version try itself in this process's surroundings. Raises MachineError."""
    versions = find()
    if versions is None or order.version not in versions.installed().values():
        raise MachineError(f"There is no version {order.version[:64]} to try.")
    program = str(versions.home(order.version) / "bin/nanny-agent")
    done = run([program, "self-test", *order.words], timeout=DEADLINE, cwd="/", cap=2**16)
    if done.exit_code == 0:
        return UpdateTried()
    said = (done.stderr or done.stdout).decode(errors="replace").strip()[-500:]
    return UpdateTried(problem=said or f"It ended with {done.exit_code}.")


def check_signatures(order: StageUpdate, verify: Callable[[VerifySignature], SignatureCheck]) -> None:
    """Count the signatures that hold. Raises VerbRefused."""
    message, good = release_message(order.release_id, order.sha256), set[str]()
    for one in order.signatures:
        key = decode(one.public_key, KEY_SIZE, "public_key")
        made = decode(one.signature, SIGNATURE_SIZE, "signature")
        if verify(VerifySignature(public_key=key, message=message, signature=made)).valid:
            good.add(one.public_key)
    if len(good) < order.threshold:
        sentence = f"{len(good)} of {order.threshold} keys have signed this release; it was not installed."
        raise refusal(sentence, Outcome.SIGNATURE_INVALID)


def refusal(sentence: str, outcome: Outcome = Outcome.UPDATE_FAILED) -> VerbRefused:
    """Return the error for a release that is not installed."""
    return VerbRefused(sentence, outcome=outcome.value)


def _take(order: StageUpdate, target: Path, free: int, uid: int | None) -> None:
    """Copy the archive to where nobody else writes, and check the copy."""
    descriptor = os.open(order.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    checksum = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as source, target.open("xb") as copy:
        about = os.fstat(descriptor)
        size = about.st_size
        if not stat.S_ISREG(about.st_mode) or uid not in (None, about.st_uid):
            raise refusal("The archive is no plain file of the agent's user.", Outcome.REFUSED)
        if size > ARCHIVE_CAP:
            raise refusal(f"An archive of {size} bytes is too large.")
        if free < size * (GROWTH + 1) + RESERVE:
            sentence = f"{free // 2**20} MiB are free where versions lie, which is too little for two versions."
            raise refusal(sentence, Outcome.DISK_FULL)
        left = ARCHIVE_CAP
        while left > 0 and (piece := source.read(PIECE)):
            left -= len(piece)
            checksum.update(piece)
            copy.write(piece)
    if checksum.hexdigest() != order.sha256:
        raise refusal("The archive is not the one whose SHA-256 was ordered.", Outcome.CHECKSUM_MISMATCH)


def _install(
    order: StageUpdate, versions: Versions, name: str, work: Path, run: Run, python: str, processes: Path
) -> None:
    tree, home = work / "tree", versions.home(name)
    unpack(work / "archive", tree)
    version = read_manifest((tree / MANIFEST).read_bytes())
    if version != order.version:
        raise refusal(f"The archive holds version {version}, and {order.version} was ordered.")
    keep = {versions.current, name}
    _unused(versions, keep, processes)
    versions.prune(keep)
    shutil.rmtree(home, ignore_errors=True)
    words = ["--find-links", str(tree / WHEELS), "--requirement", str(tree / REQUIREMENTS)]
    _run(run, [python, "-I", "-m", "venv", "--without-pip", str(home)], versions)
    _run(run, [str(home / "bin/python"), "-I", str(tree / PIP), *PIP_WORDS, *words], versions)
    said = _run(run, [str(home / "bin/nanny-agent"), "--version"], versions)
    if said.split()[-1:] != [version]:
        raise refusal(f"What was installed calls itself {said!r}, not version {version}.")
    for path in (versions.home(name), home.parent):
        path.chmod(0o755)
    shutil.copyfile(tree / MANIFEST, home / MANIFEST)
    write(home / NOTE, json.dumps({"release_id": order.release_id, "version": version, "sha256": order.sha256}) + "\n")
    sync_folder(home)


def _run(run: Run, argv: list[str], versions: Versions) -> str:
    done = run(argv, timeout=DEADLINE, env=ENVIRONMENT, cwd="/", cap=2**16)
    if done.exit_code == 0:
        return done.stdout.decode(errors="replace").strip()
    said = (done.stderr or done.stdout).decode(errors="replace").strip()
    full = "No space left" in said or shutil.disk_usage(versions.prefix).free < PIECE
    told = "took too long" if done.timed_out else f"ended with {done.exit_code}: {said[-500:]}"
    raise refusal(f"{Path(argv[0]).name} {told}", Outcome.DISK_FULL if full else Outcome.UPDATE_FAILED)


def _unused(versions: Versions, keep: set[str], processes: Path) -> None:
    """Raise MachineError while something, such as a job, still runs from a version that would be removed."""
    gone = [path.name for path in (versions.prefix / "versions").iterdir() if path.name not in keep]
    marks = [f"{versions.home(name)}/".encode() for name in gone]
    for file in processes.glob("[0-9]*/cmdline") if marks else ():
        try:
            line = file.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if any(mark in line for mark in marks):
            raise MachineError(f"Process {file.parent.name} still runs from a version that must make room.")


@contextmanager
def alone(versions: Versions) -> Iterator[None]:
    """Keep what changes versions from each other. Raises MachineError while another process is at it."""
    with (versions.prefix / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as wrong:
            raise MachineError("Another release is being made ready.") from wrong
        yield
