"""A small file system of its own, whose every block can be searched afterwards, those of deleted files too."""

import mmap
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nanny_ops.lab.image import must
from nanny_ops.machine.run import run

DEADLINE = 120.0
#: What control planes hand out: opaque tokens, and signed ones.
TOKEN = re.compile(rb"n(?:op|sk)_[A-Za-z0-9_-]{43}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}")


@dataclass
class DiskImage:
    """A fresh ext4 in a file beside ``place``, where it is mounted; a context manager. Sizes in MiB.

    Its journal takes all that is written, not names alone, and is so long that nothing in it is written over: blocks of
    what is deleted are used again at once. The file takes as much as was written, not its size.
    """

    place: Path
    size: int = 4096
    journal: int = 2000

    @property
    def file(self) -> Path:
        """Return the file that holds the blocks."""
        return self.place.with_name(f"{self.place.name}.ext4")

    def __enter__(self) -> Self:
        """Make and mount it, so that each write reaches the blocks before it returns: also what is deleted at once."""
        with self.file.open("wb") as file:
            file.truncate(self.size << 20)
        lazily = "nodiscard,lazy_itable_init=1,lazy_journal_init=1"
        must(["mkfs.ext4", "-q", "-F", "-J", f"size={self.journal}", "-E", lazily, str(self.file)], DEADLINE)
        self.place.mkdir()
        must(["mount", "-o", "loop,nodiscard,sync,noatime,data=journal", str(self.file), str(self.place)], DEADLINE)
        return self

    def __exit__(self, *_failure: object) -> None:
        """Unmount it, also where something still uses it."""
        run(["umount", "--lazy", str(self.place)], timeout=DEADLINE)
        self.file.unlink()

    def found(self, secrets: Collection[bytes]) -> set[bytes]:
        """Write all back, unmount, and return which secrets stand in any block."""
        must(["sync", "--file-system", str(self.place)], DEADLINE)
        must(["umount", str(self.place)], DEADLINE)
        with self.file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as blocks:
            return {secret for secret in secrets if blocks.find(secret) >= 0}
