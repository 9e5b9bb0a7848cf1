"""Files that the helper believes: nobody but root, or the user it runs as, can have written or replaced them."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from nanny_ops.errors import SettingsError

#: Links on the way to a file, at most, as the kernel has it.
MOST_LINKS = 40


def demand(path: Path) -> None:
    """Refuse a path that others may change, or one of whose folders they may. Raises SettingsError.

    A link on the way is a file like others: whoever may replace it chooses what is believed.
    """
    try:
        way = list(_way(path))
        for one in way:
            _demand(one, one.lstat(), folder=one != way[-1])
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


def _way(path: Path) -> Iterator[Path]:
    """Walk from / to a path as the kernel does, with each link, folder and file on the way. Raises OSError."""
    here, left, links = Path("/"), list(path.absolute().parts[1:]), 0
    yield here
    while left:
        word = left.pop(0)
        here = here.parent if word == ".." else here / word
        if here.is_symlink():
            yield here
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = here.readlink()
            left = [*(target.parts[1:] if target.is_absolute() else target.parts), *left]
            here = Path("/") if target.is_absolute() else here.parent
        else:
            yield here


def _demand(path: Path, found: os.stat_result, *, folder: bool) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise SettingsError(f"{path} does not belong to root; run 'chown root {path}'.")
    sticky = folder and found.st_mode & stat.S_ISVTX  # as /tmp: what lies in it can be replaced by its owner only
    if found.st_mode & 0o022 and not sticky and not stat.S_ISLNK(found.st_mode):  # a link's own mode means nothing
        raise SettingsError(f"{path} may be changed by others; run 'chmod go-w {path}'.")
