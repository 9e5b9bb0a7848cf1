"""A Debian in which dnf, zypper and pacman are installed beside apt, each with a repository of its own to try it on."""

import hashlib
import inspect
import shutil
from pathlib import Path

from nanny_ops.lab import pacman_repository, rpm_repository, ware
from nanny_ops.lab.image import INIT, debootstrapped, made_once

SUITE = "trixie"
PACKAGES = ("dnf", "dnf-plugins-core", "zypper", "pacman-package-manager", "rpm", "createrepo-c", "busybox-static")
#: Parts of dnf that want systemd, D-Bus or packages of the distribution that this is not.
OUT_OF_PLACE = ("local", "system_upgrade", "debuginfo-install", "copr")
#: Documentation, translations and what apt keeps; no test reads them.
DEAD_WEIGHT = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists")


def manager_image(cache: Path, *, mirror: str = "") -> Path:
    """Return the directory of the image, building it on first use: about a minute and 400 MB.

    ``mirror`` is by default the one that apt is configured with. Raises SettingsError, MachineError.
    """
    sources = "".join(inspect.getsource(module) for module in (ware, rpm_repository, pacman_repository))
    recipe = hashlib.sha256(f"{SUITE}{PACKAGES}{OUT_OF_PLACE}{DEAD_WEIGHT}{INIT}{sources}1".encode()).hexdigest()[:12]
    return made_once(cache / f"managers-{SUITE}-{recipe}", lambda root: _build(root, mirror))


def fit_dnf(root: Path) -> None:
    """Make Debian's dnf usable in a root that is none of its distributions."""
    for plugin in OUT_OF_PLACE:
        (root / f"usr/lib/python3/dist-packages/dnf-plugins/{plugin}.py").unlink(missing_ok=True)
    (root / "etc/dnf/vars").mkdir(parents=True, exist_ok=True)
    (root / "etc/dnf/vars/releasever").write_text("1\n")  # which dnf would ask of a package that Debian has not


def empty_anew(root: Path, folders: tuple[str, ...]) -> None:
    """Empty what package managers have filled; temporary folders stay open to everybody."""
    for relative in folders:
        shutil.rmtree(root / relative, ignore_errors=True)
        (root / relative).mkdir(parents=True)
        (root / relative).chmod(0o1777 if relative.endswith("tmp") else 0o755)


def _build(root: Path, mirror: str) -> None:
    debootstrapped(root, SUITE, mirror, PACKAGES)
    _prepare(root)


def _prepare(root: Path) -> None:
    for relative in DEAD_WEIGHT:
        shutil.rmtree(root / relative, ignore_errors=True)
        (root / relative).mkdir(parents=True)
    fit_dnf(root)
    init = root / "usr/sbin/init"
    init.unlink(missing_ok=True)
    init.write_text(INIT)
    init.chmod(0o755)
    rpm_repository.lay_rpm_repository(root)
    pacman_repository.lay_pacman_repository(root)
    empty_anew(root, ("tmp", "var/tmp", "var/cache/dnf", "var/log"))
