"""Debian 11, whose Python is too old: its own apt and dpkg refuse the package and say why."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab.deb import Deb
from nanny_ops.lab.deb import build as build_deb
from nanny_ops.lab.image import cache_dir, debian_image, lay_image, lift_image
from nanny_ops.machine.run import Done, run
from release.package import build
from release.wheel import architecture
from tests.machines.conftest import need_machines

# The first run has to make the image.
pytestmark = [pytest.mark.machine, pytest.mark.timeout(600)]
#: What Debian 11 has of what the package asks for, and its smallest image has not: only the versions count here.
HAS = (Deb("python3", "3.9.2-3"), Deb("systemd", "247.3-7+deb11u7"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    need_machines()
    home = tmp_path_factory.mktemp("bullseye")
    files = [build_deb(deb, home / "debs") for deb in HAS]
    files.append(build("9.0.0", 1_760_000_000, home / "debs", architecture()))
    lay_image(debian_image(cache_dir(dict(os.environ)), suite="bullseye"), home / "root")
    try:
        for file in files:
            (home / "root/srv" / file.name).write_bytes(file.read_bytes())
        done = inside(home / "root", "dpkg", "--install", *(f"/srv/{file.name}" for file in files[:-1]))
        assert done.exit_code == 0, done.stderr
        yield home / "root"
    finally:
        lift_image(home / "root")


def inside(root: Path, *argv: str) -> Done:
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    return run(["chroot", str(root), *argv], timeout=60, env=environ)


def test_apt_refuses_and_names_the_python_that_is_needed(root: Path) -> None:
    assert (root / "etc/debian_version").read_text().startswith("11.")
    file = next((root / "srv").glob("nanny-agent_*"))
    done = inside(root, "apt-get", "install", "--yes", f"/srv/{file.name}")
    said = (done.stdout + done.stderr).decode()
    assert done.exit_code == 100, said
    assert "nanny-agent : Depends: python3 (>= 3.11) but 3.9.2-3 is to be installed" in said
    assert not (root / "opt/nanny-agent").exists()


def test_dpkg_alone_does_not_configure_it_and_says_why(root: Path) -> None:
    file = next((root / "srv").glob("nanny-agent_*"))
    done = inside(root, "dpkg", "--install", f"/srv/{file.name}")
    said = (done.stdout + done.stderr).decode()
    assert done.exit_code == 1
    assert "nanny-agent depends on python3 (>= 3.11)" in said
    assert "Version of python3 on system is 3.9.2-3" in said
    assert inside(root, "dpkg", "--purge", "nanny-agent").exit_code == 0
    assert not (root / "opt/nanny-agent").exists()
    assert (root / "opt").is_dir()
