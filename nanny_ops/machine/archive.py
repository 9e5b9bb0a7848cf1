"""Unpack an archive that was verified: plain files below one folder, and no more than was agreed."""

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from nanny_ops.errors import VerbRefused
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.release import CONTENT_CAP, MOST_ENTRIES


def unpack(archive: Path, folder: Path, most: int = MOST_ENTRIES) -> None:
    """Write an archive's files below a folder. Raises VerbRefused for any other kind of entry, OSError."""
    left = CONTENT_CAP
    try:
        with tarfile.open(archive, mode="r:*") as tar:
            for number, entry in enumerate(tar):
                left -= entry.size
                if number >= most or left < 0:
                    raise _refusal("It holds more than a release may.")
                _extract(tar, entry, folder)
    except (tarfile.TarError, EOFError, ValueError) as wrong:
        raise _refusal(str(wrong)) from wrong


def _extract(tar: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _refusal(f"The name {entry.name[:100]!r} leads out of it.")
    target = folder / path
    if entry.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    content = tar.extractfile(entry) if entry.isreg() else None
    if content is None:
        raise _refusal(f"{entry.name[:100]!r} is no plain file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("xb") as file:  # a name that is there twice is an error
        shutil.copyfileobj(content, file)


def _refusal(sentence: str) -> VerbRefused:
    return VerbRefused(f"The archive was not unpacked. {sentence}", outcome=Outcome.UPDATE_FAILED.value)
