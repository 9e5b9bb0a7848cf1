"""A file of the agent's own is there whole or not at all."""

from pathlib import Path

import pytest

from nanny_ops.machine import kept_file


def test_it_is_replaced_as_a_whole_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    kept_file.replace(path, b"one")
    kept_file.replace(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["x.json"]


def test_what_cannot_be_placed_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        kept_file.replace(tmp_path / "taken", b"one")
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]
