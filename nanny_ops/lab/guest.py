"""What the pct stand-in asks of a guest, real container or simulated, and how files cross over."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol

#: What real pct gives a program as its PATH.
GUEST_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"
CHUNK = 1 << 20


class Guest(Protocol):
    """One container as pct sees it."""

    def pid(self) -> int | None:
        """Return the process id of its init, None when it does not run."""

    def replace_process(self, argv: list[str], *, keep_env: bool) -> NoReturn:
        """Turn this process into ``argv`` inside the guest."""

    def enter(self) -> None:
        """Let this process see the guest's file system as its own, as far as the guest can do that."""

    def leave(self, outside: int) -> None:
        """Undo :meth:`enter`; ``outside`` is an open descriptor of this host's root directory."""

    def resolve(self, path: str) -> str:
        """Return where a path of the guest lies, seen from a process that has entered."""

    def start(self) -> None:
        """Start it. Raises MachineError."""

    def stop(self) -> None:
        """Stop it at once."""

    def shutdown(self, timeout: float) -> bool:
        """Ask it to end within ``timeout`` seconds; return whether it did."""


class CopyFailed(Exception):
    """A file could not be copied; the text is what pct prints."""


def push(guest: Guest, source: str, target: str, *, perms: str = "", user: str = "", group: str = "") -> None:
    """Copy a file of this host into the guest; a directory is silently not copied. Raises CopyFailed.

    The process stays inside the guest afterwards, so this is the last thing that it does.
    """
    try:
        reading = os.open(source, os.O_RDONLY)
    except OSError as wrong:
        raise CopyFailed(f"failed to open {source} for reading") from wrong
    guest.enter()
    owner = _number(guest, "passwd", "uid", user)
    owning_group = _number(guest, "group", "gid", group)
    writing = _create(guest.resolve(target), target)
    _pour(reading, writing)
    if perms:
        os.fchmod(writing, int(perms, 8))
    if owner is not None or owning_group is not None:
        with suppress(PermissionError):  # all files of a simulated guest belong to one user
            os.fchown(writing, -1 if owner is None else owner, -1 if owning_group is None else owning_group)
    os.close(writing)
    os.close(reading)


def pull(guest: Guest, source: str, target: str) -> None:
    """Copy a file of the guest to this host; a directory is silently not copied. Raises CopyFailed."""
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    outside = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    guest.enter()
    try:
        reading = os.open(guest.resolve(source), os.O_RDONLY)
    except OSError as wrong:
        raise CopyFailed(f"failed to open {source}: {os.strerror(wrong.errno or 0)}") from wrong
    guest.leave(outside)
    os.fchdir(here)
    writing = _create(target, target)
    _pour(reading, writing)
    for descriptor in (writing, reading, outside, here):
        os.close(descriptor)


def _create(path: str, named: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    except OSError as wrong:
        raise CopyFailed(f"failed to create file: {named}: {os.strerror(wrong.errno or 0)}") from wrong


def _pour(reading: int, writing: int) -> None:
    with suppress(IsADirectoryError):  # pct says nothing about a directory
        while piece := os.read(reading, CHUNK):
            _write_all(writing, piece)


def _write_all(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except OSError as wrong:
            raise CopyFailed(f"failed to write: {os.strerror(wrong.errno or 0)}") from wrong


def _number(guest: Guest, table: str, kind: str, name: str) -> int | None:
    """Look a user or group up in the guest's own table; numbers stand for themselves."""
    if not name or name.isdigit():
        return int(name) if name else None
    with suppress(OSError):
        for line in Path(guest.resolve(f"/etc/{table}")).read_text(errors="replace").splitlines():
            fields = line.split(":")
            if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
                return int(fields[2])
    raise CopyFailed(f"failed to get {kind} for: {name}")
