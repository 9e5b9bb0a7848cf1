"""A run in a container is attached to again when its way in has died, and is not begun a second time."""

import hashlib
import threading
import time
from pathlib import Path

import pytest

from nanny_ops.machine.run import Done, signal_session
from nanny_ops.machine.script_run import ScriptRun, Verdict
from nanny_ops.machine.shebang import Interpreter
from nanny_ops.machine.target import Call, Problem, Standing, choose
from nanny_ops.protocol.operation import Outcome
from tests.unit.machine.fake_pct import FakePct

LIST = '[{"name":"a","version":"2"}]'


@pytest.fixture
def pct(tmp_path: Path) -> FakePct:
    fake = FakePct(tmp_path)
    fake.container(101, "running")
    return fake


def call(folder: Path, body: str) -> Call:
    script = folder / "script"
    script.write_text(f"#!/bin/sh\n{body}\n")
    return Call(
        job_id=f"run-{folder.name}",
        script=script,
        sealed=script,
        sha256=hashlib.sha256(script.read_bytes()).hexdigest(),
        interpreter=Interpreter("/bin/sh"),
        arguments=[],
        timeout=30,
    )


@pytest.mark.rows("F8")
@pytest.mark.parametrize("code", [0, 7])
def test_the_way_in_may_die_and_the_script_goes_on(tmp_path: Path, pct: FakePct, code: int) -> None:
    """As when a patch replaces what carries it: what was said is whole, the code is the script's own."""
    leaders: list[int] = []
    scripts = ScriptRun(tmp_path, choose(101, pct.environ), 1 << 20, needs_halt=True, born=leaders.append)
    killer = threading.Thread(target=_kill_once_said, args=(leaders, tmp_path / "stdout"))
    killer.start()
    count = tmp_path / "count"
    body = f"echo x >>{count}; echo before; sleep 1; echo after >&2; echo '{LIST}'; exit {code}"
    verdict = scripts.run(call(tmp_path, body), begun=lambda: None)
    killer.join()
    assert len(leaders) == 2
    assert count.read_text() == "x\n"
    assert (tmp_path / "stdout").read_text() == f"before\n{LIST}\n"
    assert (tmp_path / "stderr").read_text() == "after\n"
    assert verdict.done is not None
    assert verdict.done.exit_code == code
    assert verdict.outcome is (Outcome.SCRIPT_FAILED if code else Outcome.OK)


def _kill_once_said(leaders: list[int], stdout: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and not (stdout.exists() and stdout.read_text()):
        time.sleep(0.02)
    signal_session(leaders[0], 9)  # type: ignore[arg-type]


@pytest.mark.rows("F8")
def test_what_another_process_began_is_found_again_and_else_is_gone(tmp_path: Path, pct: FakePct) -> None:
    target, order = choose(101, pct.environ), call(tmp_path, f"echo '{LIST}'")
    scripts = ScriptRun(tmp_path, target, 1 << 20, needs_halt=True)
    assert scripts.resume(order) is None
    left = ScriptRun(tmp_path, Untidy(target), 1 << 20, needs_halt=True)  # type: ignore[arg-type]
    assert left.run(order, begun=lambda: None).outcome is Outcome.OK
    (tmp_path / "stdout").unlink()
    verdict: Verdict | None = scripts.resume(order)
    assert verdict is not None
    assert (verdict.outcome, (tmp_path / "stdout").read_text()) == (Outcome.OK, f"{LIST}\n")


class Untidy:
    """A target that leaves everything there, as a killed supervisor does."""

    def __init__(self, target: object) -> None:
        self.target = target

    def __getattr__(self, name: str) -> object:
        return getattr(self.target, name)

    def unstage(self, call: Call) -> None:
        del call


@pytest.mark.rows("F2")
@pytest.mark.parametrize(
    ("standing", "problem", "outcome"),
    [
        (Standing.ENDED, None, Outcome.TIMED_OUT),
        (Standing.GONE, None, Outcome.TIMED_OUT),
        (Standing.RUNNING, None, Outcome.UNKNOWN),
        (Standing.UNHEARD, None, Outcome.UNKNOWN),
        (Standing.UNHEARD, Problem(Outcome.TARGET_LOST, "It was stopped."), Outcome.TIMED_OUT),
    ],
)
def test_a_script_whose_end_cannot_be_seen_is_not_said_to_have_ended(
    tmp_path: Path, standing: Standing, problem: Problem | None, outcome: Outcome
) -> None:
    done = Done(argv=(), exit_code=-9, stdout=b"", stderr=b"", timed_out=True, seconds=60)
    target = Still(standing, problem)
    scripts = ScriptRun(
        tmp_path,
        target,
        100,
        needs_halt=True,
        start=lambda *_, **__: done,
        sleep=lambda _: None,  # type: ignore[arg-type]
    )
    verdict = scripts.run(call(tmp_path, ":"), begun=lambda: None)
    assert verdict.outcome is outcome
    assert ("could not be ended" in verdict.reason) is (outcome is Outcome.UNKNOWN)
    assert target.tidied is (outcome is Outcome.TIMED_OUT)


class Still:
    """A container that stands still, or is told to."""

    def __init__(self, standing: Standing, problem: Problem | None) -> None:
        self._standing, self._problem, self.tidied = standing, problem, False

    def stage(self, call: Call) -> None:
        del call

    def argv(self, call: Call) -> list[str]:
        del call
        return []

    def deadline(self, call: Call) -> float:
        return call.timeout

    def environment(self) -> dict[str, str]:
        return {}

    def halt(self, job_id: str) -> None:
        del job_id

    def standing(self, job_id: str) -> Standing:
        del job_id
        return self._standing

    def explain(self, done: Done) -> Problem | None:
        del done
        return self._problem

    def unstage(self, call: Call) -> None:
        del call
        self.tidied = True
