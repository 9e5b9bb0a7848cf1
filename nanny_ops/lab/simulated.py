"""A SIMULATED guest: a directory and a table of packages, for machines without root or LXC.

It runs the shipped apt script against stand-ins for apt and dpkg. It proves nothing about a real container: programs
run on this host (as nobody, if the lab is root's), without namespaces, and absolute paths in their arguments are
rewritten into the directory. Absolute paths inside a script are not.
"""

import errno
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nanny_ops.errors import MachineError

#: Directories of the guest that exist in its directory; all other absolute paths mean this host's.
OWN = ("etc", "opt", "root", "run", "srv", "tmp", "var")
NOBODY = 65534
#: Tools of this host that a simulated guest may run by name; apt, dpkg, systemctl and the like are not among them.
TOOLS = (
    "awk basename bash cat chmod chown cmp comm cp cut date dash dirname echo env false find flock getent grep head "
    "hostname id ln ls mawk md5sum mkdir mkfifo mktemp mv nohup nproc od pgrep pkill ps printf pwd readlink rm rmdir "
    "sed seq setsid sh sha256sum sha512sum sleep sort stat tail tar tee test timeout touch tr true uname uniq wc "
    "tty which whoami xargs"
)
_ABSOLUTE = re.compile(rf"(?<![\w./-])/({'|'.join(OWN)})(?=[/\s;:,\"')&|<>]|$)")
OS_RELEASE = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm) [simulated guest]"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
VARIANT="simulated"
"""


@dataclass(frozen=True)
class Package:
    """One line of the table; ``candidate`` is the newest version offered."""

    name: str
    installed: str
    candidate: str
    security: bool = False


@dataclass(frozen=True)
class SimulatedGuest:
    """One simulated guest below ``directory``: its files in ``root``, its power in ``state.json``."""

    directory: Path
    vmid: int

    @property
    def rootfs(self) -> Path:
        """Return the directory that stands for its file system."""
        return self.directory / "root"

    @property
    def table(self) -> Path:
        """Return the table of packages: name, installed, candidate, security or ``-``, separated by tabs."""
        return self.rootfs / "var/lib/simulated/packages.tsv"

    def create(self, hostname: str, packages: list[Package], stand_ins: Path) -> None:
        """Make the directories and the stand-ins for apt and dpkg."""
        for relative in (*OWN, "var/log", "var/tmp", "var/lib/simulated", "var/lib/dpkg", "var/lib/apt/lists"):
            (self.rootfs / relative).mkdir(parents=True, exist_ok=True)
        (self.rootfs / "etc/hostname").write_text(hostname + "\n")
        (self.rootfs / "etc/os-release").write_text(OS_RELEASE)
        (self.rootfs / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        (self.rootfs / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
        self.write_packages(packages)
        self._fill_bin(stand_ins)
        self._give_to_nobody()

    def write_packages(self, packages: list[Package]) -> None:
        """Replace the table of packages."""
        rows = (f"{p.name}\t{p.installed}\t{p.candidate}\t{'security' if p.security else '-'}\n" for p in packages)
        self.table.write_text("".join(rows))

    def packages(self) -> list[Package]:
        """Return the table of packages as it stands."""
        rows = (line.split("\t") for line in self.table.read_text().splitlines())
        return [Package(name, installed, candidate, kind == "security") for name, installed, candidate, kind in rows]

    def pid(self) -> int | None:
        """Return a number in place of a process id while it runs, None otherwise."""
        return None if self._since() is None else 1

    def uptime(self) -> int:
        """Return the seconds since it was started, 0 when it does not run."""
        since = self._since()
        return 0 if since is None else max(0, int(time.time() - since))

    def start(self) -> None:
        """Note that it runs."""
        self._write_state(time.time())

    def stop(self) -> None:
        """Note that it does not run."""
        self._write_state(None)

    def shutdown(self, timeout: float) -> bool:
        """Stop it; within any ``timeout`` of at least 0 seconds."""
        self.stop()
        return timeout >= 0

    def destroy(self) -> None:
        """Remove its directory."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def keep(self, name: str) -> None:
        """Keep a copy of its files."""
        shutil.copytree(self.rootfs, self.directory / "kept" / name, symlinks=True)

    def bring_back(self, name: str) -> None:
        """Let its files be what was kept."""
        shutil.rmtree(self.rootfs)
        shutil.copytree(self.directory / "kept" / name, self.rootfs, symlinks=True)
        self._give_to_nobody()

    def has_kept(self, name: str) -> bool:
        """Return whether there is such a copy."""
        return (self.directory / "kept" / name).is_dir()

    def drop(self, name: str) -> None:
        """Forget what was kept."""
        shutil.rmtree(self.directory / "kept" / name, ignore_errors=True)

    def enter(self) -> None:
        """Become nobody, if this process is root's; paths are rewritten by :meth:`resolve`."""
        if os.getuid() == 0:
            os.setegid(NOBODY)
            os.seteuid(NOBODY)

    def leave(self, outside: int) -> None:
        """Become root again, if this process is root's, in the directory of the descriptor ``outside``."""
        os.fchdir(outside)
        if os.getuid() == 0:
            os.seteuid(0)
            os.setegid(0)

    def resolve(self, path: str) -> str:
        """Return where a path of the guest lies on this host. Raises MachineError if it would lead out."""
        root = self.rootfs.resolve()
        place = (root / path.lstrip("/")).parent.resolve() / Path(path).name
        if not place.is_relative_to(root):
            raise MachineError(f"{path} leads out of the simulated guest {self.vmid}.")
        return str(place) + ("/" if path.endswith("/") else "")

    def replace_process(self, argv: list[str], *, keep_env: bool) -> NoReturn:
        """Turn this process into ``argv``, its own absolute paths rewritten into the guest's directory."""
        own = {
            "PATH": str(self.directory / "bin"),
            "HOME": str(self.rootfs / "root"),
            "TMPDIR": str(self.rootfs / "tmp"),
        }
        marks = {"SIMULATED_GUEST": str(self.vmid), "SIMULATED_ROOT": str(self.rootfs)}
        if not argv[0]:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        rewritten = [self.rewrite(word) for word in argv]
        os.chdir(self.rootfs)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        os.environ.update(own)
        os.execvpe(rewritten[0], rewritten, {**(os.environ if keep_env else {}), **own, **marks})

    def rewrite(self, word: str) -> str:
        """Return an argument with the absolute paths of the guest's own directories made to point there."""
        if word.startswith("PATH=") and "\n" not in word:  # a setting, and no program that begins with one
            return f"PATH={self.directory / 'bin'}"
        return _ABSOLUTE.sub(lambda match: f"{self.rootfs}/{match[1]}", word)

    def _since(self) -> float | None:
        state = self.directory / "state.json"
        since = json.loads(state.read_text())["since"] if state.is_file() else None
        return None if since is None else float(since)

    def _write_state(self, since: float | None) -> None:
        fresh = self.directory / f"state.json.{os.getpid()}"
        fresh.write_text(json.dumps({"simulated": True, "since": since}))
        fresh.replace(self.directory / "state.json")

    def _fill_bin(self, stand_ins: Path) -> None:
        directory = self.directory / "bin"
        directory.mkdir(exist_ok=True)
        for tool in TOOLS.split():
            if found := shutil.which(tool):
                (directory / tool).symlink_to(found)
        for script in stand_ins.iterdir():
            shutil.copy(script, directory / script.name)
            (directory / script.name).chmod(0o755)

    def _give_to_nobody(self) -> None:
        if os.geteuid() == 0:
            for path in (self.rootfs, *self.rootfs.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
