"""What the collection ``nanny.ops`` carries of this project, so that its role ``patch`` needs nothing else.

``python -m release.carried --write`` lays it below the role: each patch script as it travels, and one file of data:
which distribution a script is for, how a script is kept running in a target, and what a secret looks like. ``--check``
compares.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from nanny_ops.machine import guest, script_run, target
from nanny_ops.machine.packages import note
from nanny_ops.patch_scripts.assembled import assembled, scripts
from nanny_ops.patch_scripts.distribution import SERVED, UNSERVED
from nanny_ops.protocol import package_list, patch, patch_report, redaction
from release.source import ROOT

FOLDER = ROOT / "ansible/collections/ansible_collections/nanny/ops/roles/patch/files"


def data() -> dict[str, Any]:
    """Return the data as JSON has it."""
    return {
        "served": {name: list(words) for name, words in SERVED.items()},
        "unserved": UNSERVED,
        "needed": guest.NEEDED,
        "alive": guest.ALIVE,
        "supervise": guest.SUPERVISE,
        "halt": guest.HALT,
        "environment": {**target.SCRIPT_ENVIRONMENT, "PATH": target.STANDARD_PATH},
        "meant": {str(code): [word, outcome.value] for code, (word, outcome) in script_run.MEANT.items()},
        "timeout_codes": list(script_run.ENDED_BY_TIMEOUT),
        "output_cap": patch.OUTPUT_CAP,
        "timeout": {"default": patch.DEFAULT_TIMEOUT, "longest": patch.LONGEST_TIMEOUT},
        "most": {
            "notes": note.MOST_NOTES,
            "note": note.LONGEST_NOTE,
            "left": patch_report.MOST_LEFT,
            "paths": patch_report.MOST_PATHS,
            "packages": package_list.MOST_PACKAGES,
        },
        "secrets": [[sign.pattern.decode(), bool(sign.flags & re.IGNORECASE)] for sign in redaction.SIGNS],
    }


def files() -> dict[str, bytes]:
    """Return what is carried, by its path below :data:`FOLDER`; for scripts with a suffix ansible-test has rules."""
    carried = {f"scripts/{name.removesuffix('.sh')}": assembled(name) for name in scripts()}
    return carried | {"carried.json": json.dumps(data(), indent=2).encode() + b"\n"}


def differing(folder: Path = FOLDER) -> list[str]:
    """Return the paths of what is missing, otherwise, or too much in a folder."""
    wanted = files()
    there = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write(folder: Path = FOLDER) -> None:
    """Make a folder hold what is carried and nothing else."""
    for name in differing(folder):
        (folder / name).unlink(missing_ok=True)
    for name, content in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def main(arguments: list[str]) -> int:
    """Write with ``--write``, compare with ``--check``; return an exit code."""
    if arguments == ["--write"]:
        write()
        return 0
    if arguments == ["--check"]:
        if found := differing():
            sys.stderr.write(f"The role patch carries what is out of date ({', '.join(found)}); type ./run docs\n")
        return 1 if found else 0
    sys.stderr.write("usage: python -m release.carried --write | --check\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
