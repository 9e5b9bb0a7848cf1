"""Where versions of the agent lie: ``PREFIX/versions/NAME`` is an environment, ``PREFIX/current`` the one that starts.

The wheelhouse's installer makes the same layout.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanny_ops.errors import MachineError, ProgramMissing, ProgramTimeout
from nanny_ops.machine.kept_file import sync_folder
from nanny_ops.machine.run import Done, run

VERSIONS, CURRENT = "versions", "current"
#: Written last into a version that was installed by an update: whose archive it holds.
NOTE = "release.json"
#: Seconds to ask who owns a file.
DEADLINE = 20.0
NO_VERSIONS = "This agent was not installed from a wheelhouse, so a second one has no place."
Run = Callable[..., Done]


@dataclass(frozen=True)
class Versions:
    """The versions below one prefix."""

    prefix: Path

    def home(self, name: str) -> Path:
        """Return the folder of a version."""
        return self.prefix / VERSIONS / name

    @property
    def current(self) -> str:
        """Return the name of the version that starts next. Raises MachineError."""
        try:
            return Path((self.prefix / CURRENT).readlink()).name
        except OSError as wrong:
            raise MachineError(f"{self.prefix / CURRENT} names no version: {wrong.strerror}") from wrong

    def switch(self, name: str) -> None:
        """Let another version start next, by one rename. Raises MachineError for one that is not there, OSError."""
        if not (self.home(name) / "bin").is_dir():
            raise MachineError(f"There is no version {name} to switch to.")
        new = self.prefix / f".{CURRENT}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(f"{VERSIONS}/{name}")
        new.rename(self.prefix / CURRENT)
        sync_folder(self.prefix)

    def installed(self) -> dict[str, str]:
        """Return for the SHA-256 of each release that an update has installed the version that holds it."""
        found = {}
        for note in sorted((self.prefix / VERSIONS).glob(f"*/{NOTE}")):
            found[str(read_json(note).get("sha256", ""))] = note.parent.name
        return found

    def prune(self, keep: set[str]) -> None:
        """Remove every version but these."""
        for path in (self.prefix / VERSIONS).iterdir():
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)


def found(python_prefix: str = sys.prefix) -> Versions | None:
    """Return the versions that this very process was started from; None where it was installed otherwise."""
    home = Path(python_prefix).resolve()
    prefix = home.parent.parent
    return Versions(prefix) if home.parent.name == VERSIONS and (prefix / CURRENT).is_symlink() else None


def running(python_prefix: str = sys.prefix) -> str:
    """Return the name of the version that this process is."""
    return Path(python_prefix).resolve().name


def replaced(python_prefix: str = sys.prefix) -> bool:
    """Tell whether another version than this process's own starts next."""
    versions = found(python_prefix)
    try:
        return versions is not None and versions.current != running(python_prefix)
    except MachineError:  # the link is gone, as while everything is removed
        return False


def owner(python_prefix: str = sys.prefix, run: Run = run) -> str:
    """Return why the agent may not change itself, with the command that may; empty where it may."""
    file = Path(python_prefix).resolve() / "pyvenv.cfg"
    if _owns(run, ["dpkg", "-S", str(file)]):
        return "The package nanny-agent owns this installation: apt install --only-upgrade nanny-agent"
    if _owns(run, ["rpm", "-qf", str(file)]):
        return "The package nanny-agent owns this installation: dnf upgrade nanny-agent"
    return "" if found(python_prefix) is not None else NO_VERSIONS


def read_json(path: Path) -> dict[str, Any]:
    """Return what a small file tells; nothing where it is not there or damaged."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def write(path: Path, content: str) -> None:
    """Write a file that all may read, by one rename, and have it on disk. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.chmod(0o644)
    new.rename(path)
    sync_folder(path.parent)


def _owns(run: Run, argv: list[str]) -> bool:
    try:
        return run(argv, timeout=DEADLINE).exit_code == 0
    except (ProgramMissing, ProgramTimeout):
        return False
