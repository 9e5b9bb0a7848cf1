"""Patch scripts as they travel: one file each, with what they share put in."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
#: The texts that scripts share: all, all but apt, and those over rpm. They are no scripts by themselves.
SHARED = ("common.sh", "course.sh", "rpm.sh")
#: The line of a script in whose place such a text comes; run from this folder, a script reads the file instead.
LINE = re.compile(rb'^\. "\$\{0%/\*\}/(common|course|rpm)\.sh"\n', re.MULTILINE)


def assembled(script: str) -> bytes:
    """Return a script of this folder by its file name. Raises ValueError if it names a shared text more than once."""
    own = (FOLDER / script).read_bytes()
    named = LINE.findall(own)
    if len(named) != len(set(named)):
        raise ValueError(f"{script} takes in a text more than once.")
    return LINE.sub(lambda line: (FOLDER / f"{line[1].decode()}.sh").read_bytes(), own)


def scripts() -> list[str]:
    """Return the file names of all scripts."""
    return sorted(path.name for path in FOLDER.glob("*.sh") if path.name not in SHARED)
