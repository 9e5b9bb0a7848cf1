"""What runs inside the lab's virtual machines."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab.inside import SimulatedInside
from nanny_ops.lab.power import LabPower
from nanny_ops.lab.pve.state.draft import draft
from nanny_ops.lab.pve.state.guest import Figures
from nanny_ops.lab.pve.state.guest_agent import Ended

MACHINE, WINDOWS = draft(201, "qemu", "pve1", "vm"), draft(202, "qemu", "pve1", "win", ostype="win11")


@pytest.fixture
def inside() -> Iterator[SimulatedInside]:
    home = Path(tempfile.mkdtemp(prefix="nanny-test-"))
    home.chmod(0o711)
    (home / "simulated").mkdir(mode=0o711)
    made = SimulatedInside(LabPower(home, "nanny-t", Figures(lambda: 0.0)))
    yield made
    made.close()
    shutil.rmtree(home)


def test_a_program_runs_in_the_machines_own_files(inside: SimulatedInside) -> None:
    script = "cat /etc/hostname; cat; echo err >&2; exit 5"
    done = inside.run(MACHINE, ["sh", "-c", script], b"in")
    assert (done.code, done.out, done.err) == (5, b"vm\nin", b"err\n")


def test_what_still_runs_is_ended_with_the_lab(inside: SimulatedInside) -> None:
    ends: list[Ended] = []
    inside.spawn(lambda: ends.append(inside.run(MACHINE, ["sleep", "60"], b"")))
    inside.close()
    inside.spawn(lambda: ends.append(Ended(0)))
    assert [end.code for end in ends] in ([-15], [])


def test_only_what_is_there_can_be_started(inside: SimulatedInside) -> None:
    assert inside.has(MACHINE, "apt-get")
    assert not inside.has(MACHINE, "no-such")
    assert not inside.has(WINDOWS, "sh")


def test_files_stay_in_the_machine(inside: SimulatedInside) -> None:
    inside.write(MACHINE, "/tmp/f", b"\xff\n")
    assert inside.read(MACHINE, "/tmp/f") == b"\xff\n"
    with pytest.raises(FileNotFoundError):
        inside.read(MACHINE, "/no-such/f")
    (inside.power.simulated(201).rootfs / "tmp/out").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        inside.read(MACHINE, "/tmp/out")
    with pytest.raises(PermissionError):
        inside.write(MACHINE, "/../../f", b"")
