"""The folder of a run, where keeper and control plane meet."""

import stat
from pathlib import Path

import pytest

from nanny_ops.control.playbooks.folder import Ending, Folder, Folders, Order
from nanny_ops.protocol.playbook_run import RunOutcome

ORDER = Order(run_id="run-1", playbook="/x/facts.yml", check=True, timeout=60, memory=512, forks=2)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A prepared folder."""
    made = Folders(tmp_path / "playbooks").of("run-1")
    made.prepare(ORDER, {"all": {}}, {"note": "x"})
    return made


def test_everything_in_it_is_its_users_alone(folder: Folder) -> None:
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [folder.path, *folder.path.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode & 0o077 for path, mode in modes.items() if path.is_dir()} == {0} or modes[folder.path] == 0o700
    assert folder.order() == ORDER


def test_a_run_is_begun_once(folder: Folder) -> None:
    assert not folder.began
    assert (folder.begin(), folder.begin(), folder.began) == (True, False, True)


def test_who_keeps_it_is_seen_by_the_lock(folder: Folder) -> None:
    assert not folder.is_kept()
    with folder.held() as mine, folder.held() as other:
        assert (mine, other, folder.is_kept()) == (True, False, True)
    assert not folder.is_kept()


def test_its_end_leaves_no_inventory_and_no_variables(folder: Folder) -> None:
    assert folder.ending() is None
    ending = Ending(outcome=RunOutcome.OK, reason="", exit_code=0, hosts={"pve1": {"ok": 1}})
    folder.end(ending)
    assert folder.ending() == ending
    assert not folder.runner.exists()


def test_a_line_that_is_being_written_waits(folder: Folder) -> None:
    assert folder.read(0) == ([], 0)
    folder.happenings.write_text('{"kind": "play"}\n{"kind": "ta')
    lines, offset = folder.read(0)
    assert lines == [{"kind": "play"}]
    folder.happenings.write_text('{"kind": "play"}\n{"kind": "task"}\n')
    assert folder.read(offset)[0] == [{"kind": "task"}]


def test_a_home_has_one_name_and_one_conductor(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "playbooks")
    assert folders.home == folders.home
    mine = folders.alone()
    assert mine is not None
    with mine:
        assert folders.alone() is None
