"""Lock files as uv writes them: which lines of one count for a version of Python.

pip judges the conditions of lines by the Python that runs it, also where it fetches for another one.
"""

from collections.abc import Sequence
from pathlib import Path

from packaging.markers import Marker

#: What conditions may ask for beside the version of Python: packages are made for nothing else.
ELSE = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "implementation_name": "cpython"}


def blocks(lock: Path) -> list[str]:
    """Return the requirements of a file, each with the lines of its hashes."""
    found: list[str] = []
    for line in lock.read_text("utf-8").splitlines():
        if line.startswith(" ") and found:
            found[-1] += f"\n{line}"
        elif line and not line.startswith("#"):
            found.append(line)
    return found


def condition(block: str) -> str:
    """Return the condition of a requirement, such as ``python_full_version < '3.12'``, or nothing."""
    return block.splitlines()[0].rstrip("\\ ").partition(" ; ")[2].strip()


def pinned(block: str) -> str:
    """Return what a requirement pins, as ``name==version``."""
    return block.split()[0]


def counts(block: str, python: str) -> bool:
    """Tell whether a requirement is one for a version of Python such as 3.11 on Linux."""
    asked = condition(block)
    return not asked or Marker(asked).evaluate({**ELSE, "python_version": python, "python_full_version": f"{python}.0"})


def of_python(locks: Sequence[Path], python: str) -> str:
    """Return the requirements of lock files that count for a version of Python, without their conditions."""
    kept = (block for lock in locks for block in blocks(lock) if counts(block, python))
    return "".join(block.replace(f" ; {condition(block)}", "", 1) + "\n" for block in kept)


def conditions(locks: Sequence[Path]) -> dict[str, str]:
    """Return the conditions of what is pinned to several versions, by ``name==version``."""
    every = [block for lock in locks for block in blocks(lock)]
    names = [pinned(block).partition("==")[0] for block in every]
    return {pinned(block): condition(block) for block, name in zip(every, names, strict=True) if names.count(name) > 1}
