"""Run systemd-nspawn in control groups of its own, again after each reboot, and not longer than who asked for it.

``python -m nanny_ops.lab.nspawn PARENT NAME ARGUMENT...``: PARENT is the process whose end is the machine's loss of
power, NAME that of the control groups. Without them two machines would share the groups of the process that started
them, and each systemd would clear out the other's.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from nanny_ops.errors import MachineError

#: Where systemd-nspawn looks for the group it is in: beside controllers of version 1, or alone.
HIERARCHIES = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
#: What systemd-nspawn ends with where somebody else is to start it again, as ``--keep-unit`` asks.
REBOOT = 133
#: Seconds between two looks whether the parent lives.
LOOK = 0.3
#: Seconds until killed processes are gone from a group.
CLEARING = 15.0


def groups(name: str) -> list[Path]:
    """Return the directories of a machine's control groups, whether they exist or not."""
    found = [Path(path) for path in HIERARCHIES if (Path(path) / "cgroup.procs").is_file()]
    return [path / name for path in found]


def members(name: str) -> set[int]:
    """Return the processes in a machine's control groups and those below."""
    found: set[int] = set()
    for group in groups(name):
        for listed in group.rglob("cgroup.procs"):
            found |= _listed(listed)
    return found


def first_process(name: str) -> int | None:
    """Return the process that is number 1 inside the machine, None while there is none."""
    for group in groups(name):
        for pid in sorted(_listed(group / "payload/init.scope/cgroup.procs")):
            if _inner_number(pid) == 1:
                return pid
    return None


def clear(name: str) -> None:
    """Kill what is in a machine's control groups and remove them. Raises MachineError when something stays."""
    deadline = time.monotonic() + CLEARING
    while living := members(name):
        if time.monotonic() > deadline:
            raise MachineError(f"Machine {name} cannot be ended: processes {sorted(living)} stay.")
        for pid in living:
            _kill(pid)
        time.sleep(0.05)
    for group in groups(name):
        for directory in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            directory.rmdir()
        if group.is_dir():
            group.rmdir()


def _listed(file: Path) -> set[int]:
    try:
        return {int(line) for line in file.read_text().split()}
    except (FileNotFoundError, OSError):  # the group went away meanwhile, ENODEV while it is open
        return set()


def _inner_number(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:")), 0)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _conduct(parent: int, name: str, argv: list[str]) -> int:
    """Run until it ends for good, or until the parent is gone.

    The machine's first process outlives a killed systemd-nspawn, but not the other way round.
    """
    while True:
        process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *argv])
        while process.poll() is None:
            if os.getppid() != parent:
                _kill(first_process(name) or process.pid)
            try:
                process.wait(LOOK)
            except subprocess.TimeoutExpired:
                continue
        if process.returncode != REBOOT or os.getppid() != parent:
            return process.returncode


def main(arguments: list[str]) -> int:
    """Be the process between a lab and a machine; return systemd-nspawn's exit code."""
    parent, name, *argv = arguments
    for group in groups(name):
        group.mkdir(exist_ok=True)
        (group / "cgroup.procs").write_text(str(os.getpid()))
    return _conduct(int(parent), name, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
