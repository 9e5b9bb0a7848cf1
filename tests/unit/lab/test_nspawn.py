"""What can be said of a machine's control groups without a machine."""

from pathlib import Path

import pytest

from nanny_ops.lab import nspawn


@pytest.fixture
def hierarchy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cgroup.procs").touch()
    monkeypatch.setattr(nspawn, "HIERARCHIES", (str(tmp_path), str(tmp_path / "not-mounted")))
    return tmp_path


def test_only_mounted_hierarchies_count(hierarchy: Path) -> None:
    assert nspawn.groups("nm-1") == [hierarchy / "nm-1"]


def test_members_are_found_in_all_groups_below(hierarchy: Path) -> None:
    for place, pids in (
        ("nm-1", ""),
        ("nm-1/payload/init.scope", "7\n8\n"),
        ("nm-1/supervisor", "5\n"),
        ("nm-2", "9\n"),
    ):
        (hierarchy / place).mkdir(parents=True)
        (hierarchy / place / "cgroup.procs").write_text(pids)
    assert nspawn.members("nm-1") == {5, 7, 8}


def test_a_process_of_this_host_is_no_machines_first(hierarchy: Path) -> None:
    scope = hierarchy / "nm-1/payload/init.scope"
    scope.mkdir(parents=True)
    (scope / "cgroup.procs").write_text(f"{2**22 + 1}\n")
    assert nspawn.first_process("nm-1") is None


def test_empty_groups_are_removed(hierarchy: Path) -> None:
    (hierarchy / "nm-1/payload/user.slice").mkdir(parents=True)
    (hierarchy / "nm-2").mkdir()
    nspawn.clear("nm-1")
    assert [path.name for path in hierarchy.iterdir() if path.is_dir()] == ["nm-2"]
