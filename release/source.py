"""The project as it is packed: its version, the time that stands in packages, and its own wheel."""

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nanny_ops.errors import SettingsError
from nanny_ops.lab.image import must
from nanny_ops.machine.run import run

ROOT = Path(__file__).parents[1]
#: What a wheel is made of.
SOURCES = ("nanny_ops", "playbooks", "pyproject.toml", "README.md", "LICENSE")
VERSION_FILE = "nanny_ops/__init__.py"
#: Seconds of the epoch that stand in packages where neither the environment nor git knows better.
SOME_TIME = 1767225600
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
#: Versions that mean the same to pip and, with a tilde, to dpkg.
_SIMPLE = re.compile(r"[0-9]+(\.[0-9]+)*((a|b|rc|\.dev|\.post)[0-9]+)?")
_BUILD_DEADLINE = 60.0
_GIT_DEADLINE = 10.0


def version_of(root: Path = ROOT) -> str:
    """Return the version that the source names. Raises SettingsError."""
    found = _VERSION.search((root / VERSION_FILE).read_text("utf-8"))
    if not found:
        raise SettingsError(f"{VERSION_FILE} names no version.")
    return found[1]


def demand_version(text: str) -> str:
    """Return a version that can be given to a package, as it is. Raises SettingsError."""
    if not _SIMPLE.fullmatch(text):
        raise SettingsError(f"'{text}' is no version like 1.2.3, 1.2.3rc1 or 1.2.3.dev4.")
    return text


def built_at(environ: Mapping[str, str], root: Path = ROOT) -> int:
    """Return the seconds of the epoch that stand in a package, so that a rebuilt one is the same to the byte.

    SOURCE_DATE_EPOCH (reproducible-builds.org) comes first, then the last commit. Raises SettingsError.
    """
    given = environ.get("SOURCE_DATE_EPOCH", "")
    if given:
        if not re.fullmatch(r"[0-9]{1,11}", given):
            raise SettingsError("SOURCE_DATE_EPOCH must be a number of seconds.")
        return int(given)
    told = run(["git", "-C", str(root), "log", "-1", "--format=%ct"], timeout=_GIT_DEADLINE)
    text = told.stdout.decode().strip()
    return int(text) if told.exit_code == 0 and text.isdecimal() else SOME_TIME


def own_wheel(version: str, epoch: int, into: Path, root: Path = ROOT) -> Path:
    """Build the project's wheel under a version into a directory and return it. Raises MachineError."""
    with tempfile.TemporaryDirectory(prefix="nanny-source-") as scratch:
        tree = Path(scratch)
        for name in SOURCES:
            _copy(root / name, tree / name)
        text = (tree / VERSION_FILE).read_text("utf-8")
        (tree / VERSION_FILE).write_text(_VERSION.sub(f'__version__ = "{version}"', text), "utf-8")
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into)]
        must(["env", f"--chdir={tree}", f"SOURCE_DATE_EPOCH={epoch}", *build], _BUILD_DEADLINE)
    return next(into.glob(f"nanny_ops-{version}-*.whl"))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)
