"""The wheelhouse on machines without internet and without venv's own pip: one file makes a service."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab.deb import Deb
from nanny_ops.lab.deb import build as build_deb
from nanny_ops.lab.file_tree import differences, snapshot
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.wheel import MACHINES, architecture
from release.wheelhouse import PACKAGING, build
from tests.machines.conftest import need_machines

# The first test of each Debian may have to make its image.
pytestmark = [pytest.mark.machine, pytest.mark.timeout(600)]
EPOCH = 1_760_000_000
VERSION = "9.0.0"
INSTALL = ("/root/house/install.sh", "--service")
#: Where Debian's own Python and its libraries lie.
PYTHON = ("/usr/lib/python3", "/usr/local/lib/python3")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheelhouse")
    shutil.unpack_archive(build(VERSION, EPOCH, place, MACHINES[architecture()]), place / "house", filter="data")
    return place / "house"


@pytest.fixture(scope="module", params=("bookworm", "trixie"))
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, house: Path
) -> Iterator[SystemdMachine]:
    need_machines()
    image = machine_image(cache_dir(dict(os.environ)), request.param)
    with SystemdMachine(image, tmp_path_factory.mktemp(request.param)) as made:
        # Proxmox VE installs neither; nothing may need them.
        made.must("dpkg", "--purge", "--force-depends", *_without_pip(made))
        made.put(house, "/root/house")
        yield made


def _without_pip(machine: SystemdMachine) -> list[str]:
    told = machine.must("dpkg-query", "--show", "--showformat=${Package}\\n")
    return [
        name for name in told.split() if name.endswith("-venv") or name.startswith(("python3-pip", "python3-wheel"))
    ]


def test_one_file_makes_a_service_beside_an_untouched_python(machine: SystemdMachine) -> None:
    assert machine.run(["python3", "-c", "import ensurepip"]).exit_code != 0
    before = snapshot(machine.rootfs)
    said = machine.must(*INSTALL, timeout=120)
    assert "nanny-agent register && systemctl enable --now nanny-agent" in said
    assert machine.must("/usr/local/bin/nanny-agent", "--version").strip() == f"nanny-agent {VERSION}"
    changed = [line.split(": ")[1] for line in differences(before, snapshot(machine.rootfs))]
    assert [path for path in changed if path.startswith(PYTHON)] == []
    assert "/opt/nanny-agent/bin" in changed
    assert machine.must("systemctl", "is-active", "nanny-agent-helper.socket").strip() == "active"
    assert machine.must("systemctl", "is-system-running").strip() == "running"
    shown = machine.must("systemctl", "show", "--value", "--property=ExecStart", "nanny-agent.service")
    assert "path=/opt/nanny-agent/bin/nanny-agent " in shown
    assert machine.must("stat", "--format=%U %a", "/var/lib/nannyagent").strip() == "nannyagent 700"


def test_installing_again_changes_nothing_that_somebody_wrote(machine: SystemdMachine) -> None:
    settings = "/etc/nanny-ops/agent.toml"
    assert machine.run(["tee", settings], stdin=b'url = "https://ops.example.com"\n').exit_code == 0
    machine.must(*INSTALL, timeout=120)
    assert machine.must("cat", settings) == 'url = "https://ops.example.com"\n'


def test_a_package_does_not_unpack_over_it_and_it_not_over_a_package(machine: SystemdMachine, tmp_path: Path) -> None:
    scripts = {"preinst": (PACKAGING / "debian/preinst").read_text()}
    package = Deb("nanny-agent", "1.0", {"opt/nanny-agent/bin/nanny-agent": "#!/bin/sh\n"}, scripts=scripts)
    machine.put(build_deb(package, tmp_path), "/root/agent.deb")
    refused = machine.run(["dpkg", "--install", "/root/agent.deb"])
    assert refused.exit_code == 1
    assert b"was installed from a wheelhouse; run its install.sh --remove first" in refused.stderr
    assert machine.must("/usr/local/bin/nanny-agent", "--version").strip() == f"nanny-agent {VERSION}"
    machine.must("/root/house/install.sh", "--remove")
    assert machine.run(["find", "/opt/nanny-agent", "/usr/local/bin/nanny-agent"]).stdout == b""
    assert machine.must("find", "/etc/systemd/system", "/etc/sysusers.d", "-name", "nanny*") == ""
    assert machine.must("find", "/etc/nanny-ops", "-type", "f").strip() == "/etc/nanny-ops/agent.toml"
    assert machine.must("systemctl", "is-system-running").strip() == "running"
    machine.must("dpkg", "--install", "/root/agent.deb")
    done = machine.run(INSTALL)
    assert done.exit_code == 1
    assert b"belongs to the package nanny-agent; upgrade it with apt-get" in done.stderr
