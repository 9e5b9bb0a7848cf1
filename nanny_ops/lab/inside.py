"""What runs inside the lab's virtual machines: the same simulation as behind containers that are not real.

A machine's files are made when something is first done in it. Programs run as nobody, started by
``python -m nanny_ops.lab.inside DIRECTORY VMID INPUT PROGRAM ARGUMENT...``.
"""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.lab import demo_guest
from nanny_ops.lab.power import LabPower
from nanny_ops.lab.pve.state.guest import Guest
from nanny_ops.lab.pve.state.guest_agent import OUTPUT_CAP, Ended
from nanny_ops.lab.simulated import NOBODY, SimulatedGuest
from nanny_ops.machine.run import run_to_files

#: Seconds after which a program in a machine is ended, so that no lab leaves one behind.
LONGEST = 3600.0
#: Bytes that are read of a file.
LONGEST_FILE = 64 << 20
#: Seconds that a program gets to end by itself when the lab closes.
GRACE = 1.0
#: Programs of one lab that run at once; one more waits until another ends.
THREADS = 16


@dataclass
class SimulatedInside:
    """The insides of all machines of a lab."""

    power: LabPower
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "lab-inside"))

    def spawn(self, work: Callable[[], None]) -> None:
        """Run a function beside everything else, until :meth:`close`."""
        if not self._closing.is_set():
            self._pool.submit(work)

    def close(self) -> None:
        """End what runs and take no more."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def has(self, guest: Guest, program: str) -> bool:
        """Return whether there is such a program; none is there in a Windows."""
        if str(guest.conf.get("ostype", "l26")).startswith("w"):
            return False
        machine = self._machine(guest)
        found = shutil.which(program, path=str(machine.directory / "bin"))
        return found is not None or ("/" in program and os.access(self._place(machine, program), os.X_OK))

    def run(self, guest: Guest, argv: Sequence[str], stdin: bytes) -> Ended:
        """Run a program to its end."""
        machine = self._machine(guest)
        words = [sys.executable, "-I", "-m", "nanny_ops.lab.inside", str(machine.directory), str(guest.vmid)]
        with tempfile.TemporaryDirectory(dir=machine.directory) as name:
            given, out, err = (Path(name, leaf) for leaf in ("in", "out", "err"))
            given.write_bytes(stdin)
            done = run_to_files(
                [*words, str(given), *argv],
                timeout=LONGEST,
                stdout=out,
                stderr=err,
                cap=OUTPUT_CAP,
                stopping=self._closing.is_set,
                grace=GRACE,
            )
            # What the agent does not take leaves the program waiting for somebody to read it.
            hangs = done.stdout_truncated or done.stderr_truncated or done.timed_out
            return Ended(None if hangs else done.exit_code, out.read_bytes(), err.read_bytes())

    def read(self, guest: Guest, path: str) -> bytes:
        """Return a file's content. Raises OSError."""
        descriptor = os.open(self._place(self._machine(guest), path), os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as source:
            return source.read(LONGEST_FILE)

    def write(self, guest: Guest, path: str, content: bytes) -> None:
        """Write a file. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        descriptor = os.open(self._place(self._machine(guest), path), flags, 0o644)
        with os.fdopen(descriptor, "wb") as target:
            target.write(content)
            if os.geteuid() == 0:
                os.fchown(target.fileno(), NOBODY, NOBODY)

    def _machine(self, guest: Guest) -> SimulatedGuest:
        machine = self.power.simulated(guest.vmid)
        with self._lock:
            if not machine.rootfs.is_dir():
                demo_guest.make_simulated(machine, guest.name)
        return machine

    @staticmethod
    def _place(machine: SimulatedGuest, path: str) -> str:
        try:
            return machine.resolve(path)
        except MachineError as wrong:
            raise PermissionError(13, "Permission denied", path) from wrong


def main(arguments: list[str]) -> None:
    """Turn this process into a program of a machine, with a file of this host as its input."""
    directory, vmid, given, *argv = arguments
    descriptor = os.open(given, os.O_RDONLY)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    SimulatedGuest(Path(directory), int(vmid)).replace_process(argv, keep_env=False)


if __name__ == "__main__":
    main(sys.argv[1:])
