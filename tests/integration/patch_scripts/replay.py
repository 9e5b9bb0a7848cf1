"""A pretended system: recorded output of a manager, played back by a program of its name to the shipped script."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from nanny_ops.machine.run import Done, run
from nanny_ops.patch_scripts.assembled import assembled

#: The program: of the files in the case, the first whose words are all among its own is what it says, and how it ends.
PLAYER = r"""#!/bin/sh
words=" ${0##*/} $* "
echo "$*" >>"%(case)s/calls"
while read -r code file wanted; do
    for word in $wanted; do
        case $words in *" $word "*) ;; *) continue 2 ;; esac
    done
    [ "$file" = - ] || cat "%(recorded)s/$file"
    exit "$code"
done <"%(case)s/answers"
echo "nothing is recorded for: $words" >&2
exit 77
"""


class System:
    """One case of tests/golden/packages: ``answers`` (exit code, file, words), os-release, and the recorded files."""

    def __init__(self, folder: Path, recorded: Path, programs: tuple[str, ...]) -> None:
        self.recorded, self.case, self.bin, self.root = recorded, folder, folder / "bin", folder / "root"
        self.bin.mkdir()
        (self.root / "etc").mkdir(parents=True)
        shutil.copy(recorded / "os-release", self.root / "etc/os-release")
        shutil.copy(recorded / "answers", folder / "answers")
        for name in programs:
            (self.bin / name).write_text(PLAYER % {"case": folder, "recorded": recorded})
            (self.bin / name).chmod(0o755)

    def patch(self, shell: list[str], manager: str, *words: str) -> Done:
        """Run a manager's script on this system."""
        script = self.case / f"{manager}.sh"
        script.write_bytes(assembled(script.name))
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "NANNY_ROOT": str(self.root), "NANNY_LOCK_PAUSE": "0"}
        return run([*shell, str(script), *words], timeout=60, env=environment)

    @property
    def calls(self) -> list[str]:
        """Return the words of each call, in order."""
        return (self.case / "calls").read_text().splitlines()


def told(done: Done) -> dict[str, Any]:
    """Return what a run said, as golden files keep it; what depends on the machine of the test is left out."""
    lines = done.stdout.decode().splitlines()
    notes = [json.loads(line.removeprefix("nanny-note ")) for line in lines if line.startswith("nanny-note ")]
    kept = [one for one in notes if one["kind"] not in {"system", "reboot", "service", "kernel"}]
    return {"code": done.exit_code, "packages": json.loads(lines[-1]), "notes": kept}


def compare(golden: Path, done: Done) -> None:
    """Compare with a golden file; with NANNY_GOLDEN=write it is written instead."""
    if os.environ.get("NANNY_GOLDEN") == "write":
        golden.write_text(json.dumps(told(done), indent=1) + "\n")
    assert told(done) == json.loads(golden.read_text()), done.stderr.decode()
