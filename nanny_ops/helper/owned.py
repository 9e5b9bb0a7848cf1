"""Files that the helper believes: nobody but root, or the user it runs as, can have written or replaced them."""

import os
import stat
from pathlib import Path

from nanny_ops.errors import SettingsError


def demand(path: Path) -> None:
    """Refuse a path that others may change, or one of whose folders they may. Raises SettingsError."""
    try:
        real = path.resolve(strict=True)
        for one in (real, *real.parents):
            _demand(one, one.stat(), folder=one != real)
    except OSError as wrong:
        raise SettingsError(f"{path} cannot be used: {wrong.strerror}.") from wrong


def make_folder(folder: Path) -> None:
    """Make the helper's folder, which all may go through and nobody may list, or refuse one that others may change.

    Raises SettingsError.
    """
    try:
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o711)  # whatever the umask is
    except OSError as wrong:
        raise SettingsError(f"{folder} cannot be made: {wrong.strerror}.") from wrong
    demand(folder)


def _demand(path: Path, found: os.stat_result, *, folder: bool) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise SettingsError(f"{path} does not belong to root; run 'chown root {path}'.")
    sticky = folder and found.st_mode & stat.S_ISVTX  # as /tmp: what lies in it can be replaced by its owner only
    if found.st_mode & 0o022 and not sticky:
        raise SettingsError(f"{path} may be changed by others; run 'chmod go-w {path}'.")
