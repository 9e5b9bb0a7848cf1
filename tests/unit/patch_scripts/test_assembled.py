"""Scripts travel as one file each, and do the same in pieces and in one."""

import shutil
import stat

import pytest

from nanny_ops.machine.run import run
from nanny_ops.patch_scripts import assembled as module
from nanny_ops.patch_scripts.assembled import FOLDER, LINE, assembled, scripts


@pytest.mark.parametrize("script", scripts())
def test_nothing_is_read_from_beside_a_script_that_travels(script):
    whole = assembled(script)
    assert whole.startswith(b"#!/bin/sh\n")
    assert not LINE.search(whole)
    assert b"common.sh" not in whole.replace(b'". ...common.sh"', b"")


@pytest.mark.parametrize("script", scripts())
@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
def test_every_shell_can_read_every_script(script, shell, tmp_path):
    program = shutil.which(shell)
    assert program is not None, f"install {shell}"
    (tmp_path / script).write_bytes(assembled(script))
    argv = [program, "ash"] if shell == "busybox" else [program]
    for words in (["-n", str(tmp_path / script)], [str(tmp_path / script), "--no-such-option"]):
        done = run([*argv, *words], timeout=20)
        assert done.exit_code == (0 if words[0] == "-n" else 2), done.stderr
    assert (done.stdout, done.stderr[: len(script) + 2]) == (b"[]\n", f"{script}: ".encode())


def test_what_is_shared_is_taken_in_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    (tmp_path / "common.sh").write_bytes((FOLDER / "common.sh").read_bytes())
    (tmp_path / "x.sh").write_text('. "${0%/*}/common.sh"\n' * 2)
    with pytest.raises(ValueError, match="more than once"):
        assembled("x.sh")


def test_scripts_are_files_that_anyone_may_read():
    assert all(stat.S_IMODE((FOLDER / script).stat().st_mode) & 0o444 == 0o444 for script in scripts())
