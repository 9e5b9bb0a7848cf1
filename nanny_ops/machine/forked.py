"""Have a job's supervisor forked by a process that has read all its code, instead of paying for a Python each time.

:mod:`nanny_ops.machine.fork_server` is that process. The first job that wants one begins it; it listens in a folder
that only its user may enter, and the name of its socket tells of which code it is. Where systemd carries jobs, those of
guests share its unit, as what they do there counts for the guest; a job of the host has a unit of its own.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import nanny_ops
from nanny_ops.machine import carrier as carriers
from nanny_ops.machine.carrier import LAUNCH, Carrier
from nanny_ops.machine.run import Done

#: Seconds for an answer, which waits for the job's lock.
ANSWER = 20.0
#: Where the server of a folder of jobs listens: beside it.
FOLDER = "supervisors"
#: Seconds between two looks whether somebody else has begun a server by now.
PAUSE = 0.05


def carry(directory: Path, seal: str, carrier: Carrier | None = None) -> Done:
    """Start a job's supervisor, forked where that can be; else as the machine's carrier does. Raises ProgramMissing.

    Asking twice is safe: a supervisor that finds the job's lock held gives way.
    """
    chosen = carrier or carriers.choose()
    if chosen is carriers.transient and not _is_of_guest(directory):
        return chosen(directory, seal)
    in_unit, folder = chosen is carriers.transient, directory.parent.with_name(FOLDER)
    environ = carriers.unit_environment() if in_unit else carriers.own_environment()
    code = ask(folder, directory, seal, environ)
    if code is None and _begin(folder, in_unit=in_unit):
        code = ask(folder, directory, seal, environ)
    return chosen(directory, seal) if code is None else Done(argv=(), exit_code=code, stdout=b"", stderr=b"")


def ask(folder: Path, directory: Path, seal: str, environ: Mapping[str, str]) -> int | None:
    """Have a job's supervisor forked; return its exit code for who begins it, None where no server answers."""
    request = json.dumps({"directory": str(directory), "seal": seal, "environ": dict(environ)}).encode()
    try:
        with inside(folder) as place, socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(ANSWER)
            wire.connect(f"{place}/{name()}")
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
            said = wire.recv(16)
    except OSError:  # none listens, or it has just ended; the caller has another way
        return None
    return int(said) if said.isdigit() else None


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[str]:
    """Yield a short name of a folder that is ours alone: a socket's path has 107 bytes at most. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(f"{folder} is open to others")
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def name() -> str:
    """Return the name of a server's socket, another one for each version and place of the code."""
    code = "\0".join((nanny_ops.__version__, nanny_ops.__file__, sys.executable))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def _begin(folder: Path, *, in_unit: bool) -> bool:
    """Begin a server, or see that somebody else has; tell whether one listens."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with inside(folder) as place, (Path(place) / "begin.lock").open("w") as lock:
            if not _seize(lock.fileno()):
                return False
            return _listens(place) or carriers.fork_server(folder, in_unit=in_unit).exit_code == 0
    except OSError:
        return False


def _seize(descriptor: int) -> bool:
    until = time.monotonic() + LAUNCH
    while time.monotonic() < until:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE)
        else:
            return True
    return False


def _listens(place: str) -> bool:
    with socket.socket(socket.AF_UNIX) as wire:
        return wire.connect_ex(f"{place}/{name()}") == 0


def _is_of_guest(directory: Path) -> bool:
    """Tell whether a job is about a guest; of a torn order that is not known."""
    try:
        return json.loads((directory / "order.json").read_bytes())["vmid"] is not None
    except (OSError, ValueError, KeyError, TypeError):
        return False
