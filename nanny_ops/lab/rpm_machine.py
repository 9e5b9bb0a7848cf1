"""A machine whose packages are rpm's: dnf and zypper with a repository of their own, on what Debian boots.

What is proved on it is the package manager, not a distribution: the system below is Debian under another name, and its
own packages are no part of rpm's database.
"""

import hashlib
import inspect
from pathlib import Path

from nanny_ops.lab import rpm_repository, ware
from nanny_ops.lab.image import copy_image, made_once
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.manager_image import OUT_OF_PLACE, SUITE, empty_anew, fit_dnf

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
    return made_once(image, lambda root: _build(root, base, RELEASES[release]))


def _build(root: Path, base: Path, release: str) -> None:
    copy_image(base, root)
    _prepare(root, release)


def _prepare(root: Path, release: str) -> None:
    fit_dnf(root)
    rpm_repository.lay_rpm_repository(root)
    for relative in TELLTALES:
        (root / relative).unlink(missing_ok=True)
    (root / "etc/os-release").unlink(missing_ok=True)
    (root / "etc/os-release").write_text(release)
    empty_anew(root, ("tmp", "var/tmp", "var/cache/dnf"))
