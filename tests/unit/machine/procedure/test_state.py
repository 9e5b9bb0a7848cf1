"""A guest is started and stopped again, with bounded patience in both directions."""

from pathlib import Path

import pytest

from nanny_ops.errors import GuestLocked
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import state
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Skip
from tests.fakes.guest_node import GuestNode
from tests.unit.machine.procedure.stage import Play, ended

START = Plan(start_stopped=True)


@pytest.mark.rows("F15")
def test_a_guest_that_never_answers_is_given_up_within_bounds(tmp_path: Path) -> None:
    play = Play(tmp_path, START, GuestNode(running=False))
    scene = play.scene()
    scene.journal.note(found="stopped")
    play.target.command = lambda argv, seconds: ended(1)  # type: ignore[method-assign]
    with pytest.raises(Halt, match="no program could be run"):
        state.start(scene)
    assert state.READY <= sum(play.time.slept) < state.READY + 10
    assert "stopped again" in state.restore(scene)
    assert not play.node.running


def test_what_was_not_started_here_is_not_stopped(tmp_path: Path) -> None:
    scene = Play(tmp_path, START).scene()
    scene.journal.note(found="running")
    with pytest.raises(Skip):
        state.start(scene)
    with pytest.raises(Skip):
        state.restore(scene)


@pytest.mark.rows("F15")
def test_a_lock_is_outlived_when_a_guest_is_to_be_stopped_again(tmp_path: Path) -> None:
    play = Play(tmp_path, START)
    scene = play.scene()
    scene.journal.note(found="stopped", started=True)

    def busy(method: str, path: str) -> None:
        if method == "POST" and not play.time.slept:
            raise GuestLocked("locked")

    play.node.before = busy
    state.restore(scene)
    assert not play.node.running
    assert state.left_in(scene) == "stopped"


@pytest.mark.rows("F15")
def test_a_guest_that_cannot_be_stopped_is_told(tmp_path: Path) -> None:
    play = Play(tmp_path, START, GuestNode(lock="backup"))
    scene = play.scene()
    scene.journal.note(found="stopped", started=True)
    with pytest.raises(Halt, match="could not be stopped again"):
        state.restore(scene)
    assert state.left_in(scene) == "running"
