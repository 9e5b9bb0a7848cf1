"""What a file system holds, as one comparable line per path: kind, mode, owner, size, time, content, link target."""

import hashlib
import os
import stat
from collections.abc import Collection
from pathlib import Path

PIECE = 1 << 20


def snapshot(root: Path, *, without: Collection[str] = ()) -> dict[str, str]:
    """Describe every path below ``root``; ``without`` names paths (with all below them) that are left out.

    A directory's size and time are left out: they change when a file comes and goes, which its other lines tell.
    """
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        inside = "/" + os.path.relpath(folder, root).removeprefix(".").lstrip("/")
        folders[:] = sorted(name for name in folders if _joined(inside, name) not in without)
        for name in sorted([*folders, *files]):
            path = _joined(inside, name)
            if path not in without:
                found[path] = _describe(Path(folder) / name)
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return one line per path that came, went or changed."""
    lines = [f"came: {path}" for path in sorted(after.keys() - before.keys())]
    lines += [f"went: {path}" for path in sorted(before.keys() - after.keys())]
    both = sorted(before.keys() & after.keys())
    return lines + [f"changed: {path}: {before[path]} -> {after[path]}" for path in both if before[path] != after[path]]


def _joined(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def _describe(path: Path) -> str:
    found = path.lstat()
    words = [stat.filemode(found.st_mode), f"{found.st_uid}:{found.st_gid}"]
    if stat.S_ISREG(found.st_mode):
        words += [str(found.st_size), str(found.st_mtime_ns), _digest(path)]
    elif stat.S_ISLNK(found.st_mode):
        words.append(str(path.readlink()))
    elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        words.append(f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}")
    return " ".join(words)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
