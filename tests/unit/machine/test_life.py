"""A mark is that of one life of a target: the same as long as it runs, another one after a restart."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.errors import MachineError, ProgramMissing, VerbRefused
from nanny_ops.machine.life import HOST, LXC, QEMU, mark
from nanny_ops.machine.run import Done

STAT = "1 (init (a) b) S 0 1 1 0 -1 4194560 9 8 7 6 5 4 3 2 20 0 1 0 {start} 170 1024 18446744073709551615\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    boot = tmp_path / "proc/sys/kernel/random"
    boot.mkdir(parents=True)
    (boot / "boot_id").write_text("boot-1\n")
    return tmp_path


def saying(stdout: str = "", stderr: str = "", code: int = 0, **more: Any) -> Callable[..., Done]:
    def run(argv: Sequence[str], **_how: Any) -> Done:
        assert argv == ["pct", "exec", "101", "--", "cat", "/proc/1/stat"]
        return Done(argv=tuple(argv), exit_code=code, stdout=stdout.encode(), stderr=stderr.encode(), **more)

    return run


def test_a_host_is_known_by_its_boot_id(root: Path) -> None:
    assert mark(HOST, None, run=saying(), environ={}, root=root) == "boot-1"


def test_a_container_is_known_by_when_it_began(root: Path) -> None:
    found = [mark(LXC, 101, run=saying(STAT.format(start=n)), environ={}, root=root) for n in (77, 77, 78)]
    assert found == ["boot-1/77", "boot-1/77", "boot-1/78"]


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (saying(stderr="container '101' not running!", code=255), "target_stopped"),
        (saying(stderr="Configuration file 'nodes/a/lxc/101.conf' does not exist", code=2), "target_unknown"),
        (saying(stderr="other", code=1), None),
        (saying(code=None, timed_out=True), None),  # type: ignore[arg-type]
        (saying("nonsense"), None),
    ],
)
def test_of_a_container_that_does_not_run_there_is_none(root: Path, run: Any, outcome: str | None) -> None:
    with pytest.raises(MachineError) as found:
        mark(LXC, 101, run=run, environ={}, root=root)
    assert found.value.details.get("outcome") == outcome


def test_without_pct_this_is_no_node(root: Path) -> None:
    def run(*_argv: Any, **_how: Any) -> Done:
        raise ProgramMissing("pct")

    with pytest.raises(VerbRefused, match="no Proxmox VE node"):
        mark(LXC, 101, run=run, environ={}, root=root)


def test_a_virtual_machine_is_known_by_its_process(root: Path) -> None:
    (root / "run/qemu-server").mkdir(parents=True)
    with pytest.raises(VerbRefused, match="There is no virtual machine 102"):
        mark(QEMU, 102, run=saying(), environ={}, root=root)
    (root / "etc/pve/qemu-server").mkdir(parents=True)
    (root / "etc/pve/qemu-server/102.conf").touch()
    (root / "run/qemu-server/102.pid").write_text("4711\n")  # left by a process that is gone
    with pytest.raises(VerbRefused, match="not running"):
        mark(QEMU, 102, run=saying(), environ={}, root=root)
    (root / "proc/4711").mkdir()
    (root / "proc/4711/stat").write_text(STAT.format(start=99))
    assert mark(QEMU, 102, run=saying(), environ={}, root=root) == "boot-1/4711-99"
