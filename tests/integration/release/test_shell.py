"""What shellcheck says of the maintainer scripts and of the wheelhouse's installer."""

import os
import shutil
from pathlib import Path

import pytest

from nanny_ops.machine.run import run
from release.package import SCRIPTS
from release.wheelhouse import PACKAGING

FILES = [
    *(PACKAGING / "debian" / script for script in SCRIPTS),
    *sorted((PACKAGING / "wheelhouse").glob("*.sh")),
    PACKAGING / "control/nanny-ops-admin",
]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(file: Path) -> None:
    program = shutil.which("shellcheck")
    if program is None:
        reason = "shellcheck is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    done = run([program, "--external-sources", str(file)], timeout=60, cwd=str(PACKAGING.parent))
    assert done.exit_code == 0, done.stdout.decode()
