"""The private file: written for its owner alone, and not believed where others could have touched it."""

from pathlib import Path

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.machine.procedure.access import JobAccess, connect, path_of, read, write
from nanny_ops.machine.verbs import ProxmoxAccess

ACCESS = JobAccess(access=ProxmoxAccess(url="https://192.0.2.1:8006", token="a@pve!b=c"), node="pve1")


def test_what_is_written_is_read_and_private(tmp_path: Path) -> None:
    jobs = tmp_path / "state" / "jobs"
    assert read(jobs) is None
    write(jobs, ACCESS)
    assert read(jobs) == ACCESS
    assert path_of(jobs).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in path_of(jobs).parent.iterdir()] == [path_of(jobs).name]
    write(jobs, None)
    assert read(jobs) is None


@pytest.mark.parametrize("spoil", ["readable", "linked", "nonsense"])
def test_a_file_that_is_not_private_or_not_whole_is_refused(tmp_path: Path, spoil: str) -> None:
    write(tmp_path / "jobs", ACCESS)
    path = path_of(tmp_path / "jobs")
    if spoil == "readable":
        path.chmod(0o640)
    elif spoil == "linked":
        path.rename(tmp_path / "other")
        path.symlink_to(tmp_path / "other")
    else:
        path.write_text("{}")
    with pytest.raises(MachineError):
        read(tmp_path / "jobs")


def test_the_token_does_not_show() -> None:
    assert "=c" not in repr(ACCESS)


def test_connecting_sends_nothing() -> None:
    connect(ACCESS.access).close()
