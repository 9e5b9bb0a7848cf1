"""The apt script under dash and busybox ash, against executables that behave as apt's do."""

import json
import os
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from nanny_ops.machine.packages.note import read
from nanny_ops.machine.run import run
from nanny_ops.patch_scripts.assembled import assembled
from nanny_ops.protocol.package_list import parse
from nanny_ops.protocol.patch_report import Interrupted, LockHolder

GOLDEN = Path(__file__).parents[2] / "golden" / "apt"
WHOLE = assembled("apt.sh")

_APT_GET = r"""#!/bin/sh
S=%(state)s
echo "$*" >>"$S/calls"
env | grep -E '^(LC_ALL|DEBIAN_FRONTEND|NEEDRESTART_MODE|APT_LISTCHANGES_FRONTEND|UCF_FORCE_CONFFOLD)=' | sort >"$S/env"
[ -z "$(cat)" ] || echo "stdin was not empty" >>"$S/calls"
simulate=false print=false command='' words=''
while [ $# -gt 0 ]; do
    case $1 in
        -c)
            cp "$2" "$S/conf"
            cp "$(sed -n 's/^Dir::Etc::preferences "\(.*\)";/\1/p' "$2")" "$S/preferences"
            shift ;;
        -s) simulate=true ;;
        --print-uris) print=true ;;
        -*) ;;
        *) if [ -z "$command" ]; then command=$1; else words="$words $1"; fi ;;
    esac
    shift
done
case $command in
    update)
        if [ -s "$S/locks" ]; then
            sed -i 1d "$S/locks"
            echo "E: Could not get lock /var/lib/apt/lists/lock" >&2
            exit 100
        fi
        [ -f "$S/dead" ] && cat "$S/dead" && lists=$(sed -n 's/^Dir::State::lists "\(.*\)";/\1/p' "$S/conf") &&
            { [ -z "$lists" ] || : >"$lists/x_Packages"; } && exit 100
        [ -f "$S/no-net" ] && echo "W: Failed to fetch http://x/InRelease  Could not resolve 'x'" >&2
        lists=$(sed -n 's/^Dir::State::lists "\(.*\)";/\1/p' "$S/conf")
        [ -z "$lists" ] || [ ! -f "$S/lists/x_InRelease" ] || cp "$S/lists/x_InRelease" "$lists"
        echo "Hit:1 http://x InRelease" ;;
    upgrade | dist-upgrade | autoremove) cat "$S/upgrade" ;;
    install)
        if $print; then cat "$S/uris" && exit 0; fi
        for word in $words; do
            name=${word%%%%=*}
            grep "^Inst $name " "$S/upgrade" >>"$S/picked" || exit 100
        done
        [ -f "$S/pulled" ] && cat "$S/pulled" >>"$S/picked"
        if $simulate; then
            cat "$S/picked"
            rm "$S/picked"
            [ ! -f "$S/no-plan" ] || exit 100
            exit 0
        fi
        rm "$S/picked"
        cp "$S/status-after" "$S/status"
        : >"$S/auto"
        [ ! -f "$S/install-says" ] || cat "$S/install-says" >&2
        [ ! -f "$S/slow" ] || { echo $PPID >"$S/pid"; sleep 1; }
        [ ! -f "$S/install-code" ] || exit "$(cat "$S/install-code")" ;;
esac
"""
_APT_MARK = r"""#!/bin/sh
S=%(state)s
echo "$*" >>"$S/marks"
case $1 in
    showauto) cat "$S/auto" ;;
    showhold) cat "$S/hold" ;;
    auto) shift && printf '%%s\n' "$@" >"$S/marked" ;;
esac
"""
_APT_CONFIG = """#!/bin/sh
echo "native='amd64'"
echo "preferences='%(state)s/admin-preferences'"
echo "status='%(state)s/dpkg/status'"
echo "lists='%(state)s/lists/'"
"""
_APT = """#!/bin/sh
cat %(state)s/upgradable
"""
_DPKG = """#!/bin/sh
echo "$*" >>%(state)s/repairs
[ ! -f %(state)s/repaired ] || cp %(state)s/repaired %(state)s/status
"""
_DPKG_QUERY = """#!/bin/sh
cat %(state)s/status
"""
OK = "install ok installed"
STATUS = f"""bash\t5.2-1\t{OK}
libc6:amd64\t2.36-1\t{OK}
libc6:i386\t2.36-1\t{OK}
openssl\t3.0-1\t{OK}
old\t1\tdeinstall ok config-files
"""
UPGRADE = """Reading package lists...
Inst bash [5.2-1] (5.2-2 Debian:12.5/stable [amd64])
Inst libc6 [2.36-1] (2.36-2 Debian:12.5/stable, Debian-Security:12/stable-security [amd64]) [libc6:i386 ]
Inst libc6:i386 [2.36-1] (2.36-2 Debian:12.5/stable, Debian-Security:12/stable-security [i386]) []
Inst openssl [3.0-1] (3.0-2 Debian-Security:12/stable-security [amd64])
Inst brand-new (1.0 Debian:12.5/stable [all])
Conf bash (5.2-2 Debian:12.5/stable [amd64])
"""


PROGRAMS = {
    "apt-get": _APT_GET,
    "apt": _APT,
    "apt-mark": _APT_MARK,
    "apt-config": _APT_CONFIG,
    "dpkg-query": _DPKG_QUERY,
    "dpkg": _DPKG,
}
FILES = {
    "status": STATUS,
    "status-after": STATUS,
    "upgrade": UPGRADE,
    "auto": "libc6\n",
    "hold": "",
    "uris": "'http://x/bash.deb' bash_5.2-2_amd64.deb 4711 SHA256:00\n",
    "upgradable": "",
    "lists/x_InRelease": "Suite: stable-security\n",
    "root/proc/1/maps": "",
    "root/etc/none": "",
    "root/boot/none": "",
}


class Apt:
    """A pretended Debian: what it has, and what was asked of its tools."""

    def __init__(self, folder: Path, shell: list[str]) -> None:
        self.state, self.bin, self.shell = folder / "state", folder / "bin", shell
        self.script = folder / "apt.sh"
        self.script.write_bytes(WHOLE)
        self.state.mkdir()
        self.bin.mkdir()
        self.link("pid:[4026532999]")
        for name, text in PROGRAMS.items():
            (self.bin / name).write_text(text % {"state": self.state})
            (self.bin / name).chmod(0o755)
        for name, text in FILES.items():
            self.set(name, text)
        self.set("root/etc/os-release", "ID=debian\nVERSION_ID=13\n")

    def link(self, space: str) -> None:
        """Say in which process namespace everything runs; the number 4026531836 is the first one's."""
        link = self.state / "root/proc/self/ns/pid"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(space)

    def set(self, name: str, text: str) -> None:
        (self.state / name).parent.mkdir(parents=True, exist_ok=True)
        (self.state / name).write_text(text)

    def get(self, name: str) -> str:
        return (self.state / name).read_text()

    def run(self, *arguments: str, path: str | None = None):
        environment = {
            "PATH": path or f"{self.bin}:/usr/bin:/bin",
            "NANNY_LOCK_PAUSE": "0",
            "NANNY_ROOT": f"{self.state}/root",
        }
        done = run([*self.shell, str(self.script), *arguments], timeout=30, env=environment)
        assert not [folder for folder in self.private_folders() if Path(folder).exists()], "left behind"
        return done

    def private_folders(self) -> list[str]:
        """Return the folders that apt-get was pointed to; others' runs have theirs in the same place."""
        calls = self.state / "calls"
        return re.findall(r"/var/tmp/nanny-apt\.\w+", calls.read_text()) if calls.exists() else []

    @property
    def installs(self) -> list[str]:
        calls = self.state / "calls"
        told = calls.read_text().splitlines() if calls.exists() else []
        return [call for call in told if " install " in call and "--print-uris" not in call]


def listed(done) -> list[dict]:
    last = done.stdout.decode().splitlines()[-1]
    parse(done.stdout)
    return json.loads(last)


def names(done) -> list[str]:
    return [package["name"] for package in listed(done)]


@pytest.fixture(params=["dash", "busybox"])
def apt(request, tmp_path):
    """Under both shells, for the ways through the script in which they could differ."""
    program = shutil.which(request.param)
    assert program is not None, f"install {request.param}: containers have it"
    return Apt(tmp_path, [program] if request.param == "dash" else [program, "ash"])


@pytest.fixture
def debian(tmp_path):
    """Under one shell, for what does not hang on the shell."""
    return Apt(tmp_path, ["dash"])


@pytest.mark.rows("G0-PT-03")
def test_a_dry_run_lists_and_installs_nothing(apt):
    done = apt.run("--dry-run")
    assert done.exit_code == 0, done.stderr
    assert listed(done)[0] == {
        "name": "bash",
        "version": "5.2-2",
        "old_version": "5.2-1",
        "action": "upgrade",
        "security": False,
        "repository": "Debian:12.5/stable",
        "size": 4711,
    }
    assert names(done) == ["bash", "libc6", "libc6:i386", "openssl"]
    assert all(" -s " in f" {call} " for call in apt.installs)


def test_a_dry_run_keeps_its_indexes_cache_and_log_to_itself(debian):
    debian.run("--dry-run")
    conf = debian.get("conf")
    for key in ("Dir::State::lists", "Dir::Cache", "Dir::Log", "Dir::Etc::preferences"):
        assert f'{key} "/var/tmp/nanny-apt.' in conf
    assert "#clear APT::Update::Post-Invoke;" in conf


def test_nothing_asks_and_nothing_waits_for_ever(debian):
    debian.run()
    assert debian.get("env").split() == [
        "APT_LISTCHANGES_FRONTEND=none",
        "DEBIAN_FRONTEND=noninteractive",
        "LC_ALL=C",
        "NEEDRESTART_MODE=l",
        "UCF_FORCE_CONFFOLD=1",
    ]
    conf = debian.get("conf")
    assert '"--force-confdef"; "--force-confold"' in conf
    assert re.search(r"-o=DPkg::Lock::Timeout=(300|29\d) ", debian.installs[-1])
    assert "Dir::State::lists" not in conf
    assert "stdin was not empty" not in debian.get("calls")


@pytest.mark.parametrize(
    "words", [["--exclude=openssl,bash"], ["--exclude", "openssl,bash"], ["--exclude=openssl", "--exclude=bash:amd64"]]
)
def test_exclusions_are_pins_in_a_private_file(debian, words):
    debian.set("admin-preferences", "Package: x\nPin: version 1\nPin-Priority: 1\n")
    debian.run("--dry-run", *words)
    pins = debian.get("preferences")
    assert pins.endswith("\n\nPackage: x\nPin: version 1\nPin-Priority: 1\n")
    assert "Package: openssl\nPin: version 3.0-1\nPin-Priority: 32767\n" in pins
    assert "Package: bash\nPin: version 5.2-1\n" in pins
    assert "libc6" not in pins


def test_an_exclusion_covers_every_architecture_unless_one_is_named(debian):
    debian.run("--dry-run", "--exclude=libc6")
    assert "Package: libc6\n" in debian.get("preferences")
    assert "Package: libc6:i386\n" in debian.get("preferences")
    debian.run("--dry-run", "--exclude=libc6:i386")
    assert "Package: libc6\n" not in debian.get("preferences")


def test_only(apt):
    done = apt.run("--dry-run", "--only=openssl,nginx")
    assert names(done) == ["openssl"]
    assert b"nginx: not upgradable here" in done.stdout


@pytest.mark.parametrize(("word", "expected"), [("libc6", ["libc6", "libc6:i386"]), ("libc6:amd64", ["libc6"])])
def test_only_with_architectures(debian, word, expected):
    assert names(debian.run("--dry-run", "--only", word)) == expected


def test_only_of_nothing_upgradable_is_fine(debian):
    done = debian.run("--dry-run", "--only=nginx")
    assert (done.exit_code, listed(done)) == (0, [])


def test_security_only(debian):
    done = debian.run("--dry-run", "--security-only")
    assert names(done) == ["libc6", "libc6:i386", "openssl"]
    assert {package["security"] for package in listed(done)} == {True}


@pytest.mark.rows("G0-PT-04")
def test_apply_upgrades_exactly_what_was_planned_and_tells_what_changed(apt):
    apt.set("status-after", STATUS.replace("5.2-1", "5.2-2"))
    done = apt.run("--only=bash")
    assert done.exit_code == 0, done.stderr
    assert apt.installs[-1].endswith("--only-upgrade --no-remove install bash=5.2-2")
    assert listed(done) == [
        {
            "name": "bash",
            "version": "5.2-2",
            "old_version": "5.2-1",
            "action": "upgrade",
            "security": False,
            "repository": "Debian:12.5/stable",
            "size": 4711,
        }
    ]


def test_what_came_along_or_went_is_told_too(apt):
    apt.set("status-after", STATUS.replace("openssl\t3.0-1", "openssl\t3.0-2") + f"brand-new\t1.0\t{OK}\n")
    apt.set("pulled", "Inst brand-new (1.0 Debian:12.5/stable [all])\n")
    found = {package["name"]: package["action"] for package in listed(apt.run("--only=openssl"))}
    assert found == {"openssl": "upgrade", "brand-new": "install"}


def test_a_failure_still_tells_what_did_change(apt):
    apt.set("status-after", STATUS.replace("5.2-1", "5.2-2"))
    apt.set("install-code", "100")
    done = apt.run()
    assert done.exit_code == 100
    assert names(done) == ["bash"]
    assert b"exit code 100" in done.stderr


def test_automatic_packages_stay_automatic(debian):
    debian.run()
    assert debian.get("marked") == "libc6\n"


def test_no_holds_are_placed(debian):
    debian.set("upgrade", "\n".join(line for line in UPGRADE.splitlines() if "openssl" not in line) + "\n")
    debian.run("--exclude=openssl")
    assert {call.split()[0] for call in debian.get("marks").splitlines()} == {"showauto", "auto", "showhold"}


def test_a_plan_that_would_remove_is_refused(debian):
    debian.set("no-plan", "")
    done = debian.run()
    assert done.exit_code == 100
    assert listed(done) == []
    assert all(" -s " in f" {call} " for call in debian.installs)


def test_an_index_that_cannot_be_fetched_is_no_empty_list(debian):
    debian.set("no-net", "")
    done = debian.run("--dry-run")
    assert done.exit_code == 100
    assert b"could not be refreshed" in done.stderr
    assert listed(done) == []


def test_a_locked_index_is_waited_for_but_not_for_ever(apt):
    apt.set("locks", "1\n2\n")
    assert apt.run("--dry-run").exit_code == 0
    apt.set("locks", "x\n" * 50)
    done = apt.run("--dry-run", "--lock-timeout=0")
    assert (done.exit_code, listed(done), read(done.stdout).ended) == (5, [], "blocked")
    assert len(apt.get("locks").splitlines()) == 49


def test_nothing_upgradable(debian):
    debian.set("upgrade", "Reading package lists...\n")
    done = debian.run()
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, b"[]")
    assert debian.installs == []


def test_awkward_words_are_escaped(apt):
    apt.set("upgrade", 'Inst bash [5.2-1] (5.2-2 My "own" \\ repo:1/x [amd64])\n')
    assert listed(apt.run("--dry-run"))[0]["repository"] == 'My "own" \\ repo:1/x'


def test_a_package_from_nowhere_has_no_security_word(debian):
    debian.set("upgrade", "Inst bash [5.2-1] (5.2-2 [amd64])\n")
    assert [(one["repository"], one["security"]) for one in listed(debian.run("--dry-run"))] == [("", None)]


@pytest.mark.parametrize(
    "words",
    [
        ["--frobnicate"],
        ["upgrade"],
        ["--exclude"],
        ["--only"],
        ["--only="],
        ["--only=,"],
        ["--exclude=a;b"],
        ["--exclude=$(touch /tmp/x)"],
        ["--only=-y"],
        ["--only=../x"],
    ],
)
def test_wrong_arguments_are_told(debian, words):
    done = debian.run("--dry-run", *words)
    assert done.exit_code == 2
    assert done.stdout == b"[]\n"
    assert done.stderr.startswith(b"apt.sh: ")
    assert not (debian.state / "calls").exists()


def test_a_system_without_apt_is_told(apt, tmp_path):
    for name in ("apt-get", "apt", "apt-mark", "apt-config"):
        (apt.bin / name).unlink()
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("tr", "sed", "grep", "head", "awk", "mktemp", "rm", "date"):
        (tools / tool).symlink_to(shutil.which(tool))
    text = WHOLE.decode().replace(":/usr/sbin:/sbin:/usr/bin:/bin\n", "\n", 1)
    (tmp_path / "apt.sh").write_text(text)
    done = run([*apt.shell, str(tmp_path / "apt.sh"), "--dry-run"], timeout=10, env={"PATH": str(tools)})
    assert done.exit_code == 3
    assert done.stdout.splitlines()[-1] == b"[]"
    assert b"apt-get is not installed" in done.stderr


def test_a_dead_repository_keeps_nothing_of_the_others_away_and_is_no_success(apt):
    apt.set(
        "dead", "Hit:1 http://x stable InRelease\nErr:2 https://dead.example stable InRelease\nE: Failed to fetch\n"
    )
    apt.set("status-after", STATUS.replace("5.2-1", "5.2-2"))
    dry = apt.run("--dry-run")
    assert (dry.exit_code, names(dry)) == (4, ["bash", "libc6", "libc6:i386", "openssl"])
    done = apt.run()
    assert (done.exit_code, names(done)) == (4, ["bash"])
    for one in (dry, done):
        assert b"not looked at: https://dead.example stable\n" in one.stdout
        assert b"https://dead.example" in one.stderr.splitlines()[-1]
        assert (read(one.stdout).not_refreshed, read(one.stdout).ended) == (["https://dead.example stable"], "partial")


@pytest.mark.rows("F3")
def test_who_holds_the_lock_is_told_and_left_alone(apt):
    holder = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)"
    apt.set("install-says", f"W: noise\n{holder}\nE: Unable to acquire the lock\n")
    apt.set("install-code", "100")
    done = apt.run("--lock-timeout=0")
    assert (done.exit_code, listed(done)) == (5, [])
    assert b"process 4711 (unattended-upgr)" in done.stderr.splitlines()[-1]
    assert read(done.stdout).lock == LockHolder(pid=4711, name="unattended-upgr")


@pytest.mark.rows("F3")
def test_a_lock_that_the_kernel_tells_of_is_not_even_tried(debian):
    debian.set("dpkg/lock", "")
    inode = (debian.state / "dpkg/lock").stat().st_ino
    debian.set(
        "root/proc/locks",
        f"1: POSIX  ADVISORY  WRITE 77 08:01:{inode} 0 EOF\n2: -> POSIX ADVISORY WRITE 78 0:1:1 0 EOF\n",
    )
    debian.set("root/proc/77/comm", "dpkg\n")
    done = debian.run("--lock-timeout=0")
    assert (done.exit_code, listed(done), read(done.stdout).lock) == (5, [], LockHolder(pid=77, name="dpkg"))
    assert not (debian.state / "calls").exists()
    assert debian.run("--dry-run", "--lock-timeout=0").exit_code == 0
    (debian.state / "root/proc/77/fd").mkdir()
    (debian.state / "root/proc/77/fd/3").symlink_to("/of/another/file-system")
    assert debian.run("--only=nothing", "--lock-timeout=0").exit_code == 0
    (debian.state / "root/proc/77/fd/4").symlink_to(debian.state / "dpkg/lock")
    assert debian.run("--only=nothing", "--lock-timeout=0").exit_code == 5


@pytest.mark.rows("F17")
@pytest.mark.parametrize("release", sorted(path.name for path in GOLDEN.iterdir() if path.is_dir()))
def test_what_is_left_is_told_with_the_reason_as_each_release_words_it(debian, release):
    for name in ("upgrade", "hold", "upgradable"):
        debian.set(name, (GOLDEN / release / f"{name}.txt").read_text())
    done = debian.run("--dry-run")
    left = [[one.name, one.old_version, one.version, one.why] for one in read(done.stdout).left]
    found = {"left": left, "list": [[one["name"], one["version"], one["security"]] for one in listed(done)]}
    assert found == json.loads((GOLDEN / release / "expected.json").read_text())


@pytest.mark.rows("F17")
def test_security_is_unknown_where_nobody_tells(debian):
    debian.set("upgrade", UPGRADE + "Inst old [1] (2 Proxmox:12/stable [amd64])\n")
    assert {one["name"]: one["security"] for one in listed(debian.run("--dry-run"))}["old"] is None
    (debian.state / "lists/x_InRelease").unlink()
    done = debian.run("--dry-run")
    assert [one["security"] for one in listed(done)] == [None, True, True, True, None]
    done = debian.run("--dry-run", "--security-only")
    assert (done.exit_code, read(done.stdout).ended) == (4, "partial")
    assert b"nobody tells" in done.stderr


@pytest.mark.rows("F4")
def test_an_interrupted_dpkg_is_left_alone_or_repaired_by_wish(apt):
    half = STATUS.replace("openssl\t3.0-1\tinstall ok installed", "openssl\t3.0-1\tinstall ok half-configured")
    apt.set("status", half)
    apt.set("repaired", STATUS)
    dry = apt.run("--dry-run")
    assert (dry.exit_code, read(dry.stdout).ended, len(names(dry))) == (6, "quarantined", 4)
    done = apt.run()
    assert (done.exit_code, listed(done), read(done.stdout).ended) == (6, [], "quarantined")
    assert read(done.stdout).interrupted == Interrupted(what="openssl (half-configured)", repaired=False)
    assert not (apt.state / "repairs").exists()
    assert all(" -s " in call for call in apt.installs)
    done = apt.run("--repair")
    assert apt.get("repairs") == "--force-confdef --force-confold --configure -a\n"
    assert read(done.stdout).interrupted == Interrupted(what="openssl (half-configured)", repaired=True)
    assert " -s " not in apt.installs[-1]


@pytest.mark.rows("F4")
def test_a_repair_that_does_not_help_ends_the_run(debian):
    half = STATUS.replace(f"bash\t5.2-1\t{OK}", "bash\t5.2-1\tinstall reinstreq half-installed")
    debian.set("status", half)
    debian.set("status-after", half)
    done = debian.run("--repair")
    assert (done.exit_code, read(done.stdout).ended) == (6, "quarantined")
    assert b"the repair did not bring it to its end" in done.stderr
    (again,) = debian.installs
    assert "--reinstall --no-remove bash" in again


@pytest.mark.rows("F17")
@pytest.mark.parametrize(
    ("container", "packages", "required"),
    [
        (True, None, False),
        (True, "", None),
        (True, "linux-image-6.1.0-30-amd64\nproxmox-kernel-6.8\n", False),
        (True, "linux-image-6.1.0-30-amd64\nlibc6\n", True),
        (False, "linux-image-6.1.0-30-amd64\n", True),
        (False, "", True),
    ],
)
def test_a_container_never_needs_a_kernel(debian, container, packages, required):
    debian.link("pid:[4026532999]" if container else "pid:[4026531836]")
    if packages is not None:
        debian.set("root/run/reboot-required", "*** System restart required ***\n")
        debian.set("root/run/reboot-required.pkgs", packages)
    assert read(debian.run("--dry-run").stdout).reboot_required is required


@pytest.mark.rows("F17")
def test_a_host_is_told_of_the_kernel_that_the_next_start_takes(debian):
    debian.link("pid:[4026531836]")
    running = os.uname().release
    debian.set(f"root/boot/vmlinuz-{running}", "")
    notes = read(debian.run("--dry-run").stdout)
    assert (notes.reboot_required, notes.kernel_running, notes.kernel_newest) == (False, running, running)
    for kernel in ("999.9.12-4-pve", "999.10.2-1-pve", "999.11.0-1-pve.dpkg-bak"):
        debian.set(f"root/boot/vmlinuz-{kernel}", "")
    notes = read(debian.run("--dry-run").stdout)
    assert (notes.reboot_required, notes.kernel_newest) == (True, "999.10.2-1-pve")
    debian.set("root/etc/kernel/proxmox-boot-pin", f"{running}\n")
    assert read(debian.run("--dry-run").stdout).reboot_required is False


def test_services_on_replaced_files_are_named_by_their_unit(debian):
    deleted = "7f0-7f1 r-xp 00000000 fd:01 12 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n"
    data = "7f0-7f1 rw-s 00000000 00:01 12 /dev/zero (deleted)\n7f0-7f1 r-xp 0 fd:01 12 /usr/bin/x\n"
    for pid, maps, group, space in (
        (7, deleted, "0::/system.slice/ssh.service\n", "pid:[4026532999]"),
        (8, deleted, "1:name=systemd:/system.slice/nginx.service\n0::/\n", "pid:[4026532999]"),
        (9, data, "0::/system.slice/fine.service\n", "pid:[4026532999]"),
        (10, deleted, "0::/lxc/101/system.slice/other.service\n", "pid:[4026532111]"),
        (11, deleted, "0::/\n", "pid:[4026532999]"),
        (12, deleted, "0::/system.slice/dbus.service\n", "pid:[4026532999]"),
    ):
        debian.set(f"root/proc/{pid}/maps", maps)
        debian.set(f"root/proc/{pid}/cgroup", group)
        debian.set(f"root/proc/{pid}/comm", "plain\n")
        (debian.state / f"root/proc/{pid}/ns").mkdir()
        (debian.state / f"root/proc/{pid}/ns/pid").symlink_to(space)
    notes = read(debian.run("--dry-run").stdout)
    assert notes.services == ["dbus.service", "nginx.service", "plain", "ssh.service"]
    assert (notes.reboot_required, notes.reboot_why) == (True, ["dbus.service runs on replaced files"])


@pytest.mark.rows("F17")
def test_who_may_not_look_does_not_say_no(debian):
    (debian.state / "root/proc/1/maps").unlink()
    assert read(debian.run("--dry-run").stdout).reboot_required is None


def test_what_was_planned_and_not_done_is_no_success(debian):
    done = debian.run("--only=bash")
    assert (done.exit_code, listed(done), read(done.stdout).ended) == (4, [], "partial")
    assert b"did not do all that it had planned: bash" in done.stderr


def test_a_plan_that_would_change_an_excluded_package_is_refused(debian):
    debian.set("pulled", "Inst openssl [3.0-1] (3.0-2 Debian:12.5/stable [amd64])\n")
    done = debian.run("--only=bash", "--exclude=openssl")
    assert (done.exit_code, listed(done)) == (100, [])
    assert b"openssl is excluded" in done.stderr
    assert all(" -s " in f" {call} " for call in debian.installs)


def test_a_run_that_is_ended_early_still_tells_what_did_change(apt):
    apt.set("slow", "")
    apt.set("status-after", STATUS.replace("5.2-1", "5.2-2"))

    def end() -> None:
        while not (apt.state / "pid").exists() or not apt.get("pid"):
            time.sleep(0.02)
        os.kill(int(apt.get("pid")), signal.SIGTERM)

    watcher = threading.Thread(target=end)
    watcher.start()
    done = apt.run()
    watcher.join()
    assert (done.exit_code, names(done)) == (143, ["bash"])
