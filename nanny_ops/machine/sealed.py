"""Bytes that nothing can change any more, under a name that a program can open (memfd_create(2), F_ADD_SEALS).

What lies on a disk may be another thing when it is read a second time; what was verified is put here and run from here.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


@contextmanager
def sealed(content: bytes) -> Iterator[Path]:
    """Yield a path, good as long as this process lives and the block lasts. Raises OSError where memory is short."""
    descriptor = os.memfd_create("nanny-script", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)
