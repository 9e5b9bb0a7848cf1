"""Machines with systemd: they boot, restart and lose their power; they run units and containers; nothing is left."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab import nspawn, systemd_machine
from nanny_ops.lab.file_tree import differences, snapshot
from nanny_ops.lab.image import cache_dir, debian_image
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from nanny_ops.machine.run import run
from tests.machines.conftest import need_machines

# The first test of each Debian may have to make its image.
pytestmark = [pytest.mark.machine, pytest.mark.timeout(600)]
SUITES = {"bookworm": "12.", "trixie": "13."}
GUEST = """lxc.rootfs.path = dir:/run/guest/root
lxc.uts.name = guest
lxc.net.0.type = empty
lxc.init.cmd = /sbin/init
lxc.mount.auto = proc:mixed sys:ro
lxc.autodev = 1
lxc.tty.max = 0
lxc.pty.max = 64
"""
LAYERS = "lowerdir=/srv/guest,upperdir=/run/guest/upper,workdir=/run/guest/work"


@pytest.fixture(scope="module", params=SUITES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    need_machines()
    cache = cache_dir(dict(os.environ))
    image = machine_image(cache, request.param)
    home = tmp_path_factory.mktemp(request.param)
    with SystemdMachine(image, home, binds={debian_image(cache): "/srv/guest"}) as made:
        version = made.must("cat", "/etc/debian_version")
        assert version.startswith(SUITES[request.param])
        yield made
    assert traces(made) == []


def traces(machine: SystemdMachine) -> list[str]:
    """Return what a machine has left on this host."""
    left = [str(path) for path in (machine.home, *nspawn.groups(machine.name)) if path.exists()]
    left += [line for line in Path("/proc/self/mounts").read_text().splitlines() if machine.name in line]
    links = run(["ip", "-oneline", "link"], timeout=10).stdout.decode()
    left += [line for line in links.splitlines() if machine.name in line]
    return left + [str(path) for path in Path("/run/systemd/nspawn").rglob("*") if machine.name in path.name]


def test_it_is_a_node_with_systemd_and_nothing_failed(machine: SystemdMachine) -> None:
    assert machine.must("systemctl", "is-system-running").strip() == "running"
    assert machine.must("cat", "/proc/1/comm").strip() == "systemd"
    assert machine.must("hostname").strip() == "pve1"
    assert "cgroup2" in machine.must("stat", "--file-system", "--format=%T", "/sys/fs/cgroup")


def test_a_transient_unit_runs_outside_what_started_it(machine: SystemdMachine) -> None:
    limits = ["--property=MemoryMax=64M", "--property=TasksMax=16", "--property=RuntimeMaxSec=600"]
    machine.must("systemd-run", "--collect", "--unit=job", *limits, "sleep", "300")
    shown = machine.must("systemctl", "show", "job", "--property=ActiveState,MemoryMax,TasksMax")
    assert set(shown.split()) == {"ActiveState=active", "MemoryMax=67108864", "TasksMax=16"}
    machine.must("systemctl", "stop", "job")
    assert "LoadState=not-found" in machine.must("systemctl", "show", "job", "--property=LoadState")


def test_a_container_runs_in_it(machine: SystemdMachine) -> None:
    machine.must("mkdir", "-p", "/run/guest/root", "/run/guest/upper", "/run/guest/work", "/var/lib/lxc/101")
    machine.must("mount", "-t", "overlay", "overlay", "-o", LAYERS, "/run/guest/root")
    assert machine.run(["tee", "/var/lib/lxc/101/config"], stdin=GUEST.encode()).exit_code == 0
    machine.must("lxc-start", "--name=101")
    assert machine.must("lxc-attach", "--name=101", "--", "hostname").strip() == "guest"
    machine.must("lxc-stop", "--name=101", "--kill")
    machine.must("umount", "/run/guest/root")


@pytest.mark.one_debian
def test_files_go_in_and_out_and_their_traces_are_seen(machine: SystemdMachine, tmp_path: Path) -> None:
    before = snapshot(machine.rootfs, without=("/var/log", "/var/lib/systemd"))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("content")
    for place in ("/tmp/tree", "/opt/tree"):
        machine.put(tmp_path / "tree", place)
        assert machine.must("cat", f"{place}/file") == "content"
    machine.get("/tmp/tree/file", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "content"
    seen = differences(before, snapshot(machine.rootfs, without=("/var/log", "/var/lib/systemd")))
    assert seen == ["came: /opt/tree", "came: /opt/tree/file"]


def test_it_reaches_this_host_and_no_other(machine: SystemdMachine) -> None:
    with socket.create_server((machine.host_address, 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        ask = f"import socket; socket.create_connection(({machine.host_address!r}, {port}), 20).sendall(b'here')"
        machine.must("python3", "-c", ask)
        with server.accept()[0] as link:
            link.settimeout(30)
            assert link.recv(4) == b"here"
    assert "default" not in machine.must("ip", "route")


@pytest.mark.one_debian
def test_it_restarts_and_survives_the_loss_of_power(machine: SystemdMachine) -> None:
    machine.must("sh", "-c", "echo kept >/opt/kept; sync")
    first = machine.must("cat", "/proc/sys/kernel/random/boot_id")
    machine.reboot()
    second = machine.must("cat", "/proc/sys/kernel/random/boot_id")
    machine.cut_power()
    assert not machine.running
    machine.boot()
    third = machine.must("cat", "/proc/sys/kernel/random/boot_id")
    assert len({first, second, third}) == 3
    assert machine.must("cat", "/opt/kept") == "kept\n"


ABANDONED = """
import sys, time
from pathlib import Path
from nanny_ops.lab.systemd_machine import SystemdMachine
machine = SystemdMachine(Path(sys.argv[1]), Path(sys.argv[2]), number=sys.argv[3])
machine.create()
machine.boot()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.one_debian
def test_a_machine_whose_lab_was_killed_ends_and_is_cleared_away(machine: SystemdMachine, tmp_path: Path) -> None:
    other = SystemdMachine(machine.image, tmp_path / "lab")
    argv = [sys.executable, "-c", ABANDONED, str(other.image), str(other.directory), other.number]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as lab:
        assert lab.stdout is not None
        assert lab.stdout.readline() == b"ready\n"
        assert nspawn.first_process(other.name) is not None
        lab.kill()
    deadline = time.monotonic() + 60
    while nspawn.members(other.name):
        assert time.monotonic() < deadline, "the machine outlives the process that booted it"
        time.sleep(0.1)
    assert traces(other) != []
    lock = systemd_machine._lock(other.rootfs)
    moved = (tmp_path / "lab").rename(tmp_path / "garbage")
    assert other.name in systemd_machine.remove_abandoned()
    assert not (moved / systemd_machine.FOLDER / other.name).exists()
    assert traces(other) == []
    assert not lock.exists()
    assert machine.must("systemctl", "is-system-running").strip() == "running"  # two at once do not meet
