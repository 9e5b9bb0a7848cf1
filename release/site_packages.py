"""Wheels of several versions of Python laid out in one directory, from which each version imports.

Compiled parts carry the interpreter's name in theirs, so they lie side by side; all else must be the same. Debian does
so with its own libraries in /usr/lib/python3/dist-packages.
"""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from nanny_ops.errors import SettingsError
from release.wheel import Wheel

#: Who installed a distribution, for whoever asks its metadata (packaging.python.org, recording installed projects).
INSTALLER = "dpkg"
#: Parts of a distribution's metadata that differ between its wheels, and that no importing needs.
_OF_THE_WHEEL = ("RECORD", "WHEEL")


def lay_out(wheels: Sequence[Wheel], tree: Path, wanted: Callable[[str], bool] = lambda _name: True) -> None:
    """Unpack wheels into ``tree``; ``wanted`` tells of a path in a wheel whether it is. Raises SettingsError."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel.path) as archive:
            for name in sorted(name for name in archive.namelist() if not name.endswith("/")):
                if wanted(name) and not _is_of_the_wheel(name):
                    _put(tree, name, archive.read(name), wheel)
    for metadata in tree.glob("*.dist-info"):
        (metadata / "INSTALLER").write_text(f"{INSTALLER}\n")


def demand_all(wheels: Sequence[Wheel], pythons: Sequence[str]) -> None:
    """Refuse wheels of which one distribution is missing for one version of Python. Raises SettingsError."""
    for python in pythons:
        lacking = {wheel.name for wheel in wheels} - {wheel.name for wheel in wheels if wheel.fits(python)}
        if lacking:
            raise SettingsError(f"There is no wheel for Python {python} of {', '.join(sorted(lacking))}.")


def _put(tree: Path, name: str, content: bytes, wheel: Wheel) -> None:
    path = tree / name
    if ".." in path.parts or name.startswith("/") or ".data/" in name:
        raise SettingsError(f"{wheel.path.name} holds {name}, which has no place in a package.")
    if path.exists() and path.read_bytes() != content:
        raise SettingsError(f"{wheel.path.name} and another wheel hold different files {name}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _is_of_the_wheel(name: str) -> bool:
    folder, _, rest = name.partition("/")
    return folder.endswith(".dist-info") and rest in _OF_THE_WHEEL
