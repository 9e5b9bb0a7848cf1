"""A whole Debian machine with systemd: booted by systemd-nspawn, with a network link to this host and no other."""

import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from nanny_ops.errors import MachineError
from nanny_ops.lab import nspawn
from nanny_ops.lab.child import Child
from nanny_ops.lab.guest import GUEST_PATH
from nanny_ops.lab.image import lay_image, lift_image, must
from nanny_ops.lab.machine_network import PAIR, TOOL_DEADLINE, MachineNetwork, disconnect, network_of
from nanny_ops.lab.machine_note import MachineNote, clear_abandoned
from nanny_ops.machine.run import Done, run

#: Program -> Debian package that holds it.
PROGRAMS = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "ip": "iproute2"}
#: Seconds; a boot takes one on an idle machine.
BOOT_DEADLINE = 90.0
#: A question that goes lost while the machine comes or goes is asked again.
ANSWER_DEADLINE = 5.0
#: The directory in a lab that holds a directory per machine.
FOLDER = "machines"
#: Where systemd-nspawn keeps what it knows of running machines.
_STATE = Path("/run/systemd/nspawn")


def missing() -> list[str]:
    """Return one sentence per thing that machines lack here; empty when all is there."""
    sentences = [] if os.geteuid() == 0 else ["Machines need root; run as root or with sudo."]
    packages = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if packages:
        sentences.append(f"Install what is missing: apt-get install --no-install-recommends {' '.join(packages)}")
    if not nspawn.groups("any"):
        sentences.append("Control groups are not mounted on /sys/fs/cgroup; systemd needs them.")
    return sentences


@dataclass
class SystemdMachine:
    """One machine, its files below ``directory``; use it as a context manager, or :meth:`create` and :meth:`destroy`.

    ``binds`` are this host's paths -> paths in the machine, where they can only be read. Without a ``network``, which
    whoever gives one has connected, the machine has one of 32768 by its ``number``: two machines at once have the same
    one time in 32768. ``neighbours`` are names -> addresses that it knows.
    """

    image: Path
    directory: Path
    hostname: str = "pve1"
    binds: Mapping[Path, str] = field(default_factory=dict)
    number: str = field(default_factory=lambda: secrets.token_hex(3))
    network: MachineNetwork | None = None
    place: int = 2
    neighbours: Mapping[str, str] = field(default_factory=dict)
    _child: Child | None = None
    _note: MachineNote | None = None

    @property
    def name(self) -> str:
        """Return the machine's name on this host: short, because a network link is named after it."""
        return f"nm-{self.number}"

    @property
    def home(self) -> Path:
        """Return the directory that holds its files and its log."""
        return self.directory / FOLDER / self.name

    @property
    def rootfs(self) -> Path:
        """Return the root of its file system as this host sees it; /run and /tmp of a running one are not in it."""
        return self.home / "rootfs"

    @property
    def host_address(self) -> str:
        """Return the address under which the machine reaches this host."""
        return self._net.host_address

    @property
    def address(self) -> str:
        """Return the machine's own address."""
        return str(self._net.interface(self.place).ip)

    def __enter__(self) -> Self:
        """Create and boot it; leave nothing behind where that fails."""
        try:
            self.create()
            self.boot()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        """Destroy it."""
        self.destroy()

    def create(self) -> None:
        """Lay its files out and connect it with this host. Raises MachineError."""
        self._note = MachineNote(self.home)
        self.home.mkdir(parents=True)
        lay_image(self.image, self.rootfs)
        for path, text in self._own_files().items():
            (self.rootfs / path).unlink(missing_ok=True)
            (self.rootfs / path).write_text(text)
        if self.network is None:
            self._net.connect()

    def boot(self, timeout: float = BOOT_DEADLINE) -> None:
        """Switch it on and return when all its services run, within ``timeout`` seconds. Raises MachineError."""
        if self.running:
            raise MachineError(f"Machine {self.name} is on already.")
        # Nodes of Proxmox VE have control groups of version 2 alone, whatever this host has.
        environ = {**os.environ, "UNIFIED_CGROUP_HIERARCHY": "1"}
        launcher = [sys.executable, "-I", "-m", "nanny_ops.lab.nspawn", str(os.getpid()), self.name]
        self._child = Child(self.name, [*launcher, *self._nspawn()], environ, self.home / "console.log")
        self.await_boot(timeout)

    def await_boot(self, timeout: float = BOOT_DEADLINE, *, after: int | None = None) -> None:
        """Wait ``timeout`` seconds until all services run; ``after`` is the :meth:`pid` before a reboot.

        Raises MachineError, with the names of services that failed.
        """
        self._until(lambda: self.pid() not in (None, after), timeout, "does not boot")
        state = ""

        def settled() -> bool:
            nonlocal state
            state = self._ask("systemctl", "is-system-running")
            return state in ("running", "degraded")

        self._until(settled, timeout, "does not finish booting")
        if state == "degraded":
            raise MachineError(f"Services failed in {self.name}: {self._ask('systemctl', '--failed', '--plain')}")

    @property
    def running(self) -> bool:
        """Tell whether it is on."""
        return self._child is not None and self._child.running

    def pid(self) -> int | None:
        """Return the number on this host of its first process, None when it is off."""
        return nspawn.first_process(self.name)

    def reboot(self, timeout: float = BOOT_DEADLINE) -> None:
        """Let it restart in order and wait, within ``timeout`` seconds. Raises MachineError."""
        before = self.pid()
        self.run(["systemctl", "reboot"])
        self.await_boot(timeout, after=before)

    def shut_down(self, timeout: float = TOOL_DEADLINE) -> None:
        """Let it end in order and wait, within ``timeout`` seconds. Raises MachineError."""
        self.run(["systemctl", "poweroff"])
        self._until(lambda: not self.running, timeout, "does not end")

    def cut_power(self) -> None:
        """End all its processes at once; what they had not written is lost, what they had is there. MachineError."""
        first = self.pid()
        if first is not None:
            os.kill(first, signal.SIGKILL)
        self._until(lambda: not self.running, TOOL_DEADLINE, "does not end")
        nspawn.clear(self.name)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60.0,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a program in it as root, with an environment of its own, within ``timeout`` seconds.

        Raises MachineError when it is off.
        """
        first = self.pid()
        if first is None:
            raise MachineError(f"Machine {self.name} is off.")
        environ = {"PATH": GUEST_PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", **(env or {})}
        settings = [f"{key}={value}" for key, value in environ.items()]
        enter = [
            "nsenter",
            "--target",
            str(first),
            "--all",
            "--",
            "env",
            "--ignore-environment",
            "--chdir=/",
            *settings,
        ]
        return run([*enter, *argv], timeout=timeout, stdin=stdin)

    def must(self, *argv: str, timeout: float = 60.0) -> str:
        """Return what a program says that has to succeed. Raises MachineError with the end of what it said."""
        done = self.run(argv, timeout=timeout)
        if done.exit_code != 0:
            said = (done.stderr + done.stdout).decode(errors="replace")[-1200:]
            raise MachineError(f"'{' '.join(argv)}' in {self.name}: exit code {done.exit_code}: {said}")
        return done.stdout.decode(errors="replace")

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a directory into the running machine; ``target`` is absolute there. Raises MachineError."""
        must(["cp", "--archive", "--no-target-directory", str(source), self._inside(target)], TOOL_DEADLINE)

    def get(self, source: str, target: Path) -> None:
        """Copy a file or a directory out of the running machine. Raises MachineError."""
        must(["cp", "--archive", "--no-target-directory", self._inside(source), str(target)], TOOL_DEADLINE)

    def destroy(self) -> None:
        """Switch it off and remove all of it; safe to call twice. Raises MachineError."""
        if self._child is not None:
            self._child.end()
        remove(self.home)
        if self._note is not None:
            self._note.drop()
            self._note = None

    def _inside(self, path: str) -> str:
        """Return a machine's path as this host reaches it: with /run and /tmp, and as long as no link is absolute."""
        first = self.pid()
        if first is None:
            raise MachineError(f"Machine {self.name} is off.")
        return f"/proc/{first}/root/{path.lstrip('/')}"

    def _ask(self, *argv: str) -> str:
        """Return what a program says, empty where it cannot be asked while the machine comes or goes."""
        if self.pid() is None:
            return ""
        return self.run(argv, timeout=ANSWER_DEADLINE).stdout.decode(errors="replace").strip()

    def _until(self, reached: Callable[[], bool], timeout: float, trouble: str) -> None:
        deadline = time.monotonic() + timeout
        while not reached():
            if time.monotonic() > deadline:
                said = self._child.said()[-2000:] if self._child else ""
                raise MachineError(f"Machine {self.name} {trouble} within {timeout:.0f} seconds; console: {said}")
            time.sleep(0.1)

    @property
    def _net(self) -> MachineNetwork:
        return self.network or network_of(self.name, self.number, PAIR)

    def _own_files(self) -> dict[str, str]:
        own = self._net.interface(self.place)
        link = f"[Match]\nName=host0\n[Network]\nAddress={own}\nLinkLocalAddressing=no\n"
        known = {"localhost": "127.0.0.1", **self.neighbours, self.hostname: self.address, "host": self.host_address}
        return {
            "etc/hostname": f"{self.hostname}\n",
            "etc/hosts": "".join(f"{address} {name}\n" for name, address in known.items()),
            "etc/machine-id": f"{secrets.token_hex(16)}\n",
            "etc/systemd/network/10-lab.network": link,
        }

    def _nspawn(self) -> list[str]:
        quiet = ["--quiet", "--register=no", "--keep-unit", "--settings=no", "--console=pipe"]
        plain = ["--link-journal=no", "--resolv-conf=off", "--timezone=off"]
        named = [f"--machine={self.name}", f"--hostname={self.hostname}", f"--network-bridge={self._net.bridge}"]
        binds = [f"--bind-ro={source}:{target}" for source, target in self.binds.items()]
        return ["systemd-nspawn", *quiet, *plain, *named, *binds, f"--directory={self.rootfs}", "--boot"]


def remove(home: Path) -> None:
    """Remove what a machine is on this host, by its directory alone: processes, groups, link, mount, files.

    Raises MachineError.
    """
    name = home.name
    nspawn.clear(name)
    disconnect(name)
    for left in (_STATE / "propagate" / name, _STATE / "unix-export" / name):
        shutil.rmtree(left, ignore_errors=True)
    if (home / "rootfs").is_dir():
        _lock(home / "rootfs").unlink(missing_ok=True)
    lift_image(home / "rootfs")
    shutil.rmtree(home, ignore_errors=True)


def remove_abandoned() -> list[str]:
    """Remove the machines of processes that were killed, and return their names; also where their files were moved."""
    return clear_abandoned(_remove_wherever)


def _remove_wherever(home: Path) -> None:
    for place in (home, *_moved(home.name)):
        remove(place)


def _moved(name: str) -> list[Path]:
    """Return where a machine's files are mounted now: pytest renames directories before it removes them."""
    places = (Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines())
    return [place.parent for place in places if place.name == "rootfs" and place.parent.name == name]


def _lock(rootfs: Path) -> Path:
    """Return the file by which systemd-nspawn keeps two machines from using one directory; killed, it leaves it."""
    found = rootfs.stat()
    return _STATE / f"locks/inode-{found.st_dev}:{found.st_ino}"
