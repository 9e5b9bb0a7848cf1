"""Machines of killed processes are found by their notes, those of living ones are let alone."""

import os
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.lab.machine_note import MachineNote, clear_abandoned


def abandon(home: Path, folder: Path) -> None:
    """Let a process write a note and end without a word."""
    if (child := os.fork()) == 0:
        MachineNote(home, folder)
        os._exit(0)
    os.waitpid(child, 0)


def test_only_what_nobody_holds_is_removed(tmp_path: Path) -> None:
    notes, removed = tmp_path / "notes", list[Path]()
    assert clear_abandoned(removed.append, notes) == []
    abandon(tmp_path / "nm-1", notes)
    held = MachineNote(tmp_path / "nm-2", notes)
    assert clear_abandoned(removed.append, notes) == ["nm-1"]
    assert removed == [tmp_path / "nm-1"]
    assert [path.name for path in notes.iterdir()] == ["nm-2"]
    held.drop()
    assert list(notes.iterdir()) == []


def test_a_machine_that_cannot_be_removed_is_tried_again(tmp_path: Path) -> None:
    def refuse(_home: Path) -> None:
        raise MachineError("Processes stay.")

    abandon(tmp_path / "nm-1", tmp_path / "notes")
    assert clear_abandoned(refuse, tmp_path / "notes") == []
    assert clear_abandoned(lambda _home: None, tmp_path / "notes") == ["nm-1"]
