"""Files for the daemon belong to the daemon, also when root writes them."""

import os
from pathlib import Path

import pytest

from nanny_ops.cli.state_owner import as_owner

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root can write as somebody else.")


@needs_root
def test_root_writes_as_the_owner_of_the_folder_and_is_root_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o777)
    os.chown(folder, 65534, 65534)
    for one in (tmp_path, *tmp_path.parents[:-2]):
        one.chmod(one.stat().st_mode | 0o011)  # somebody else has to get there
    with as_owner(folder):
        (folder / "token.json").write_text("{}")
        (folder / "shadow").symlink_to("/etc/shadow")
        with pytest.raises(PermissionError):
            (folder / "shadow").read_text()
    found = (folder / "token.json").stat()
    assert (found.st_uid, found.st_gid) == (65534, 65534)
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_who_owns_the_folder_stays_who_they_are(tmp_path: Path) -> None:
    before = (os.geteuid(), os.getegid())
    for folder in (tmp_path, tmp_path / "missing"):
        with as_owner(folder):
            assert (os.geteuid(), os.getegid()) == before


@needs_root
def test_a_failure_leaves_nobody_behind_as_somebody_else(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(OSError, match="full"), as_owner(tmp_path):
        raise OSError("full")
    assert os.geteuid() == 0
