"""What goes wrong with apt on a real Debian, and what the shipped script makes of it."""

import json
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
    assert [vars(one) for one in read(stdout.encode()).left] == [
        {"name": "nanny-demo-tls", "old_version": "3.0.1-1", "version": "3.0.1-1+deb12u1", "why": "held"}
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


def test_who_is_not_root_is_told_and_changes_nothing(debian: Debian) -> None:
    debian.shell("chmod 755 /root; chmod 644 /root/apt.sh")
    done = debian.shell("setpriv --reuid=65534 --regid=65534 --clear-groups sh /root/apt.sh")
    assert done.exit_code == 100
    assert parse(done.stdout) == []
    assert b"Permission denied" in done.stderr.splitlines()[-1]
