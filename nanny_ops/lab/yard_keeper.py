"""Keep a yard while other programs use it: ``start`` one in the background, ``stop`` it, or ``keep`` it in front.

``cut DIRECTORY NAME`` ends a machine as if its power had gone, ``boot DIRECTORY NAME`` lets it come back.

``python -m nanny_ops.lab.yard_keeper start DIRECTORY`` reads a plan (yard_plan.py) from its standard input, and returns
when the machines are up and ``DIRECTORY/yard.json`` says where. A yard ends, and leaves nothing behind, when it is
stopped, when its ``yard.json`` is removed, when the process whose number stands in ``NANNY_YARD_FOR`` is gone, and
after :data:`LIFETIME` at the latest. What is left of one that was killed is removed by the next ``start`` or ``stop``.
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import httpx

from nanny_ops.errors import MachineError, NannyError, SettingsError
from nanny_ops.lab import systemd_machine, yard_plan
from nanny_ops.lab.child import Child
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.leftover import start_ticks
from nanny_ops.lab.yard import Yard

#: Names the process without which nobody needs the yard any more.
OWNER = "NANNY_YARD_FOR"
PLAN, NOTE, PROCESS, LOG = "plan.json", "yard.json", "keeper.pid", "yard.log"
#: A wish in a directory's file of this name: ``cut`` or ``boot``, and a machine's name. It is removed when fulfilled.
WISH = "wish"
#: What the name of a yard's own directory begins with, and the file in it that its process holds locked.
SCRATCH, LOCK = "nanny-yard-", "lock"
#: Seconds until the machines are up: images may have to be built first, a few minutes each.
START_DEADLINE = 1200.0
#: Seconds until a yard that is told to end has removed everything.
STOP_DEADLINE = 120.0
#: Seconds for a machine to boot with its containers.
SWITCH_DEADLINE = 300.0
#: Seconds after which a forgotten yard ends.
LIFETIME = 8 * 3600.0
#: Seconds between two looks.
LOOK = 0.3


@dataclass(frozen=True)
class Process:
    """A process by its number and the ticks at which it began, so that a reused number is no match."""

    pid: int
    ticks: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Return the process that has a number now."""
        return cls(pid, start_ticks(pid))

    @classmethod
    def read(cls, path: Path) -> "Process | None":
        """Return the process of which a file tells, None where there is no file."""
        with contextlib.suppress(FileNotFoundError):
            pid, ticks = path.read_text().split()
            return cls(int(pid), int(ticks))
        return None

    @property
    def alive(self) -> bool:
        """Tell whether it still runs; one that only waits to be asked for its exit code does not."""
        if self.ticks == 0 or start_ticks(self.pid) != self.ticks:
            return False
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False

    def write(self, path: Path) -> None:
        """Write it down."""
        path.write_text(f"{self.pid} {self.ticks}\n")


def owner(environ: Mapping[str, str]) -> Process | None:
    """Return the process that the environment names, None where it names none. Raises SettingsError."""
    text = environ.get(OWNER, "")
    if text and not text.isdigit():
        raise SettingsError(f"{OWNER} is the number of a process, not '{text}'.")
    return Process.of(int(text)) if text else None


def start(directory: Path, plan: bytes, environ: Mapping[str, str]) -> None:
    """Have a yard kept by a process of its own, and return when it is up. Raises SettingsError, MachineError."""
    yard_plan.read(plan)
    running = Process.read(directory / PROCESS)
    if running is not None and running.alive:
        raise MachineError(f"A yard is kept in {directory} already; stop it first.")
    sweep()
    directory.mkdir(parents=True, exist_ok=True)
    for stale in (NOTE, LOG, WISH):
        (directory / stale).unlink(missing_ok=True)
    (directory / PLAN).write_bytes(plan)
    argv = [sys.executable, "-m", "nanny_ops.lab.yard_keeper", "keep", str(directory)]
    child = Child("the yard", argv, environ, directory / LOG)
    up = False
    try:
        child.await_words("yard is up", START_DEADLINE)
        up = True
    finally:
        if not up:
            child.end(STOP_DEADLINE)


def stop(directory: Path) -> None:
    """End the yard of a directory; safe where there is none. Raises MachineError when it does not end."""
    process = Process.read(directory / PROCESS)
    if process is not None and process.alive:
        os.kill(process.pid, signal.SIGTERM)
        ends = time.monotonic() + STOP_DEADLINE
        while process.alive:
            if time.monotonic() > ends:
                raise MachineError(f"The yard of {directory} does not end; its process is {process.pid}.")
            time.sleep(LOOK)
    sweep()
    for left in (PLAN, NOTE, PROCESS, WISH):
        (directory / left).unlink(missing_ok=True)


def sweep(place: Path | None = None) -> None:
    """Remove what yards have left whose process was killed, their files below ``place``, by default the usual one."""
    systemd_machine.remove_abandoned()
    for lock in (place or Path(tempfile.gettempdir())).glob(f"{SCRATCH}*/{LOCK}"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), lock.open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


def switch(directory: Path, wish: str, name: str) -> None:
    """Have a machine of a yard cut or booted, and return when it is. Raises SettingsError, MachineError."""
    process = Process.read(directory / PROCESS)
    if process is None or not process.alive:
        raise MachineError(f"No yard is kept in {directory}.")
    plan = yard_plan.read((directory / PLAN).read_bytes())
    if name not in [machine.name for machine in plan.machines]:
        raise SettingsError(f"There is no machine '{name}'.")
    fresh = directory / f"{WISH}.new"
    fresh.write_text(f"{wish} {name}")
    fresh.rename(directory / WISH)
    if not _fulfilled(directory, process, time.monotonic() + SWITCH_DEADLINE):
        raise MachineError(f"It is not done: {wish} {name}; see {directory / LOG}.")


def _fulfilled(directory: Path, process: Process, ends: float) -> bool:
    """Wait until a wish is gone; False where its keeper is, or the time is over."""
    while (directory / WISH).exists():
        if not process.alive or time.monotonic() > ends:
            return False
        time.sleep(LOOK)
    return True


def fulfil(directory: Path, yard: Yard) -> None:
    """Do what a wish asks for, if there is one. Raises MachineError."""
    with contextlib.suppress(FileNotFoundError):
        wish, name = (directory / WISH).read_text().split()
        yard.switch(name, on=wish == "boot")
        (directory / WISH).unlink()


def keep(directory: Path, environ: Mapping[str, str]) -> str:
    """Open the yard that a directory plans, and keep it until it is not needed any more; return why."""
    needed_by = owner(environ)
    plan = yard_plan.read((directory / PLAN).read_bytes())
    Process.of(os.getpid()).write(directory / PROCESS)
    note = directory / NOTE
    try:
        with _scratch() as home, Yard(plan, home, cache_dir(dict(environ))) as yard:
            note.write_bytes(yard_plan.to_json(yard.describe()))
            print("The yard is up.", flush=True)
            return _linger(yard, note, needed_by, time.monotonic() + LIFETIME)
    finally:
        note.unlink(missing_ok=True)
        (directory / PROCESS).unlink(missing_ok=True)


def _linger(yard: Yard, note: Path, needed_by: Process | None, until: float) -> str:
    while True:
        if needed_by is not None and not needed_by.alive:
            return "who asked for it is gone"
        if not note.exists():
            return "its note is gone"
        if time.monotonic() > until:
            return "its time is over"
        fulfil(note.parent, yard)
        if yard.plane is not None and not yard.plane.child.running:
            raise MachineError(f"The control plane has ended; it said:\n{yard.plane.child.said()[-2000:]}")
        time.sleep(LOOK)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a directory outside of what Molecule clears while machines run; locked, so that no sweep takes it."""
    home = Path(tempfile.mkdtemp(prefix=SCRATCH))
    with (home / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield home
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _interrupt(*_signal: object) -> NoReturn:
    for further in (signal.SIGTERM, signal.SIGINT):
        signal.signal(further, signal.SIG_IGN)  # removing is not cut short
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="yard_keeper", description=str(__doc__).splitlines()[0])
    parser.add_argument("command", choices=("start", "keep", "stop", "cut", "boot"))
    parser.add_argument("directory", type=Path, help="Where its plan, its note and its log lie.")
    parser.add_argument("machine", nargs="?", default="", help="Which one to cut or boot.")
    options = parser.parse_args(argv)
    directory = options.directory.absolute()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        if options.command == "start":
            start(directory, sys.stdin.buffer.read(), os.environ)
        elif options.command == "stop":
            stop(directory)
        elif options.command in ("cut", "boot"):
            switch(directory, options.command, options.machine)
        else:
            print(f"The yard ends: {keep(directory, os.environ)}.", flush=True)
    except KeyboardInterrupt:
        print("The yard ends: it was told to.", flush=True)
        return 0 if options.command == "keep" else 1
    except (NannyError, httpx.HTTPError) as wrong:
        print(f"yard: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
