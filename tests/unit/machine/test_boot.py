"""Runs of a machine are told apart, also where a container has its host's boot id."""

from pathlib import Path

from nanny_ops.machine.boot import identity, started


def root(tmp_path: Path, ticks: str) -> Path:
    for folder in ("proc/1", "proc/sys/kernel/random"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("b-1\n")
    (tmp_path / "proc/1/stat").write_text(f"1 (a) b) S {' '.join(['0'] * 18)} {ticks} 0 0\n")
    return tmp_path


def test_a_machine_has_the_kernels_boot_id(tmp_path: Path) -> None:
    assert identity(root(tmp_path, "12")) == "b-1"


def test_a_container_began_when_its_first_process_did(tmp_path: Path) -> None:
    assert identity(root(tmp_path, "1234567")) == "container-1234567"


def test_nothing_tells(tmp_path: Path) -> None:
    assert identity(tmp_path) == ""
    assert started(tmp_path, 7) == ""
