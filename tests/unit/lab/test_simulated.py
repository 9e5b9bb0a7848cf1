"""The simulated guest: what it stores, and that its paths stay inside."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab import demo_guest
from nanny_ops.lab.simulated import Package, SimulatedGuest
from nanny_ops.machine.run import Done, run
from nanny_ops.patch_scripts.assembled import assembled


@pytest.fixture
def guest() -> Iterator[SimulatedGuest]:
    home = Path(tempfile.mkdtemp(prefix="nanny-test-"))
    made = SimulatedGuest(home / "104", 104)
    demo_guest.make_simulated(made, "app1")
    yield made
    shutil.rmtree(home)


def stand_in(guest: SimulatedGuest, *words: str) -> Done:
    path = str(guest.directory / "bin")
    return run([f"{path}/{words[0]}", *words[1:]], timeout=20, env={"PATH": path})


def test_it_says_that_it_is_simulated(guest: SimulatedGuest) -> None:
    assert "simulated" in (guest.rootfs / "etc/os-release").read_text()


def test_power_is_remembered_across_processes(guest: SimulatedGuest) -> None:
    assert guest.pid() is None
    guest.start()
    assert SimulatedGuest(guest.directory, 104).pid() == 1
    assert guest.shutdown(1)
    assert SimulatedGuest(guest.directory, 104).pid() is None


def test_own_paths_are_rewritten_and_others_left(guest: SimulatedGuest) -> None:
    root = guest.rootfs
    assert guest.rewrite("/var/tmp/x") == f"{root}/var/tmp/x"
    assert guest.rewrite("--log=/var/log/a") == f"--log={root}/var/log/a"
    assert guest.rewrite("rm -rf /run/x && ls /tmp") == f"rm -rf {root}/run/x && ls {root}/tmp"
    assert guest.rewrite("/usr/bin/env") == "/usr/bin/env"
    assert guest.rewrite("/variable") == "/variable"
    assert guest.rewrite("PATH=/usr/bin:/bin") == f"PATH={guest.directory}/bin"


def test_a_path_that_leads_out_is_refused(guest: SimulatedGuest) -> None:
    (guest.rootfs / "etc/out").symlink_to("/etc")
    with pytest.raises(MachineError, match="leads out"):
        guest.resolve("/etc/out/passwd")
    with pytest.raises(MachineError, match="leads out"):
        guest.resolve("/../../../x")


def test_pending_is_the_same_as_in_a_real_guest(guest: SimulatedGuest) -> None:
    lines = stand_in(guest, "apt-get", "-s", "dist-upgrade").stdout.decode().splitlines()
    inst = [line for line in lines if line.startswith("Inst ")]
    assert len(inst) == 4
    assert "Inst nanny-demo-tls [3.0.1-1] (3.0.1-1+deb12u1 Debian-Security:12/stable-security [all])" in inst
    assert guest.packages()[0].installed == "1.0-1"


def test_only_what_is_named_is_upgraded(guest: SimulatedGuest) -> None:
    done = stand_in(
        guest, "apt-get", "-y", "-o", "Dpkg::Use-Pty=0", "install", "--only-upgrade", "nanny-demo-web=1.1-1"
    )
    assert done.exit_code == 0
    assert {p.name for p in guest.packages() if p.installed == p.candidate} == {"nanny-demo-web"}
    shown = stand_in(guest, "dpkg-query", "-W", "-f=${Package} ${Version}\\n", "nanny-demo-web")
    assert shown.stdout == b"nanny-demo-web 1.1-1\n"


def test_a_held_package_stays(guest: SimulatedGuest) -> None:
    assert stand_in(guest, "apt-mark", "hold", "nanny-demo-web").exit_code == 0
    stand_in(guest, "apt-get", "-y", "dist-upgrade")
    assert {p.name for p in guest.packages() if p.installed != p.candidate} == {"nanny-demo-web"}


def test_a_package_pinned_by_a_configuration_stays(guest: SimulatedGuest, tmp_path: Path) -> None:
    (tmp_path / "preferences").write_text("\nPackage: nanny-demo-lib\nPin: version 2.4-1\nPin-Priority: 1001\n")
    (tmp_path / "apt.conf").write_text(f'Dir::Etc::preferences "{tmp_path}/preferences";\n')
    stand_in(guest, "apt-get", "-y", "-c", str(tmp_path / "apt.conf"), "upgrade")
    assert {p.name for p in guest.packages() if p.installed != p.candidate} == {"nanny-demo-lib"}


def test_the_shipped_script_runs_against_the_stand_ins(guest: SimulatedGuest, tmp_path: Path) -> None:
    script = str(tmp_path / "apt.sh")
    Path(script).write_bytes(assembled("apt.sh"))
    path = {"PATH": str(guest.directory / "bin")}
    dry = run(["sh", script, "--dry-run", "--exclude=nanny-demo-web"], timeout=60, env=path)
    assert dry.exit_code == 0, dry.stderr
    planned = {entry["name"] for entry in json.loads(dry.stdout.splitlines()[-1])}
    assert planned == {"nanny-demo-conf", "nanny-demo-lib", "nanny-demo-tls"}
    assert all(package.installed != package.candidate for package in guest.packages())
    applied = run(["sh", script, "--security-only"], timeout=60, env=path)
    assert applied.exit_code == 0, applied.stderr
    assert [entry["name"] for entry in json.loads(applied.stdout.splitlines()[-1])] == ["nanny-demo-tls"]
    assert {p.name for p in guest.packages() if p.installed == p.candidate} == {"nanny-demo-tls"}


def test_unknown_things_fail_as_with_the_real_programs(guest: SimulatedGuest) -> None:
    assert stand_in(guest, "apt-get", "install", "no-such").exit_code == 100
    assert stand_in(guest, "dpkg-query", "-W", "no-such").exit_code == 1
    assert stand_in(guest, "apt-get", "source", "x").exit_code == 100


def test_the_table_can_be_replaced(guest: SimulatedGuest) -> None:
    guest.write_packages([Package("only", "1", "2", security=True)])
    assert guest.packages() == [Package("only", "1", "2", security=True)]
    policy = stand_in(guest, "apt-cache", "policy", "only").stdout.decode()
    assert "Installed: 1\n  Candidate: 2" in policy
    assert "only/stable-security 2 all [upgradable from: 1]" in stand_in(guest, "apt", "list").stdout.decode()


def test_its_files_can_be_kept_and_brought_back(guest: SimulatedGuest) -> None:
    note = guest.rootfs / "root/note"
    note.write_text("before")
    guest.keep("s1")
    note.write_text("after")
    (guest.rootfs / "root/new").write_text("")
    guest.bring_back("s1")
    assert (note.read_text(), (guest.rootfs / "root/new").exists()) == ("before", False)
    guest.drop("s1")
    with pytest.raises(FileNotFoundError):
        guest.bring_back("s1")
