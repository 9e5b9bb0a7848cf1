"""What root writes for the daemon is written as the daemon's user, who has to read and replace it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Be, for as long as the block takes, the user to whom ``folder`` belongs; nobody else than root changes.

    So root follows no link that another user has laid into a folder of theirs.
    """
    found = folder.stat() if os.geteuid() == 0 and folder.is_dir() else None
    if found is None or found.st_uid == 0:
        yield
        return
    group = os.getegid()
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
