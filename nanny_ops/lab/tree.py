"""A recursive hash of a file system, by path, so that a difference can be named."""

import hashlib
import os
import stat
from pathlib import Path


def tree_hash(root: Path, volatile: tuple[str, ...] = ()) -> dict[str, str]:
    """Return relative path -> mode, owner and digest of the content or link, for all but the volatile paths.

    A volatile path, relative to ``root``, stands for itself and everything below it. Times are not part of it.
    """
    found: dict[str, str] = {}
    for directory, names, files in os.walk(root):
        base = Path(directory)
        names[:] = [name for name in names if str((base / name).relative_to(root)) not in volatile]
        for name in (*names, *files):
            path = base / name
            relative = str(path.relative_to(root))
            if relative not in volatile:
                found[relative] = _digest(path)
    return found


def _digest(path: Path) -> str:
    status = path.lstat()
    head = f"{status.st_mode:o}:{status.st_uid}:{status.st_gid}:"
    if stat.S_ISLNK(status.st_mode):
        return head + os.readlink(path)  # noqa: PTH115 - the text of the link, not a Path
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            return head + hashlib.file_digest(file, "sha256").hexdigest()
    return head
