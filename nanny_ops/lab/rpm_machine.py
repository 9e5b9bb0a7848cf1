"""A machine whose packages are rpm's: dnf and zypper with a repository of their own, on what Debian boots.

What is proved on it is the package manager, not a distribution: the system below is Debian under another name, and its
own packages are no part of rpm's database.
"""

import hashlib
import inspect
import shutil
from pathlib import Path

from nanny_ops.lab import rpm_repository, ware
from nanny_ops.lab.image import copy_image, only_one
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.manager_image import OUT_OF_PLACE, SUITE

PACKAGES = ("dnf", "dnf-plugins-core", "zypper", "rpm", "createrepo-c", "python3-dnf")
#: Name of an image -> what its os-release says, by which everything here chooses the package manager.
RELEASES = {
    "fedora": 'NAME="Fedora Linux"\nID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora Linux 41 (lab)"\n',
    "opensuse": 'NAME="openSUSE Leap"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n'
    'PRETTY_NAME="openSUSE Leap 15.6 (lab)"\n',
}
#: What would tell Ansible and people that this is Debian.
TELLTALES = ("etc/debian_version", "usr/bin/apt", "usr/bin/apt-get")


def rpm_machine(cache: Path, release: str, *, mirror: str = "") -> Path:
    """Return the directory of the image for one of :data:`RELEASES`, building it on first use: some minutes, 500 MB.

    Raises SettingsError, MachineError.
    """
    base = machine_image(cache, SUITE, mirror=mirror, more=PACKAGES)
    sources = "".join(inspect.getsource(module) for module in (ware, rpm_repository))
    recipe = hashlib.sha256(f"{RELEASES[release]}{OUT_OF_PLACE}{TELLTALES}{sources}1".encode()).hexdigest()[:12]
    image = base.with_name(f"{base.name}-{release}-{recipe}")
    with only_one(image.with_name(f"{image.name}.lock")):
        if not image.is_dir():
            growing = image.with_name(f"{image.name}.new")
            shutil.rmtree(growing, ignore_errors=True)
            copy_image(base, growing)
            _prepare(growing, RELEASES[release])
            growing.rename(image)
    return image


def _prepare(root: Path, release: str) -> None:
    for plugin in OUT_OF_PLACE:
        (root / f"usr/lib/python3/dist-packages/dnf-plugins/{plugin}.py").unlink(missing_ok=True)
    (root / "etc/dnf/vars").mkdir(parents=True, exist_ok=True)
    (root / "etc/dnf/vars/releasever").write_text("1\n")  # which dnf would ask of a package that Debian has not
    rpm_repository.lay_rpm_repository(root)
    for relative in TELLTALES:
        (root / relative).unlink(missing_ok=True)
    (root / "etc/os-release").unlink(missing_ok=True)
    (root / "etc/os-release").write_text(release)
    for relative in ("tmp", "var/tmp", "var/cache/dnf"):
        shutil.rmtree(root / relative, ignore_errors=True)
        (root / relative).mkdir(parents=True)
        (root / relative).chmod(0o1777 if relative.endswith("tmp") else 0o755)
