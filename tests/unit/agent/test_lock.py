"""One agent per state directory."""

import os
from pathlib import Path

import pytest

from nanny_ops.agent import lock
from nanny_ops.errors import AlreadyRunning, SpoolError


def test_a_second_agent_is_told_which_process_holds_the_lock(tmp_path: Path) -> None:
    with lock.hold(tmp_path / "state"):
        assert lock.holder(tmp_path / "state") == os.getpid()
        with pytest.raises(AlreadyRunning, match=str(os.getpid())), lock.hold(tmp_path / "state"):
            pass
        assert lock.holder(tmp_path / "state") == os.getpid()
    assert lock.holder(tmp_path / "state") is None
    with lock.hold(tmp_path / "state"):
        pass


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    assert lock.holder(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="cannot be used"), lock.hold(tmp_path / "file"):
        pass
