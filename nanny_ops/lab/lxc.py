"""Real LXC containers: configuration, start, stop, what they use, and nothing left behind."""

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nanny_ops.errors import MachineError
from nanny_ops.lab import btrfs
from nanny_ops.lab.guest import GUEST_PATH
from nanny_ops.lab.image import copy_image, copy_tree, lay_image, lift_image, unmounted
from nanny_ops.machine.run import Done, run

#: Program -> Debian package that holds it.
PROGRAMS = {"lxc-start": "lxc", "lxc-attach": "lxc", "lxc-info": "lxc", "lxc-stop": "lxc", "debootstrap": "debootstrap"}
#: Seconds for one lxc tool to answer.
TOOL_DEADLINE = 30.0
#: Line of /proc/PID/cgroup, directory below /sys/fs/cgroup, file with the bytes in use.
MEMORY_FILES = (
    (r"^0::(.+)$", "", "memory.current"),
    (r"^\d+:memory:(.+)$", "memory", "memory.usage_in_bytes"),
)
DROPPED = "mac_admin mac_override sys_time sys_module sys_rawio sys_boot"


def missing() -> list[str]:
    """Return one sentence per thing that real containers lack here; empty when all is there."""
    sentences = [] if os.geteuid() == 0 else ["Real containers need root; run as root or with sudo."]
    packages = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if packages:
        sentences.append(f"Install what is missing: apt-get install --no-install-recommends {' '.join(packages)}")
    if not Path("/sys/fs/cgroup").is_dir() or not os.listdir("/sys/fs/cgroup"):  # noqa: PTH208 - a bool is asked
        sentences.append("Control groups are not mounted on /sys/fs/cgroup; LXC needs them.")
    return sentences


@dataclass(frozen=True)
class Usage:
    """What a running container uses: ``pid`` of its init, ``uptime`` in seconds, ``memory`` in bytes."""

    pid: int
    uptime: int
    memory: int


@dataclass(frozen=True)
class Container:
    """One container, by its ``name`` and LXC's ``path`` (the directory that holds a directory per container)."""

    name: str
    path: Path

    @property
    def rootfs(self) -> Path:
        """Return the root of its file system as this host sees it."""
        return self.path / self.name / "rootfs"

    def create(self, image: Path, hostname: str) -> None:
        """Write the configuration and lay the image under the root. Raises MachineError."""
        self.rootfs.parent.mkdir(parents=True)
        (self.path / self.name / "config").write_text(self._config(hostname))  # first: clearing up goes by it
        if btrfs.holds(self.rootfs.parent):
            btrfs.create(self.rootfs)
            copy_image(image, self.rootfs)
        else:
            lay_image(image, self.rootfs)
        (self.rootfs / "etc/hostname").write_text(hostname + "\n")
        (self.rootfs / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n")

    def start(self) -> None:
        """Start it and return when its init runs. Raises MachineError."""
        log = self.path / self.name / "start.log"
        log.unlink(missing_ok=True)
        done = self._tool("lxc-start", "--daemon", "--logfile", str(log), "--logpriority", "WARN")
        if done.exit_code != 0:
            told = log.read_text(errors="replace")[-800:] if log.is_file() else done.stderr.decode(errors="replace")
            raise MachineError(f"Container {self.name} does not start: {told}")

    def stop(self) -> None:
        """Kill everything in it at once; a stopped one stays stopped."""
        self._tool("lxc-stop", "--kill")

    def shutdown(self, timeout: float) -> bool:
        """Ask its init to end and wait ``timeout`` seconds; return whether it ended."""
        done = self._tool("lxc-stop", "--nokill", "--timeout", str(max(1, int(timeout))), deadline=timeout + 10)
        return done.exit_code == 0

    def freeze(self) -> bool:
        """Hold all its processes still; return whether that was possible: not in every nested control group."""
        return self._tool("lxc-freeze").exit_code == 0

    def thaw(self) -> None:
        """Let its processes go on."""
        self._tool("lxc-unfreeze")

    def keep(self, name: str) -> None:
        """Keep what it has written: by a snapshot of its subvolume, or else a copy. Raises MachineError."""
        kept = self._kept(name)
        kept.parent.mkdir(exist_ok=True)
        if btrfs.is_subvolume(self.rootfs):
            btrfs.snapshot(self.rootfs, kept)
        else:
            copy_tree(self._layer, kept)

    def bring_back(self, name: str) -> None:
        """Let a stopped container's files be what was kept. Raises MachineError."""
        if btrfs.is_subvolume(self.rootfs):
            btrfs.delete(self.rootfs)
            btrfs.snapshot(self._kept(name), self.rootfs)
            return
        layer = self._layer
        with unmounted(self.rootfs):
            shutil.rmtree(layer)
            copy_tree(self._kept(name), layer)

    def drop(self, name: str) -> None:
        """Forget what was kept."""
        if btrfs.is_subvolume(self._kept(name)):
            btrfs.delete(self._kept(name))
        else:
            shutil.rmtree(self._kept(name), ignore_errors=True)

    @property
    def _layer(self) -> Path:
        """Return the directory that holds what it has written: of an overlay the upper one."""
        return self.path / self.name / "upper" if self.rootfs.is_mount() else self.rootfs

    def _kept(self, name: str) -> Path:
        return self.path / self.name / "kept" / name

    def pid(self) -> int | None:
        """Return the process id of its init on this host, None when it does not run."""
        done = self._tool("lxc-info", "--pid", "--no-humanize")
        text = done.stdout.decode(errors="replace").strip()
        return int(text) if done.exit_code == 0 and text.isdigit() and int(text) > 0 else None

    def replace_process(self, argv: list[str], *, keep_env: bool) -> NoReturn:
        """Turn this process into ``argv`` inside the container, with pct's PATH and / as directory."""
        program = shutil.which("lxc-attach") or "/usr/bin/lxc-attach"
        # Real pct hands the terminal's name on even where nothing else goes along.
        clear = ["--clear-env", *(["--set-var", f"TERM={os.environ['TERM']}"] if "TERM" in os.environ else [])]
        keep = ["--keep-env"] if keep_env else clear
        options = ["--lxcpath", str(self.path), "--name", self.name, *keep, "--", *argv]
        os.chdir("/")
        os.execve(program, ["lxc-attach", *options], {**os.environ, "PATH": GUEST_PATH})

    def enter(self) -> None:
        """Make the container's root, with its mounts, the root of this process, so that no link leads out of it."""
        pid = self.pid()
        if pid is None:
            raise MachineError(f"Container {self.name} does not run.")
        os.chroot(f"/proc/{pid}/root")
        os.chdir("/")

    def leave(self, outside: int) -> None:
        """Return to this host's root, of which ``outside`` is an open descriptor."""
        os.fchdir(outside)
        os.chroot(".")

    def resolve(self, path: str) -> str:
        """Return the path; after :meth:`enter` it means the container's."""
        return path

    def usage(self) -> Usage | None:
        """Return what it uses now, None when it does not run."""
        pid = self.pid()
        return None if pid is None else Usage(pid, age(pid), _memory(pid))

    def destroy(self) -> None:
        """Stop it and remove its directory."""
        if (self.path / self.name / "config").is_file():
            self.stop()
            self._wait_until_gone()
        lift_image(self.rootfs)
        shutil.rmtree(self.path / self.name, ignore_errors=True)

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + TOOL_DEADLINE
        while self.pid() is not None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _tool(self, program: str, *options: str, deadline: float = TOOL_DEADLINE) -> Done:
        return run([program, "--lxcpath", str(self.path), "--name", self.name, *options], timeout=deadline)

    def _config(self, hostname: str) -> str:
        lines = [
            f"lxc.rootfs.path = dir:{self.rootfs}",
            f"lxc.uts.name = {hostname}",
            "lxc.net.0.type = empty",
            "lxc.init.cmd = /sbin/init",
            "lxc.signal.halt = SIGTERM",
            "lxc.mount.auto = proc:mixed sys:ro",
            "lxc.autodev = 1",
            "lxc.tty.max = 0",
            "lxc.pty.max = 64",
            f"lxc.cap.drop = {DROPPED}",
        ]
        if _apparmor():
            # The profile that Debian generates forbids mounts that package scripts make; the lab is no sandbox.
            lines.append("lxc.apparmor.profile = unconfined")
        return "\n".join(lines) + "\n"


def containers_in(path: Path) -> list[Container]:
    """Return the containers whose directories lie in an LXC path."""
    return [Container(config.parent.name, path) for config in sorted(path.glob("*/config"))]


def _apparmor() -> bool:
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    return enabled.is_file() and enabled.read_text().strip() == "Y"


def age(pid: int, proc: Path = Path("/proc")) -> int:
    """Return for how many seconds a process runs; ``proc`` is where the kernel tells of it."""
    try:
        started = int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError):
        return 0  # it ended between two looks
    return max(0, int(up - started / os.sysconf("SC_CLK_TCK")))


def _memory(pid: int) -> int:
    """Read the control group's figure, cgroup v2 first; 0 where the memory controller is not mounted."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return 0
    for pattern, base, leaf in MEMORY_FILES:
        if match := re.search(pattern, groups, re.MULTILINE):
            figure = Path("/sys/fs/cgroup") / base / match[1].lstrip("/") / leaf
            if figure.is_file():
                return int(figure.read_text())
    return 0
