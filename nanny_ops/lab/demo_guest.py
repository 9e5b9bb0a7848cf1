"""What a fresh guest of a lab holds: the demo packages in their first version, and a repository with the second."""

import shutil
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.lab.apt_repository import INSTALLED, MOUNTED_AT, OFFERED, demo_repository, digest_of
from nanny_ops.lab.image import copy_image, debian_image, made_once
from nanny_ops.lab.simulated import Package, SimulatedGuest
from nanny_ops.machine.run import run

STAND_INS = Path(__file__).parent / "stand_ins"
#: Seconds for dpkg and apt in a fresh root.
PREPARE_DEADLINE = 120.0


def prepared_image(cache: Path, mirror: str = "", base: Path | None = None) -> Path:
    """Return a Debian image with the demo packages installed and newer ones offered, made on first use.

    ``base`` is the image without them, by default the lab's own. Raises SettingsError, MachineError.
    """
    base = base or debian_image(cache, mirror=mirror)
    image = base.with_name(f"{base.name}-demo-{digest_of((*INSTALLED, *OFFERED))}")
    return made_once(image, lambda root: _install(base, root))


def repository_in(rootfs: Path) -> Path:
    """Return where a guest's repository lies, seen from this host."""
    return rootfs / MOUNTED_AT.lstrip("/")


def make_simulated(guest: SimulatedGuest, hostname: str) -> None:
    """Make a simulated guest that claims the same packages."""
    offered = {deb.name: deb for deb in OFFERED}
    packages = [
        Package(deb.name, deb.version, offered[deb.name].version, offered[deb.name].security) for deb in INSTALLED
    ]
    guest.create(hostname, packages, STAND_INS)


def _install(base: Path, root: Path) -> None:
    copy_image(base, root)
    building = root / "tmp/lab"
    repository = demo_repository(building)
    debs = [f"/tmp/lab/installed/{deb.filename}" for deb in INSTALLED]
    _inside(root, "dpkg", "--install", *debs)
    repository.copy_to(root)
    shutil.rmtree(building)
    _inside(root, "apt-get", "update")


def _inside(root: Path, *argv: str) -> None:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = run(["chroot", str(root), *argv], timeout=PREPARE_DEADLINE, env=environment)
    if done.exit_code != 0:
        raise MachineError(f"'{argv[0]}' failed in a fresh root: {done.stderr.decode(errors='replace')[-800:]}")
