"""Hooks: run once, told with their end, and ended when their supervisor was killed."""

from dataclasses import replace
from pathlib import Path

import pytest

from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure import hook as hooks
from nanny_ops.machine.procedure.halt import Halt
from nanny_ops.protocol.operation import Outcome
from tests.unit.machine.procedure.stage import Play, hook


def test_a_hook_needs_no_list_of_packages_and_its_words_are_kept(tmp_path: Path) -> None:
    scene = Play(tmp_path, Plan(hooks=[hook("pre")])).scene()
    assert "ended with 0" in hooks.run(scene, 0)
    (told,) = scene.hooks
    assert (told.outcome, told.exit_code, told.tail) == ("ok", 0, "said")


def test_only_one_that_must_succeed_ends_the_job(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(hooks=[hook("pre"), hook("pre", "ignore")]))
    play.scripts.codes = {"1": 1, "2": 1}
    scene = play.scene()
    with pytest.raises(Halt) as caught:
        hooks.run(scene, 0)
    assert caught.value.problem.outcome is Outcome.HOOK_FAILED
    assert "let pass" in hooks.run(scene, 1)


def test_one_without_an_interpreter_is_not_run(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(hooks=[replace(hook("pre"), script=b"no")]))
    with pytest.raises(Halt, match="#!"):
        hooks.run(play.scene(), 0)
    assert play.scripts.ran == []


def test_one_that_was_running_when_its_supervisor_was_killed_is_ended_and_not_begun_again(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(hooks=[hook("pre"), hook("pre")]))
    play.scene().journal.begin("hook-1")
    scene = play.scene()
    hooks.cut_short(scene)
    assert play.target.halted == ["op-1-hook-1"]
    assert [one.outcome for one in scene.hooks] == ["unknown"]
    assert hooks.wanted(scene, lambda _one: True) == [1]
