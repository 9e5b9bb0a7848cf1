"""The process that stands for a script in a virtual machine: fed by real sh texts, while an agent comes and goes."""

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nanny_ops.errors import GuestAgentSilent, GuestStopped, MachineError
from nanny_ops.machine.guest import NEEDED
from nanny_ops.machine.inside import Inside
from nanny_ops.machine.proxmox.guest_agent import Ended
from nanny_ops.machine.qemu_client import PATIENCE, PIECE, Session
from nanny_ops.machine.run import run
from nanny_ops.machine.target import Problem
from nanny_ops.protocol.operation import Outcome


class Local(Inside):
    """This host as if it were a machine; each errand may go wrong as the next of ``troubles`` says."""

    def __init__(self, *troubles: MachineError | None) -> None:
        self.troubles = iter(troubles)

    def run(self, argv: Sequence[str], *, seconds: float = 60.0) -> Ended:
        if (wrong := next(self.troubles, None)) is not None:
            raise wrong
        done = run(argv, timeout=seconds, cap=4 * PIECE)
        return Ended(done.exit_code, None, done.stdout, done.stderr)


class Passing:
    """Seconds that pass only in pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def tick(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def session(folder: Path, inside: Inside, sleep: Callable[[float], None] = lambda _s: time.sleep(0.02)) -> Session:
    folder.mkdir(exist_ok=True)
    return Session(inside, str(folder), 0, 0, io.BytesIO(), io.BytesIO(), sleep=sleep)


def told(one: Session) -> tuple[bytes, bytes]:
    assert isinstance(one.stdout, io.BytesIO)
    assert isinstance(one.stderr, io.BytesIO)
    return one.stdout.getvalue(), one.stderr.getvalue()


@pytest.fixture(autouse=True)
def _no_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the texts take this host for one without systemd-run, so that nothing is left to its manager."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in f"{NEEDED} mkdir seq sh".split():
        for place in ("/usr/bin", "/bin"):
            if (Path(place) / name).exists() and not (programs / name).exists():
                (programs / name).symlink_to(Path(place) / name)
    monkeypatch.setenv("PATH", str(programs))


def test_a_run_tells_all_that_its_script_says_and_ends_as_it_does(tmp_path: Path) -> None:
    one = session(tmp_path / "job", Local())
    assert one.begin(["30", "sh", "-c", "echo out; echo err >&2; sleep 0.1; echo more; exit 7"]) is None
    assert one.follow() == 7
    assert told(one) == (b"out\nmore\n", b"err\n")


def test_what_is_larger_than_a_piece_arrives_whole(tmp_path: Path) -> None:
    one = session(tmp_path / "job", Local())
    one.begin(["30", "sh", "-c", "seq 1 90000"])
    assert one.follow() == 0
    assert told(one)[0] == "".join(f"{number}\n" for number in range(1, 90001)).encode()
    assert len(told(one)[0]) > PIECE


def test_asking_again_after_a_lost_answer_begins_no_second_run(tmp_path: Path) -> None:
    one = session(tmp_path / "job", Local())
    command = ["30", "sh", "-c", f"echo once >>{tmp_path}/runs"]
    assert one.begin(command) is None
    assert one.begin(command) is None
    assert one.follow() == 0
    assert (tmp_path / "runs").read_text() == "once\n"


@pytest.mark.rows("F8")
def test_an_agent_that_is_restarted_by_the_script_costs_nothing_of_its_output(tmp_path: Path) -> None:
    silent = GuestAgentSilent("The guest agent does not answer.")
    one = session(tmp_path / "job", Local(silent, None, silent, silent, None, silent))
    assert one.begin(["30", "sh", "-c", "echo before; sleep 0.1; echo after"]) is None
    assert one.follow() == 0
    assert told(one)[0] == b"before\nafter\n"


def test_a_second_client_goes_on_where_the_first_was_killed(tmp_path: Path) -> None:
    first = session(tmp_path / "job", Local())
    first.begin(["30", "sh", "-c", "echo abc; echo def"])
    assert first.follow() == 0
    second = Session(Local(), str(tmp_path / "job"), 4, 0, io.BytesIO(), io.BytesIO())
    assert second.follow() == 0
    assert told(second)[0] == b"def\n"


def test_a_run_that_is_gone_is_named_and_not_waited_for(tmp_path: Path) -> None:
    clock = Passing()
    one = session(tmp_path / "job", Local())
    one.tick, one.sleep = clock.tick, clock.pause
    end = one.follow()
    assert isinstance(end, Problem)
    assert end.outcome is Outcome.TARGET_LOST


def test_a_machine_that_stays_off_is_given_up(tmp_path: Path) -> None:
    clock = Passing()
    stopped = GuestStopped("The guest does not run.")
    one = session(tmp_path / "job", Local(*[stopped] * 1000))
    one.tick, one.sleep = clock.tick, clock.pause
    end = one.follow()
    assert isinstance(end, Problem)
    assert (end.outcome, clock.tick() > PATIENCE) == (Outcome.TARGET_STOPPED, True)
