"""Children say what they said, end when told, and are missed when they end by themselves."""

import os
import sys
from pathlib import Path

import pytest

from nanny_ops.errors import MachineError, ProgramTimeout
from nanny_ops.lab.child import nursery, show

PYTHON = [sys.executable, "-uc"]


def test_a_child_is_awaited_and_ended(tmp_path: Path) -> None:
    with nursery(tmp_path) as children:
        child = children.start("one", [*PYTHON, "import time; print('it is ready'); time.sleep(60)"], os.environ)
        assert child.await_words("ready", 10) == "it is ready"
        assert children.first_dead() is None
    assert not child.running


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"
    with nursery(tmp_path) as children:
        child = children.start("one", [*PYTHON, stubborn], os.environ)
        child.await_words("up", 10)
        child.end(grace=0.2)
        assert not child.running


def test_failures_name_the_program_and_what_it_said(tmp_path: Path) -> None:
    with nursery(tmp_path) as children:
        failing = children.start("bad", [*PYTHON, "import sys; print('no such thing'); sys.exit(3)"], os.environ)
        with pytest.raises(MachineError, match=r"bad failed.*\nno such thing"):
            failing.await_end(10)
        with pytest.raises(MachineError, match="bad ended early"):
            failing.await_words("never", 10)
        assert children.first_dead() is failing
        children.forget(failing)
        slow = children.start("slow", [*PYTHON, "import time; time.sleep(60)"], os.environ)
        with pytest.raises(ProgramTimeout):
            slow.await_words("never", 0.2)
        with pytest.raises(ProgramTimeout):
            slow.await_end(0.2)


def test_input_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("secret\n")
    with nursery(tmp_path) as children:
        child = children.start("reads", [*PYTHON, "print(input()[::-1])"], os.environ, tmp_path / "in")
        assert child.await_words("terces", 10)
    assert show([*PYTHON, "raise SystemExit(4)"], os.environ, 10) == 4
