"""What a file system holds, as one comparable line per path: kind, mode, owner, size, time, content, link target.

``python3 file_tree.py remember NOTE`` and later ``compare NOTE`` do so for the system they run on: the file needs
nothing but Python, so that a machine can be given it alone.
"""

import argparse
import hashlib
import json
import os
import stat
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

PIECE = 1 << 20
#: What apt, dpkg, systemd and the account tools write for themselves, whatever is installed.
VOLATILE = (
    "/etc/.pwd.lock",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/passwd-",
    "/etc/shadow-",
    "/root",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/systemd/timers",
    "/var/log",
    "/var/tmp",
)
#: Written anew with the same content by who adds and removes a user.
REWRITTEN = ("/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow")
#: What a running system has that no disk keeps.
OF_LIFE = ("/dev", "/proc", "/run", "/sys", "/tmp")
#: What a machine keeps of having been reached by SSH and by Ansible.
OF_SSH = ("/var/lib/systemd", "/etc/ssh")


def snapshot(root: Path, *, without: Collection[str] = ()) -> dict[str, str]:
    """Describe every path below ``root``; ``without`` names paths (with all below them) that are left out.

    A directory's size and time are left out: they change when a file comes and goes, which its other lines tell.
    """
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        inside = "/" + os.path.relpath(folder, root).removeprefix(".").lstrip("/")
        folders[:] = sorted(name for name in folders if _joined(inside, name) not in without)
        for name in sorted([*folders, *files]):
            path = _joined(inside, name)
            if path not in without:
                found[path] = _describe(Path(folder) / name)
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return one line per path that came, went or changed."""
    lines = [f"came: {path}" for path in sorted(after.keys() - before.keys())]
    lines += [f"went: {path}" for path in sorted(before.keys() - after.keys())]
    both = sorted(before.keys() & after.keys())
    return lines + [f"changed: {path}: {before[path]} -> {after[path]}" for path in both if before[path] != after[path]]


def _joined(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def _describe(path: Path) -> str:
    found = path.lstat()
    words = [stat.filemode(found.st_mode), f"{found.st_uid}:{found.st_gid}"]
    if stat.S_ISREG(found.st_mode):
        words += [str(found.st_size), str(found.st_mtime_ns), _digest(path)]
    elif stat.S_ISLNK(found.st_mode):
        words.append(str(path.readlink()))
    elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        words.append(f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}")
    return " ".join(words)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def of_system(root: Path, *, without: Collection[str] = ()) -> dict[str, str]:
    """Describe a whole system's lasting files, except for :data:`VOLATILE`; :data:`REWRITTEN` by content alone."""
    found = snapshot(root, without={*VOLATILE, *without})
    there = {path: root / path.lstrip("/") for path in REWRITTEN if path in found}
    return found | {path: _digest(file) for path, file in there.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Remember the files of this system, or print what differs since as a JSON list; return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("command", choices=("remember", "compare"))
    parser.add_argument("note", type=Path, help="Where it is remembered; in a directory that is left out.")
    parser.add_argument("--without", action="append", default=[], help="A further path to leave out.")
    options = parser.parse_args(argv)
    now = of_system(Path("/"), without={*OF_LIFE, *OF_SSH, *options.without})
    if options.command == "remember":
        options.note.write_text(json.dumps(now))
    else:
        print(json.dumps(differences(json.loads(options.note.read_text()), now)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
