"""A real container with a package manager that is not apt, and the shipped script in it."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanny_ops.lab import pacman_repository, rpm_repository
from nanny_ops.lab.lxc import Container
from nanny_ops.lab.ware import Ware
from nanny_ops.machine.packages import note
from nanny_ops.machine.run import Done, run
from nanny_ops.patch_scripts.assembled import assembled

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Manager:
    """One package manager: what the container says it is, and the manager's ways in the tests' words."""

    name: str
    release: str
    #: Files that a dry run may change, and nothing else: what only counts how often it was opened.
    volatile: tuple[str, ...]
    #: Prints "name version" of what is installed, among it this package.
    versions: str
    #: What an administrator does to hold nanny-tls.
    hold: str
    config: str
    beside: str
    #: Adds a repository that does not answer; and lets the good one vanish.
    dead: str
    gone: str
    #: The lock, and a program that holds it as the manager does; {} stands for the seconds.
    lock: str
    holder: str
    #: Leaves a package half installed.
    interrupt: str
    #: The program's version.
    version: str
    #: Says of nanny-tls that it came for another package only, which nothing needs now.
    unneeded: str = ""
    #: Installs the newer nanny-tls, and lets the repository offer the older one only; pacman's is written in Python.
    go_back: str = ""
    #: The manager itself at work, for as long as the file /root/at-work is there.
    at_work: str = ""
    stuck: bool = True
    security: bool = True
    suffix: str = "-1"


RPM = "rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\\n' | grep ^nanny-"
# What an interrupted transaction leaves: the new version in the database, the old one not yet out of it.
RPM_CUT = "rpm --install --nodeps --force --noscripts /srv/rpm/noarch/nanny-lib-2.0-1.noarch.rpm"
RPM_BACK = (
    "rpm --upgrade /srv/rpm/noarch/nanny-tls-1.1-1.noarch.rpm; rm /srv/rpm/noarch/nanny-tls-1.1-1.noarch.rpm;"
    " cp /srv/rpm-old/noarch/nanny-tls-1.0-1.noarch.rpm /srv/rpm/noarch;"
    " rm -r /srv/rpm/repodata; createrepo_c -q /srv/rpm"
)
# At its question, until a file is gone.
ASKING = (
    "mkfifo /root/answers; while [ -e /root/at-work ]; do sleep 0.2; done >/root/answers & exec {words} </root/answers"
)
# In the middle of a transaction: a package whose script takes as long as a file is there.
SLOW_RPM = """mkdir -p /root/slow; cat >/root/slow.spec <<'SPEC'
Name: nanny-slow
Version: 1.0
Release: 1
Summary: slow
License: MIT
BuildArch: noarch
%description
slow
%post -p <lua>
while posix.stat("/root/at-work") do posix.sleep(1) end
%files
SPEC
rpmbuild -bb --define '_topdir /root/slow' /root/slow.spec >/dev/null 2>&1
exec {words} install /root/slow/RPMS/noarch/nanny-slow-1.0-1.noarch.rpm"""
PID_FILE = "mkdir -p $(dirname {lock}); exec sh -c 'echo $$ >{lock}; exec sleep 99'"

MANAGERS = (
    Manager(
        name="dnf",
        release="ID=fedora\nVERSION_ID=41\n",
        # dnf's list of downloaded packages that it keeps: an empty one, where there was none.
        volatile=("var/lib/rpm/rpmdb.sqlite-shm", "var/lib/rpm/rpmdb.sqlite-wal", "var/cache/dnf/packages.db"),
        versions=RPM,
        hold="echo 'nanny-tls-0:1.0-1.*' >>/etc/dnf/plugins/versionlock.list",
        config="/etc/nanny-lib/nanny-lib.conf",
        beside="/etc/nanny-lib/nanny-lib.conf.rpmnew",
        dead="printf '[dead]\\nname=dead\\nbaseurl=file:///srv/dead\\ngpgcheck=0\\n' >/etc/yum.repos.d/dead.repo",
        gone="mv /srv/rpm /srv/moved",
        lock="/var/lib/dnf/rpmdb_lock.pid",
        holder=PID_FILE,
        interrupt=RPM_CUT,
        version="dnf --version | head -n 1",
        unneeded="dnf -q mark remove nanny-tls",
        go_back=RPM_BACK,
        at_work=SLOW_RPM.format(words="dnf -y"),
    ),
    Manager(
        name="zypper",
        release='ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n',
        # The random id of this installation, made by the first call that there ever was.
        volatile=("var/lib/rpm/rpmdb.sqlite-shm", "var/lib/rpm/rpmdb.sqlite-wal", "var/lib/zypp"),
        versions=RPM,
        hold="zypper --non-interactive addlock nanny-tls",
        config="/etc/nanny-lib/nanny-lib.conf",
        beside="/etc/nanny-lib/nanny-lib.conf.rpmnew",
        dead="sed 's/lab/dead/; s|srv/rpm|srv/dead|' /etc/zypp/repos.d/lab.repo >/etc/zypp/repos.d/dead.repo",
        gone="mv /srv/rpm /srv/moved",
        lock="/run/zypp.pid",
        holder=PID_FILE,
        interrupt=RPM_CUT,
        version="zypper --version | cut -d ' ' -f 2",
        unneeded="mkdir -p /var/lib/zypp; echo nanny-tls >/var/lib/zypp/AutoInstalled",
        go_back=RPM_BACK,
        at_work=SLOW_RPM.format(words="zypper --non-interactive --no-gpg-checks"),
    ),
    Manager(
        name="pacman",
        release="ID=arch\n",
        volatile=(),
        versions="pacman -Q",
        hold="sed -i 's/^\\[options\\]/[options]\\nIgnorePkg = nanny-tls/' /etc/pacman.conf",
        config="/etc/arch/nanny-lib.conf",
        beside="/etc/arch/nanny-lib.conf.pacnew",
        dead="printf '[dead]\\nServer = file:///srv/dead\\n' >>/etc/pacman.conf",
        gone="mv /srv/arch /srv/moved",
        lock="/var/lib/pacman/db.lck",
        holder="exec 9>{lock}; exec sleep 99",
        interrupt="rm /var/lib/pacman/local/nanny-lib-1.0-1/desc",
        version="pacman --version | sed -n 's/.*Pacman v\\([0-9.]*\\).*/\\1/p'",
        unneeded="pacman -D --asdeps nanny-tls",
        go_back="pacman -U --noconfirm --disable-sandbox /srv/arch/nanny-tls-1.1-1-any.pkg.tar.gz",
        at_work=ASKING.format(words="pacman --disable-sandbox -Syu"),
        stuck=False,
        security=False,
    ),
)
#: apk is in no Debian suite: its script runs under busybox ash against a stand-in, in a real container all the same.
APK = Manager(
    name="apk",
    release='ID=alpine\nVERSION_ID="3.20.1"\n',
    volatile=(),
    versions='awk -F : \'$1 == "P" { n = $2 } $1 == "V" { print n, $2 }\' /lib/apk/db/installed',
    hold="sed -i 's/^nanny-tls$/nanny-tls=1.0-r0/' /etc/apk/world",
    config="/etc/nanny-lib.conf",
    beside="/etc/nanny-lib.conf.apk-new",
    dead="echo /srv/dead >>/etc/apk/repositories",
    gone="rm /srv/apk/APKINDEX",
    lock="/lib/apk/db/lock",
    holder="exec 9>>{lock}; flock 9; exec sleep 99",
    interrupt="sed -i 's/^P:nanny-lib$/&\\nf:f/' /lib/apk/db/installed",
    version="apk --version",
    stuck=False,
    security=False,
)


@dataclass
class Said:
    """What one run of a script said: its exit code, its list, its notes, the last line of stderr."""

    code: int | None
    packages: list[dict[str, Any]]
    notes: note.Notes
    stdout: str
    last: str
    left: dict[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> dict[str, tuple[str, str]]:
        """Return name -> old and new version."""
        return {one["name"]: (one["old_version"], one["version"]) for one in self.packages}


class Foreign:
    """One container, made anew, in which the script of one manager lies."""

    def __init__(self, place: Path, name: str, image: Path, manager: Manager, shell: str) -> None:
        self.manager, self.shell_words = manager, shell
        self.container = Container(name, place)
        self.container.create(image, name)
        release = self.container.rootfs / "etc/os-release"
        release.unlink()
        release.write_text(manager.release)
        (self.container.rootfs / "root/patch.sh").write_bytes(assembled(f"{manager.name}.sh"))
        self.container.start()

    def stand_in_for_apk(self) -> None:
        """Lay the stand-in, a list of what is installed, and a repository with newer versions."""
        root = self.container.rootfs
        (root / "usr/bin/apk").write_bytes((Path(__file__).parent / "data/apk").read_bytes())
        (root / "usr/bin/apk").chmod(0o755)
        for folder in ("lib/apk/db", "etc/apk", "var/cache/apk", "srv/apk"):
            (root / "usr" / folder if folder.startswith("lib") else root / folder).mkdir(parents=True)
        old = {"nanny-lib": "1.0-r0", "nanny-tls": "1.0-r0", "nanny-web": "1.0-r0"}
        new = {"nanny-lib": "2.0-r0", "nanny-new": "1.0-r0", "nanny-tls": "1.1-r0", "nanny-web": "2.0-r0"}
        installed = "".join(f"P:{name}\nV:{version}\n\n" for name, version in old.items())
        (root / "usr/lib/apk/db/installed").write_text(installed)
        (root / "usr/lib/apk/db/lock").touch()
        index = "".join(f"P:{name}\nV:{version}\nS:5000\n\n" for name, version in new.items())
        (root / "srv/apk/APKINDEX").write_text(index)
        (root / "etc/apk/repositories").write_text("/srv/apk\n")
        (root / "etc/apk/world").write_text("nanny-tls\nnanny-web\n")
        (root / "etc/nanny-lib.conf").write_text("from 1.0\n")

    def shell(self, text: str, *words: str, timeout: float = 120) -> Done:
        """Run a line in the container, with the words as its arguments."""
        where = ["--lxcpath", str(self.container.path), "--name", self.container.name]
        environment = ["--clear-env", "--set-var", f"PATH={PATH}", "--set-var", "HOME=/root"]
        return run(["lxc-attach", *where, *environment, "--", "sh", "-c", text, "sh", *words], timeout=timeout)

    def offer(self, *wares: Ware) -> None:
        """Let the repository hold these packages only."""
        root = self.container.rootfs
        if self.manager.name == "pacman":
            pacman_repository.offer(root, wares)
        else:
            shutil.rmtree(root / rpm_repository.OFFER)
            rpm_repository.offer(root, wares)

    def patch(self, *words: str) -> Said:
        """Run the script to its end."""
        done = self.shell(f'NANNY_LOCK_PAUSE=1 exec {self.shell_words} /root/patch.sh "$@"', *words)
        stdout = done.stdout.decode()
        notes = note.read(done.stdout)
        return Said(
            code=done.exit_code,
            packages=json.loads(stdout.splitlines()[-1]),
            notes=notes,
            stdout=stdout + done.stderr.decode(),
            last=(done.stderr.decode().splitlines() or [""])[-1],
            left={one.name: one.why for one in notes.left},
        )

    def versions(self) -> dict[str, str]:
        """Return what is installed of the lab's packages."""
        lines = self.shell(self.manager.versions).stdout.decode().splitlines()
        return dict(tuple(line.split()) for line in lines)
