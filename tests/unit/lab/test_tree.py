"""The recursive hash of a file system."""

from pathlib import Path

import pytest

from nanny_ops.lab.tree import tree_hash


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "var/log").mkdir(parents=True)
    (tmp_path / "var/log/a").write_text("one")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/conf").write_text("x")
    (tmp_path / "etc/link").symlink_to("conf")
    return tmp_path


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_each_kind_of_change_is_named(root: Path) -> None:
    before = tree_hash(root)
    (root / "etc/conf").write_text("y")
    (root / "etc/link").unlink()
    (root / "etc/link").symlink_to("elsewhere")
    (root / "var/new").touch()
    (root / "var/log").chmod(0o700)
    assert changed(before, tree_hash(root)) == {"etc/conf", "etc/link", "var/new", "var/log"}


def test_volatile_paths_do_not_count(root: Path) -> None:
    volatile = ("var/log", "etc/conf")
    before = tree_hash(root, volatile)
    (root / "etc/conf").write_text("y")
    (root / "var/log/b").touch()
    assert tree_hash(root, volatile) == before


def test_a_touched_file_is_the_same(root: Path) -> None:
    before = tree_hash(root)
    (root / "etc/conf").touch()
    assert tree_hash(root) == before
