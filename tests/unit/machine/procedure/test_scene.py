"""Steps are in the journal before and after, waits are cut short by a cancel."""

from pathlib import Path

import pytest

from nanny_ops.errors import GuestLocked
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Skip
from nanny_ops.protocol.operation import Outcome
from tests.unit.machine.procedure.stage import Play


def test_an_error_of_the_machine_ends_a_step_and_is_written_down(tmp_path: Path) -> None:
    scene = Play(tmp_path).scene()

    def fail() -> str:
        raise GuestLocked("The guest is locked.")

    with pytest.raises(Halt) as caught:
        scene.step("a", fail)
    assert caught.value.problem.outcome is Outcome.BLOCKED
    step = scene.journal.ended("a")
    assert step is not None
    assert (step.outcome, step.reason) == ("failed", "The guest is locked.")


def test_in_the_aftermath_nothing_stops_what_follows(tmp_path: Path) -> None:
    scene = Play(tmp_path).scene()

    def full() -> str:
        raise OSError(28, "No space left on device")

    def nothing() -> str:
        raise Skip("Nothing to do.")

    assert not scene.attempt("a", full)
    assert scene.attempt("b", nothing)
    assert [step.outcome for step in scene.journal.steps] == ["failed", "skipped"]


def test_a_wait_ends_with_a_cancel(tmp_path: Path) -> None:
    play = Play(tmp_path)
    scene = play.scene()
    scene.wait(5)
    assert sum(play.time.slept) == 5
    (play.job_dir / "cancel").touch()
    with pytest.raises(Halt):
        scene.wait(3600)
    assert sum(play.time.slept) == 5
