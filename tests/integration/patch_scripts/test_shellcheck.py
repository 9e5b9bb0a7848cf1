"""What shellcheck says of the scripts as they travel."""

import os
import shutil
from pathlib import Path

import pytest

from nanny_ops.machine.run import run
from nanny_ops.patch_scripts.assembled import assembled, scripts

#: What is shared sets variables and has functions that not every script uses.
SHARED = "SC2034,SC2317,SC2329"


@pytest.mark.parametrize("script", scripts())
def test_shellcheck_finds_nothing(script: str, tmp_path: Path) -> None:
    program = shutil.which("shellcheck")
    if program is None:
        reason = "shellcheck is not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    (tmp_path / script).write_bytes(assembled(script))
    done = run([program, "--shell=sh", f"--exclude={SHARED}", str(tmp_path / script)], timeout=60)
    assert done.exit_code == 0, done.stdout.decode()
