"""Processes of a run are found by descent or by their mark, whatever session they lead."""

import os
from pathlib import Path

from nanny_ops.control.playbooks import descent


def proc(root: Path, pid: int, parent: int, state: str = "S", environ: bytes = b"") -> None:
    """Write what the kernel tells of a process."""
    (root / str(pid)).mkdir()
    (root / str(pid) / "stat").write_text(f"{pid} (a b) c) {state} {parent} 0 {pid}")
    (root / str(pid) / "environ").write_bytes(environ)


def test_descendants_of_any_depth_are_found_but_not_the_dead(tmp_path: Path) -> None:
    for pid, parent, state in ((2, 1, "S"), (3, 2, "S"), (4, 3, "R"), (5, 3, "Z"), (9, 1, "S")):
        proc(tmp_path, pid, parent, state)
    (tmp_path / "self").mkdir()
    assert descent.descendants(2, tmp_path) == {3, 4}


def test_a_mark_is_the_whole_variable(tmp_path: Path) -> None:
    proc(tmp_path, 2, 1, environ=b"A=1\0NANNY_PLAYBOOK_RUN=run-1\0")
    proc(tmp_path, 3, 1, environ=b"NANNY_PLAYBOOK_RUN=run-12\0")
    (tmp_path / "4").mkdir()
    assert descent.marked("run-1", tmp_path) == {2}


def test_killing_goes_on_until_nothing_is_found() -> None:
    rounds = iter([{2**22 + 1}, {2**22 + 2}, set[int]()])
    assert descent.kill(lambda: next(rounds), lambda _seconds: None) == 2


def test_this_process_is_a_descendant_of_its_parent() -> None:
    assert os.getpid() in descent.descendants(os.getppid())
