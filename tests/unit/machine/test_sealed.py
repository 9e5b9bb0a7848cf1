"""Sealed bytes can be run, and changed by nobody."""

from pathlib import Path

import pytest

from nanny_ops.machine.run import run
from nanny_ops.machine.sealed import sealed


def test_a_program_can_read_them_and_nobody_can_change_them() -> None:
    with sealed(b"echo one\n") as path:
        with pytest.raises(PermissionError), path.open("r+b", buffering=0) as file:
            file.write(b"echo two\n")
        with pytest.raises(PermissionError):
            path.open("wb")
        assert run(["/bin/sh", str(path)], timeout=20).stdout == b"one\n"
    assert not Path(path).exists()
