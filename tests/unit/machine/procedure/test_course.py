"""The order of a job's steps, and that whatever ends it leaves the target as it was found, or says how it left it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.machine.plan import Plan
from nanny_ops.machine.procedure.course import TORN
from nanny_ops.machine.procedure.journal import Journal
from nanny_ops.machine.script_run import Verdict
from nanny_ops.protocol.operation import Outcome
from nanny_ops.protocol.patch_report import PatchReport
from tests.fakes.guest_node import GuestNode
from tests.unit.machine.procedure.stage import UNIT, Play, ended, hook

SNAPSHOT = Plan(protect="require-snapshot", probes=[UNIT])


def go(play: Play, *, resume: bool = False) -> tuple[Verdict, PatchReport]:
    course = play.course()
    verdict = course.resume() if resume else course.run()
    return verdict, course.report(verdict)


def outcomes(report: PatchReport) -> dict[str, str]:
    return {step.name: step.outcome for step in report.steps}


def test_a_job_that_goes_well_goes_through_its_steps_in_order(tmp_path: Path) -> None:
    plan = replace(SNAPSHOT, hooks=[hook("pre"), hook("post"), hook("post", "always")], bake_seconds=30)
    play = Play(tmp_path, plan)
    verdict, report = go(play)
    assert (verdict.outcome, verdict.reason) == (Outcome.OK, "1 package.")
    assert list(outcomes(report)) == [
        *("preflight", "space", "protect", "hook-1", "baseline", "script"),
        *("hook-2", "bake", "probe", "hook-3", "restore", "release"),
    ]
    assert (report.found, report.left_in, report.rolled_back) == ("running", "running", None)
    assert [(one.stage, one.healthy) for one in report.probes] == [("before", True), ("after", True)]
    assert sum(play.time.slept) >= 30


@pytest.mark.rows("F15")
@pytest.mark.parametrize(
    "ending",
    [
        lambda play: None,
        lambda play: setattr(play, "script", lambda: Verdict(Outcome.SCRIPT_FAILED, "It failed.", ended(100))),
        lambda play: setattr(play, "script", lambda: Verdict(Outcome.TIMED_OUT, "It was ended.", ended(None))),
        lambda play: play.scripts.codes.update({"1": 1}),
        lambda play: setattr(play.target, "works_with", ("1",)),
        lambda play: (
            play.node.faults.update(vzrollback="rollback failed") or setattr(play.target, "works_with", ("1",))
        ),
        lambda play: setattr(play.target, "df", play.target.df.replace("4194304", "1024")),
        lambda play: setattr(play, "script", lambda: (play.job_dir / "cancel").touch() or lost()),
    ],
    ids=["ok", "failed", "timed out", "hook", "unhealthy", "rollback failed", "no space", "cancelled"],
)
def test_a_guest_that_was_stopped_is_stopped_again_whatever_happens(
    tmp_path: Path, ending: Callable[[Play], Any]
) -> None:
    plan = replace(SNAPSHOT, start_stopped=True, hooks=[hook("pre")])
    play = Play(tmp_path, plan, GuestNode(running=False))
    ending(play)
    _, report = go(play)
    assert not play.node.running
    assert (report.found, report.left_in) == ("stopped", "stopped")


def lost() -> Verdict:
    return Verdict(Outcome.CANCELLED, "The order was cancelled; the script and its children were ended.", ended(None))


@pytest.mark.rows("F15")
@pytest.mark.parametrize(
    ("node", "outcome", "says"),
    [
        (GuestNode(running=False), Outcome.TARGET_STOPPED, "does not start it"),
        (GuestNode(template=True), Outcome.TARGET_STOPPED, "template"),
        (GuestNode(where="pve2"), Outcome.TARGET_LOST, "on node pve2"),
        (GuestNode(where=""), Outcome.TARGET_UNKNOWN, "no guest 101"),
        (GuestNode(lock="backup"), Outcome.BLOCKED, "backup"),
        (GuestNode(quorate=False), Outcome.BLOCKED, "no quorum"),
    ],
    ids=["stopped", "template", "migrated", "gone", "locked", "no quorum"],
)
def test_what_cannot_be_worked_on_is_left_alone(tmp_path: Path, node: GuestNode, outcome: Outcome, says: str) -> None:
    play = Play(tmp_path, Plan(), node)
    verdict, report = go(play)
    assert verdict.outcome is outcome
    assert says in verdict.reason
    assert play.scripts_run == 0
    assert not [path for method, path in node.calls if method != "GET"]
    assert report.steps[0].outcome == "failed"


@pytest.mark.rows("F15")
def test_a_guest_that_migrates_meanwhile_is_found_out_before_the_next_step(tmp_path: Path) -> None:
    play = Play(tmp_path, replace(SNAPSHOT, hooks=[hook("pre")]))
    play.scripts.before = lambda: setattr(play.node, "where", "pve3")
    play.plan = replace(play.plan, probes=[], hooks=[hook("pre")])
    verdict, report = go(play)
    assert report.left_in == "gone"
    assert outcomes(report)["release"] == "failed"
    assert verdict.outcome is Outcome.OK


@pytest.mark.rows("F16")
def test_a_change_that_makes_a_guest_ill_is_set_back_and_told(tmp_path: Path) -> None:
    play = Play(tmp_path, SNAPSHOT)
    play.target.works_with = ("1",)
    verdict, report = go(play)
    assert verdict.outcome is Outcome.ROLLED_BACK
    assert play.node.disk == {"app": "1"}
    assert play.node.running
    assert report.rolled_back is True
    assert [(one.stage, one.healthy) for one in report.probes] == [
        *(("before", True), ("after", False), ("after_rollback", True)),
    ]
    for told in ("app.service is failed", "set back to nanny-", "1 package"):
        assert told in verdict.reason


@pytest.mark.rows("F16")
@pytest.mark.parametrize(
    ("plan", "faults", "works", "outcome"),
    [
        (replace(SNAPSHOT, rollback="never"), {}, ("1",), Outcome.UNHEALTHY),
        (replace(SNAPSHOT, protect="none"), {}, ("1",), Outcome.UNHEALTHY),
        (SNAPSHOT, {"vzrollback": "no space"}, ("1",), Outcome.ROLLBACK_FAILED),
        (SNAPSHOT, {}, ("2",), Outcome.OK),
    ],
    ids=["never", "nothing to go back to", "fails", "was ill before"],
)
def test_what_cannot_or_must_not_be_set_back(
    tmp_path: Path, plan: Plan, faults: dict[str, str], works: tuple[str, ...], outcome: Outcome
) -> None:
    play = Play(tmp_path, plan, GuestNode(faults=faults))
    play.target.works_with = works
    verdict, _ = go(play)
    assert verdict.outcome is outcome
    assert play.node.disk == {"app": "2"}


def test_a_pre_hook_that_must_succeed_ends_the_job_before_the_script(tmp_path: Path) -> None:
    hooks = [hook("pre"), hook("post"), hook("post", "always")]
    play = Play(tmp_path, Plan(protect="require-snapshot", hooks=hooks))
    play.scripts.codes = {"1": 7}
    verdict, report = go(play)
    assert (verdict.outcome, play.scripts_run, play.scripts.ran) == (Outcome.HOOK_FAILED, 0, ["1", "3"])
    assert [(one.outcome, one.exit_code) for one in report.hooks] == [("failed", 7), ("ok", 0)]
    assert play.node.snapshots == {}
    assert report.protection is not None
    assert not report.protection.kept


def test_a_hook_whose_failure_is_let_pass(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(hooks=[hook("pre", "ignore"), hook("post", "ignore")]))
    play.scripts.codes = {"1": 1, "2": 1}
    verdict, _ = go(play)
    assert verdict.outcome is Outcome.OK


def test_a_post_hook_that_must_succeed_sets_the_guest_back(tmp_path: Path) -> None:
    play = Play(tmp_path, Plan(protect="require-snapshot", hooks=[hook("post")]))
    play.scripts.codes = {"1": 1}
    assert go(play)[0].outcome is Outcome.ROLLED_BACK
    assert play.node.disk == {"app": "1"}


def test_a_dry_run_protects_nothing_and_looks_at_nothing(tmp_path: Path) -> None:
    play = Play(tmp_path, SNAPSHOT, GuestNode(quorate=False, can_snapshot=False), dry_run=True)
    verdict, report = go(play)
    assert verdict.outcome is Outcome.OK
    assert not [path for method, path in play.node.calls if method != "GET"]
    assert outcomes(report)["protect"] == "skipped"
    assert report.probes == []


NOT_BEGUN, UNTOUCHED = "The order was cancelled. The script was not begun.", "Nothing was changed."
AGAIN = "It is stopped again, as it was found."
CANCELLED, DONE = Outcome.CANCELLED, "The order was cancelled. The script: 1 package."
#: The step that goes on when the order is cancelled; what it comes to, what is said, and whether the snapshot is kept.
CANCELS = {
    "preflight": (CANCELLED, [NOT_BEGUN, UNTOUCHED], False),
    "protect": (CANCELLED, [NOT_BEGUN, UNTOUCHED], False),
    "start": (CANCELLED, [NOT_BEGUN, UNTOUCHED, AGAIN], False),
    "space": (CANCELLED, [NOT_BEGUN, UNTOUCHED, AGAIN], False),
    "hook-1": (CANCELLED, [NOT_BEGUN, "A hook was begun; the packages are as they were.", AGAIN], False),
    "baseline": (CANCELLED, [NOT_BEGUN, "A hook was begun; the packages are as they were.", AGAIN], False),
    "script": (CANCELLED, ["the script and its children were ended.", TORN, AGAIN, "is kept."], True),
    "hook-2": (CANCELLED, [DONE, AGAIN, "is kept."], True),
    "bake": (CANCELLED, [DONE, AGAIN, "is kept."], True),
    "probe": (CANCELLED, [DONE, AGAIN, "is kept."], True),
    "rollback": (Outcome.ROLLED_BACK, ["It was set back to nanny-", "The script: 1 package."], True),
    "restore": (Outcome.OK, ["1 package."], True),
    "release": (Outcome.OK, ["1 package."], True),
}


@pytest.mark.parametrize("step", CANCELS)
def test_a_cancel_in_each_step_says_in_which_state_the_target_is(tmp_path: Path, step: str) -> None:
    class Listening(Journal):
        def begin(self, name: str) -> None:
            super().begin(name)
            if name == step:
                (play.job_dir / "cancel").touch()

    hooks = [hook("pre"), hook("post")]
    plan = replace(SNAPSHOT, start_stopped=True, hooks=hooks, bake_seconds=60)
    play = Play(tmp_path, plan, GuestNode(running=False), journal_kind=Listening)
    if step == "script":
        play.script = lost
    if step in ("probe", "rollback"):
        play.target.works_with = ("1",)
    outcome, sentences, keeps = CANCELS[step]
    verdict, report = go(play)
    assert (verdict.outcome, report.left_in, bool(play.node.snapshots)) == (outcome, "stopped", keeps)
    for sentence in sentences:
        assert sentence in verdict.reason, verdict.reason
    assert UNTOUCHED in sentences or UNTOUCHED not in verdict.reason


class Killed(BaseException):
    """What a SIGKILL is to a supervisor: nothing more is done, not even what stands in a finally."""


class Mortal(Journal):
    """A journal whose writer is killed after so many lines."""

    lines = 0
    dead = False

    def __init__(self, directory: Path, now: Any) -> None:
        super().__init__(directory, now, sync=lambda _descriptor: None)

    def _write(self, line: dict[str, Any]) -> None:
        if type(self).lines == 0:
            type(self).dead = True
        if type(self).dead:
            raise Killed
        type(self).lines -= 1
        super()._write(line)


@pytest.mark.rows("F15")
@pytest.mark.parametrize("works", [("1", "2"), ("1",)], ids=["well", "ill"])
def test_killed_at_any_line_the_aftermath_is_still_gone_through(tmp_path: Path, works: tuple[str, ...]) -> None:
    """Script and hooks run once at most, the guest is stopped again, no snapshot of an unbegun job stays."""
    hooks = [hook("pre"), hook("post"), hook("post", "always")]
    plan = Plan(protect="require-snapshot", probes=[UNIT], start_stopped=True, hooks=hooks)
    line, finished = 0, False
    while not finished:
        play = Play(tmp_path / str(line), plan, GuestNode(running=False), journal_kind=Mortal)
        play.target.works_with, Mortal.lines, Mortal.dead = works, line, False
        play.node.before = lambda _method, _path: _die_if_dead()
        play.target.before = play.scripts.before = _die_if_dead
        try:
            go(play)
            finished = True
        except Killed:
            pass
        Mortal.lines, Mortal.dead = -1, False
        if not finished and (play.job_dir / "journal.ndjson").exists():
            verdict, report = go(play, resume=True)
            assert verdict.outcome in set(Outcome)
            begun = play.scripts_run == 1
            assert begun or verdict.outcome is Outcome.AGENT_ERROR
            assert report.left_in in ("stopped", "")
            if play.node.disk["app"] == "1" and "rollback" in {one.name for one in report.steps}:
                assert verdict.outcome is Outcome.ROLLED_BACK, line
            if not begun and not any(one.outcome == "unknown" for one in report.steps if one.name == SCRIPT):
                assert play.node.snapshots == {}, line
        assert not play.node.running, line
        assert play.scripts_run <= 1
        assert len(play.scripts.ran) == len(set(play.scripts.ran)), line
        line += 1
    assert line > 25


def test_killed_while_it_stops_the_guest_again_the_next_one_does_not_take_that_for_ill_health(tmp_path: Path) -> None:
    plan = Plan(protect="require-snapshot", probes=[UNIT], start_stopped=True)
    play = Play(tmp_path, plan, GuestNode(running=False))
    assert go(play)[0].outcome is Outcome.OK
    lines = (play.job_dir / "journal.ndjson").read_text().splitlines(keepends=True)
    restore = next(number for number, line in enumerate(lines) if '"begin", "step": "restore"' in line)
    (play.job_dir / "journal.ndjson").write_text("".join(lines[: restore + 1]))
    verdict, report = go(play, resume=True)
    assert verdict.outcome is Outcome.OK, verdict.reason
    assert "rollback" not in {one.name for one in report.steps}


@pytest.mark.parametrize("on_failure", ["must-succeed", "ignore"])
def test_a_post_hook_that_failed_before_its_supervisor_was_killed_still_counts(tmp_path: Path, on_failure: str) -> None:
    play = Play(tmp_path, Plan(hooks=[hook("post", on_failure)]))
    journal = Journal(play.job_dir, play.now)
    told = {"outcome": "ok", "reason": "1 package."}
    journal.note(found="running", ready=True, script_begun=True, verdict=told)
    journal.begin("hook-1")
    verdict, _ = go(play, resume=True)
    assert verdict.outcome is (Outcome.HOOK_FAILED if on_failure == "must-succeed" else Outcome.OK)
    assert play.scripts.ran == []


SCRIPT = "script"


def _die_if_dead() -> None:
    if Mortal.dead:
        raise Killed
