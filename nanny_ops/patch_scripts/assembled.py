"""Patch scripts as they travel: one file each, with what they share put in."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
#: The text that scripts share; it is no script by itself.
COMMON = "common.sh"
#: The line of a script in whose place that text comes; run from this folder, a script reads the file instead.
LINE = re.compile(rb'^\. "\$\{0%/\*\}/common\.sh"\n', re.MULTILINE)


def assembled(script: str) -> bytes:
    """Return a script of this folder by its file name. Raises ValueError if it names the shared text more than once."""
    own, shared = (FOLDER / script).read_bytes(), (FOLDER / COMMON).read_bytes()
    parts = LINE.split(own)
    if len(parts) > 2:
        raise ValueError(f"{script} takes in {COMMON} more than once.")
    return shared.join(parts)


def scripts() -> list[str]:
    """Return the file names of all scripts."""
    return sorted(path.name for path in FOLDER.glob("*.sh") if path.name != COMMON)
