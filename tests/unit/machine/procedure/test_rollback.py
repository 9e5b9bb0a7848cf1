"""Going back to the snapshot, tried again where a lock is in the way."""

from dataclasses import replace
from pathlib import Path

import pytest

from nanny_ops.errors import GuestLocked
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import probe, protection, rollback
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.protocol.operation import Outcome
from tests.unit.machine.procedure.stage import UNIT, Play

PLAN = Plan(protect="require-snapshot", probes=[UNIT])


def prepared(play: Play):
    scene = play.scene()
    scene.journal.note(found="running")
    protection.protect(scene)
    probe.baseline(scene)
    play.node.disk["app"] = "2"
    return scene


def test_a_lock_is_waited_out(tmp_path: Path) -> None:
    play = Play(tmp_path, PLAN)
    scene = prepared(play)

    def busy(method: str, path: str) -> None:
        if path.endswith("/rollback") and sum(play.time.slept) < 40:
            raise GuestLocked("locked")

    play.node.before = busy
    assert "as healthy as before" in rollback.roll_back(scene)
    assert (play.node.disk, play.node.running) == ({"app": "1"}, True)


@pytest.mark.rows("F16")
def test_one_that_does_not_help_is_a_failed_rollback(tmp_path: Path) -> None:
    play = Play(tmp_path, PLAN)
    scene = prepared(play)
    play.target.works_with = ()
    with pytest.raises(Halt, match="still not as it was") as caught:
        rollback.roll_back(scene)
    assert caught.value.problem.outcome is Outcome.ROLLBACK_FAILED


def test_it_needs_a_snapshot_and_the_plans_word(tmp_path: Path) -> None:
    play = Play(tmp_path, PLAN)
    scene = prepared(play)
    assert rollback.possible(scene)
    scene.plan = replace(PLAN, rollback="never")
    assert not rollback.possible(scene)
    assert not rollback.possible(Play(tmp_path / "2", PLAN).scene())
