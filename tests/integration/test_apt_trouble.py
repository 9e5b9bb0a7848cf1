"""What goes wrong with apt on a real Debian, and what the shipped script makes of it."""

import json
import threading
from collections.abc import Iterator

import pytest

from nanny_ops.lab import demo_guest
from nanny_ops.lab.apt_repository import OFFERED
from nanny_ops.lab.deb import Deb
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from nanny_ops.lab.lxc import Container
from nanny_ops.machine.packages.note import read
from nanny_ops.machine.run import Done, run
from nanny_ops.patch_scripts.assembled import assembled
from nanny_ops.protocol.package_list import parse
from nanny_ops.protocol.patch_report import Left, LockHolder
from tests.lab_fixtures import need_real_containers

pytestmark = pytest.mark.lxc

ALL = sorted(deb.name for deb in OFFERED)
DEAD = "deb [trusted=yes] http://127.0.0.1:9/gone stable main\n"


@pytest.fixture(scope="module")
def one_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need_real_containers()
    with Lab(LabPlan(nodes=1, guests=2, real=1), tmp_path_factory.mktemp("lab"), refusal_delay=0.05) as lab:
        yield lab


class Debian:
    """The real container, made anew: old versions installed, new ones offered."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        container = lab.guest(101)
        assert isinstance(container, Container)
        container.destroy()
        container.create(demo_guest.prepared_image(lab.cache), lab.cluster.guests[101].name)
        container.start()
        self.shell("cat >/root/apt.sh", assembled("apt.sh"))

    def shell(self, text: str, stdin: bytes | None = None) -> Done:
        argv = [str(self.lab.nodes[0].bin_dir / "pct"), "exec", "101", "--", "sh", "-c", text]
        return run(argv, timeout=100, stdin=stdin)

    def patch(self, *words: str) -> tuple[int | None, list[str], str, str]:
        """Run the script: its exit code, the packages it names, stdout, and the last line of stderr."""
        done = self.shell("NANNY_LOCK_PAUSE=0 sh /root/apt.sh " + " ".join(words))
        said = done.stderr.decode().splitlines() or [""]
        return done.exit_code, sorted(one.name for one in parse(done.stdout)), done.stdout.decode(), said[-1]

    def version(self, name: str) -> str:
        return self.shell(f"dpkg-query -W -f='${{Version}}' {name}").stdout.decode()

    def offer(self, *debs: Deb) -> None:
        self.lab.repository(101).add(*debs)


@pytest.fixture
def debian(one_lab: Lab) -> Debian:
    return Debian(one_lab)


def test_one_dead_repository_blocks_nothing_and_is_told(debian: Debian) -> None:
    debian.shell("cat >/etc/apt/sources.list.d/dead.list", DEAD.encode())
    code, names, stdout, said = debian.patch("--dry-run")
    assert (code, names) == (4, ALL), stdout
    assert "127.0.0.1:9/gone" in said
    code, names, stdout, said = debian.patch()
    assert (code, names) == (4, ALL), stdout
    assert "127.0.0.1:9/gone" in said
    assert debian.patch()[:2] == (4, [])


def test_a_system_whose_repositories_are_all_dead_is_not_up_to_date(debian: Debian) -> None:
    debian.shell("apt-get update; rm /etc/apt/sources.list.d/*; cat >/etc/apt/sources.list.d/dead.list", DEAD.encode())
    for words in (["--dry-run"], []):
        code, names, _, said = debian.patch(*words)
        assert (code, names) == (100, [])
        assert "could not be refreshed" in said


def test_a_broken_postinst_is_named_and_what_did_change_is_listed(debian: Debian) -> None:
    debian.offer(Deb("nanny-demo-lib", "2.6-1", {"usr/lib/x": "x"}, scripts={"postinst": "#!/bin/sh\nexit 7\n"}))
    code, names, _, said = debian.patch()
    assert code == 100
    assert set(names) <= set(ALL)
    assert "nanny-demo-lib" in names
    assert "nanny-demo-lib" in said
    assert debian.version("nanny-demo-lib") == "2.6-1"


@pytest.mark.rows("F4")
def test_an_interrupted_dpkg_is_left_alone_until_its_repair_is_wished(debian: Debian) -> None:
    debian.shell("cp /var/lib/dpkg/status /var/lib/dpkg/updates/0001")
    code, names, stdout, _ = debian.patch("--dry-run")
    assert (code, names, read(stdout.encode()).ended) == (6, ALL, "quarantined")
    code, names, _, said = debian.patch()
    assert (code, names) == (6, [])
    assert "dpkg was interrupted" in said
    assert debian.version("nanny-demo-tls") == "3.0.1-1"
    code, names, stdout, _ = debian.patch("--repair")
    assert (code, names) == (0, ALL)
    found = read(stdout.encode()).interrupted
    assert found is not None
    assert found.repaired


@pytest.mark.rows("F17")
def test_a_held_package_stays_and_is_told(debian: Debian) -> None:
    debian.shell("apt-mark hold nanny-demo-tls")
    code, names, stdout, _ = debian.patch()
    assert (code, names) == (0, [name for name in ALL if name != "nanny-demo-tls"])
    assert read(stdout.encode()).left == [
        Left(name="nanny-demo-tls", old_version="3.0.1-1", version="3.0.1-1+deb12u1", why="held")
    ]
    assert debian.shell("apt-mark showhold").stdout == b"nanny-demo-tls\n"


@pytest.mark.parametrize("place", ["preferences", "preferences.d/newer"])
def test_an_exclusion_outranks_the_administrators_own_pins(debian: Debian, place: str) -> None:
    pin = b"Package: nanny-demo-tls\nPin: version 3.0.1-1+deb12u1\nPin-Priority: 1001\n"
    debian.shell(f"cat >/etc/apt/{place}", pin)
    code, names, _, _ = debian.patch("--exclude=nanny-demo-tls")
    assert (code, names) == (0, [name for name in ALL if name != "nanny-demo-tls"])
    assert debian.version("nanny-demo-tls") == "3.0.1-1"


def test_epochs_tildes_new_dependencies_and_marks(debian: Debian) -> None:
    debian.shell("apt-mark auto nanny-demo-lib")
    debian.offer(Deb("nanny-new", "1.0~rc1-1"), Deb("nanny-demo-lib", "1:2.0~beta1-1", depends="nanny-new"))
    code, names, stdout, _ = debian.patch("--only=nanny-demo-lib")
    assert (code, names) == (0, ["nanny-demo-lib", "nanny-new"])
    assert debian.version("nanny-demo-lib") == "1:2.0~beta1-1"
    listed = {one["name"]: one for one in json.loads(stdout.splitlines()[-1])}
    assert listed["nanny-demo-lib"]["version"] == "1:2.0~beta1-1"
    assert listed["nanny-new"]["action"] == "install"
    automatic = debian.shell("apt-mark showauto").stdout.decode().split()
    assert {"nanny-demo-lib", "nanny-new"} <= set(automatic)


SLOW = Deb(
    "nanny-slow",
    "1.0-1",
    scripts={"postinst": "#!/bin/sh\n: >/root/begun\nuntil [ -e /root/go ]; do sleep 0.2; done\n"},
)
ASKS = "#!/bin/sh\nprintf 'What now? '\nread answer || answer=nothing\necho \"$answer\" >/root/answer\n"


@pytest.mark.rows("F3")
def test_a_lock_that_dpkg_holds_is_waited_for_and_its_holder_is_named_and_left_alone(debian: Debian) -> None:
    debian.offer(SLOW)
    debian.shell("cd /root && apt-get update && apt-get download nanny-slow")
    debian.shell("dpkg -i /root/nanny-slow*.deb >/dev/null 2>&1 & echo $! >/root/holder")
    debian.shell("n=0; until [ -e /root/begun ] || [ $n -gt 99 ]; do sleep 0.1; n=$((n + 1)); done")
    holder = int(debian.shell("cat /root/holder").stdout)
    code, names, stdout, said = debian.patch("--lock-timeout=1")
    assert (code, names) == (5, [])
    assert read(stdout.encode()).lock == LockHolder(pid=holder, name="dpkg")
    assert read(stdout.encode()).ended == "blocked"
    assert f"process {holder} (dpkg)" in said
    assert debian.patch("--dry-run", "--lock-timeout=1")[:2] == (0, ALL)
    assert debian.shell(f"cat /proc/{holder}/comm").stdout == b"dpkg\n"
    release = threading.Timer(1, lambda: debian.shell("touch /root/go"))
    release.start()
    code, names, stdout, _ = debian.patch("--lock-timeout=60")
    release.join()
    assert (code, names) == (0, ALL), stdout


@pytest.mark.rows("F1")
def test_nothing_can_ask(debian: Debian) -> None:
    debian.shell("rm /etc/nanny-demo.conf")
    debian.offer(Deb("nanny-demo-lib", "2.6-1", scripts={"postinst": ASKS}))
    code, names, stdout, _ = debian.patch("--dry-run", "--conffiles=hold-back")
    assert (code, names) == (0, [name for name in ALL if name != "nanny-demo-conf"])
    code, names, stdout, _ = debian.patch()
    assert (code, names) == (0, ALL), stdout
    assert debian.shell("cat /root/answer").stdout == b"nothing\n"
    assert debian.shell("ls /etc/nanny-demo.conf*").stdout == b"/etc/nanny-demo.conf.dpkg-dist\n"
    assert read(stdout.encode()).conffiles == ["/etc/nanny-demo.conf.dpkg-dist"]


def test_nothing_is_removed_unless_that_was_asked_for(debian: Debian) -> None:
    debian.shell("apt-mark auto nanny-demo-tls")
    debian.offer(Deb("nanny-demo-web", "2.0-1", conflicts="nanny-demo-lib"))
    plain = ["nanny-demo-conf", "nanny-demo-tls"]
    code, names, stdout, _ = debian.patch("--dry-run")
    assert (code, names) == (0, plain)
    assert [(one.name, one.version, one.why) for one in read(stdout.encode()).left] == [
        ("nanny-demo-lib", "2.5-1", "kept_back"),
        ("nanny-demo-web", "2.0-1", "kept_back"),
    ]
    assert changes(debian.patch("--dry-run", "--autoremove")[2])["nanny-demo-tls"] == ("remove", "")
    assert "remove" not in changes(debian.patch("--dry-run", "--autoremove", "--exclude=nanny-demo-tls")[2]).values()
    wide = changes(debian.patch("--dry-run", "--dist-upgrade")[2])
    assert wide["nanny-demo-lib"] == ("remove", "")
    assert wide["nanny-demo-web"] == ("upgrade", "2.0-1")
    code, _, stdout, _ = debian.patch("--dist-upgrade", "--autoremove")
    assert code == 0, stdout
    assert changes(stdout) == wide | {"nanny-demo-tls": ("remove", "")}
    assert debian.shell("dpkg-query -W -f='${Status}' nanny-demo-lib").stdout != b"install ok installed"


@pytest.mark.rows("F4")
def test_what_a_failed_upgrade_leaves_half_done_is_told_and_can_be_repaired(debian: Debian) -> None:
    broken = "#!/bin/sh\n[ -e /root/mended ]\n"
    debian.offer(Deb("nanny-demo-lib", "2.6-1", scripts={"postinst": broken}))
    code, _, stdout, _ = debian.patch()
    found = read(stdout.encode()).interrupted
    assert code == 100
    assert found is not None
    assert "nanny-demo-lib (half-configured)" in found.what
    assert debian.patch("--repair")[0] == 6
    debian.shell("touch /root/mended")
    assert debian.patch("--repair")[0] == 0
    assert debian.patch("--dry-run")[:2] == (0, [])


@pytest.mark.rows("F4")
@pytest.mark.parametrize("part", ["preinst", "postinst"])
def test_a_dpkg_that_was_killed_is_found_by_the_next_run_and_repaired_where_that_is_wished(
    debian: Debian, part: str
) -> None:
    """In the midst of unpacking, after which dpkg wants the package once more, and of configuring."""
    waits = "#!/bin/sh\n: >/root/begun\n[ -e /root/go ] || sleep 600\n"
    debian.offer(Deb("nanny-demo-lib", "2.6-1", {"usr/share/nanny-x": "x"}, scripts={part: waits}))
    debian.shell("setsid sh /root/apt.sh --only=nanny-demo-lib >/root/out 2>&1 </dev/null &")
    debian.shell("n=0; until [ -e /root/begun ] || [ $n -gt 600 ]; do sleep 0.1; n=$((n + 1)); done")
    debian.shell(
        "for p in /proc/[0-9]*; do case $(cat $p/comm) in apt-get|dpkg|sh|sleep) kill -9 ${p#/proc/} ;; esac; done"
    )
    audit = debian.shell("dpkg --audit")
    assert b"nanny-demo-lib" in audit.stdout
    for _ in range(2):
        code, names, stdout, said = debian.patch()
        assert (code, names, read(stdout.encode()).ended) == (6, [], "quarantined")
        assert "nanny-demo-lib (half-" in said
        assert "--repair" in said
    assert debian.shell("dpkg --audit").stdout == audit.stdout, "nothing was touched"
    debian.shell("touch /root/go")
    code, names, stdout, said = debian.patch("--repair")
    found = read(stdout.encode()).interrupted
    assert (code, found is not None and found.repaired) == (0, True), said
    assert debian.shell("dpkg --audit").stdout == b""
    assert debian.version("nanny-demo-lib") == "2.6-1"
    assert debian.patch("--dry-run")[:2] == (0, [])


def test_a_service_on_replaced_files_is_named_and_exclusions_are_told(debian: Debian) -> None:
    debian.shell("cp /bin/sleep /usr/bin/nanny-zz; nanny-zz 90 >/dev/null 2>&1 & sleep 0.2; rm /usr/bin/nanny-zz")
    code, names, stdout, _ = debian.patch("--dry-run", "--exclude=nanny-demo-tls", "--only=nanny-demo-tls,nanny-none")
    notes = read(stdout.encode())
    assert (code, names, notes.services, notes.reboot_required) == (0, [], ["nanny-zz"], False)
    assert [(one.name, one.why) for one in notes.left] == [
        ("nanny-demo-tls", "excluded"),
        ("nanny-none", "not_upgradable"),
    ]


def changes(stdout: str) -> dict[str, tuple[str, str]]:
    """Map each package of a list to what is done and the new version."""
    return {one.name: (one.action, one.version) for one in parse(stdout.encode())}


def test_who_is_not_root_is_told_and_changes_nothing(debian: Debian) -> None:
    debian.shell("chmod 755 /root; chmod 644 /root/apt.sh")
    done = debian.shell("setpriv --reuid=65534 --regid=65534 --clear-groups sh /root/apt.sh")
    assert done.exit_code == 100
    assert parse(done.stdout) == []
    assert b"Permission denied" in done.stderr.splitlines()[-1]
