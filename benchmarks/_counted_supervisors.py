"""The product's own fork server, which also notes what it and each supervisor have used of the CPU, in a folder.

Its call: ``python -m benchmarks._counted_supervisors FOLDER NOTES``. What the children of a supervisor use, ``pct`` and
scripts, is not in its note. The server's note holds its interpreter and all its imports.
"""

import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from nanny_ops.machine import fork_server
from nanny_ops.machine.supervisor import see_to


def own() -> float:
    """Return the CPU seconds of this process alone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(folder: Path, notes: Path) -> None:
    """Serve until nobody asks, as the product does."""

    def counted(directory: Path, seal: str, environ: Mapping[str, str], settled: Callable[[int], None]) -> int:
        try:
            return see_to(directory, seal, environ, settled)
        finally:
            (notes / directory.name).write_text(str(own()))

    fork_server.see_to = counted
    fork_server.serve(folder, lambda: (notes / "ready").touch(), idle=2.0)
    (notes / "server").write_text(str(own()))


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
