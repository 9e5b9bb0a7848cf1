"""What is looked at before anything is touched."""

from pathlib import Path

import pytest

from nanny_ops.errors import ProxmoxUnreachable
from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import preflight
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.machine.procedure.scene import Skip
from nanny_ops.protocol.operation import Outcome
from tests.fakes.guest_node import GuestNode
from tests.unit.machine.procedure.stage import DF, Play


def test_a_lock_is_waited_for_within_bounds(tmp_path: Path) -> None:
    play = Play(tmp_path, node=GuestNode(lock="snapshot"))
    play.node.before = lambda method, path: setattr(play.node, "lock", "" if len(play.time.slept) > 20 else "snapshot")
    assert "running" in preflight.look(play.scene())
    assert sum(play.time.slept) < preflight.BUSY


def test_a_lock_that_stays_blocks(tmp_path: Path) -> None:
    play = Play(tmp_path, node=GuestNode(lock="backup"))
    with pytest.raises(Halt, match="backup") as caught:
        preflight.look(play.scene())
    assert caught.value.problem.outcome is Outcome.BLOCKED
    assert preflight.BUSY <= sum(play.time.slept) < preflight.BUSY + 30


def test_too_little_room_is_found_before_the_package_manager_finds_it(tmp_path: Path) -> None:
    play = Play(tmp_path)
    play.target.df = DF + "/dev/y 9 9 102400 99% /var\n"
    with pytest.raises(Halt, match="/var has 100 MiB left"):
        preflight.space(play.scene())
    play.target.df = "df: nonsense\n"
    with pytest.raises(Skip):
        preflight.space(play.scene())


def test_without_the_api_the_guest_is_not_judged(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(protect="prefer-snapshot"), api=False)
    scene = play.scene()
    with pytest.raises(Skip):
        preflight.look(scene)
    assert "no access" in scene.notes[0]
    with pytest.raises(Skip):
        preflight.look(Play(tmp_path / "host", host=True, api=False).scene())


@pytest.mark.rows("F5")
def test_a_node_without_quorum_is_not_patched_and_one_that_cannot_be_asked_is(tmp_path: Path) -> None:
    play = Play(tmp_path, host=True)
    assert "quorum" in preflight.look(play.scene())
    play.node.quorate = False
    with pytest.raises(Halt, match="no quorum") as caught:
        preflight.look(play.scene())
    assert caught.value.problem.outcome is Outcome.BLOCKED

    def away(_method: str, _path: str) -> None:
        raise ProxmoxUnreachable("Nobody answers.")

    play.node.before = away
    scene = play.scene()
    with pytest.raises(Skip):
        preflight.look(scene)
    assert "Nobody answers" in scene.notes[0]
