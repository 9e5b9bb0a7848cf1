"""Wheels as files: which versions of Python one fits, and how the locked ones are fetched."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanny_ops.errors import SettingsError
from nanny_ops.lab.image import must
from nanny_ops.machine.run import run
from release.lock import of_python

#: Versions of Python that a package fits: Debian 12 (Proxmox VE 8) has the first, 13 (Proxmox VE 9) the last.
PYTHONS = ("3.11", "3.12", "3.13")
#: Wheels for these run on every glibc since 2.28; Debian 12 has 2.36.
LIBRARIES = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
#: Architecture of dpkg -> the machine's name in wheels.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_FETCH_DEADLINE = 300.0
_ARCHITECTURE_DEADLINE = 10.0


@dataclass(frozen=True)
class Wheel:
    """One wheel in its file; the name says what it is (packaging.python.org, binary distribution format)."""

    path: Path

    @property
    def name(self) -> str:
        """Return the distribution's normalised name."""
        return self.path.name.split("-")[0].lower().replace("_", "-").replace(".", "-")

    @property
    def version(self) -> str:
        """Return the distribution's version."""
        return self.path.name.split("-")[1]

    @property
    def digest(self) -> str:
        """Return the file's SHA-256 in hex."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def fits(self, python: str) -> bool:
        """Tell whether it is for a version of Python such as 3.11, as far as its name says."""
        tags, abi = self.path.stem.split("-")[-3:-1]
        exact = "cp" + python.replace(".", "")
        if abi == "abi3":
            return any(tag.startswith("cp3") and int(tag[3:]) <= int(python[2:]) for tag in tags.split("."))
        return (exact in tags.split(".") and abi == exact) or (abi == "none" and "py3" in tags.split("."))


def architecture() -> str:
    """Return what dpkg calls this machine's architecture. Raises ProgramMissing, SettingsError."""
    told = run(["dpkg", "--print-architecture"], timeout=_ARCHITECTURE_DEADLINE)
    name = told.stdout.decode().strip()
    if name not in MACHINES:
        raise SettingsError(f"Packages are made for {', '.join(MACHINES)}, not for '{name}'.")
    return name


def fetch(locks: Sequence[Path], machine: str, cache: Path, pythons: Sequence[str] = PYTHONS) -> list[Wheel]:
    """Return the wheels that lock files name, by pip from its index and with their hashes, or from the cache.

    ``machine`` is x86_64 or aarch64. Raises MachineError.
    """
    recipe = "\n".join([*(of_python(locks, python) for python in pythons), machine, *pythons, *LIBRARIES])
    folder = cache / f"wheels-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        growing = Path(tempfile.mkdtemp(prefix="wheels-new-", dir=cache))
        try:
            for python in pythons:
                lock = growing / "requirements.txt"
                lock.write_text(of_python(locks, python), "utf-8")
                must(_download(lock, machine, python, growing), _FETCH_DEADLINE)
                lock.unlink()
            if not folder.is_dir():
                growing.rename(folder)
        finally:
            shutil.rmtree(growing, ignore_errors=True)
    return sorted((Wheel(path) for path in folder.glob("*.whl")), key=lambda wheel: wheel.path.name)


def _download(lock: Path, machine: str, python: str, into: Path) -> list[str]:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    what = [f"--platform={library}_{machine}" for library in LIBRARIES]
    what += ["--requirement", str(lock)]
    strict = ["--require-hashes", "--no-deps", "--only-binary=:all:", f"--python-version={python}"]
    return [*pip, *strict, *what, f"--dest={into}"]
