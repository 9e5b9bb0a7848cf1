"""The way of a lab's programs to the lab: its key, its exit codes, and who may use it."""

from pathlib import Path

import pytest

from nanny_ops.lab.command_line import Refused
from nanny_ops.lab.door import FILE, Declined, Door, Key
from nanny_ops.lab.pve.certificate import Authority


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    Key(1, "ca.pem", "secret", "8.4").write(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert Door(tmp_path, "pve1").key == Key(1, "ca.pem", "secret", "8.4")


def test_without_a_key_the_lab_is_not_open(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not open"):
        Door(tmp_path, "pve1")


def test_a_lab_that_is_gone_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.write()
    Key(1, str(authority.file), "secret", "8.4").write(tmp_path)
    with pytest.raises(Refused, match="does not answer"):
        Door(tmp_path, "pve1").ask("GET", "/version")


@pytest.mark.rows("PVE-27")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Configuration file 'nodes/pve1/lxc/999.conf' does not exist", 2),
        ("hostname lookup 'pve9' failed - failed to get address info", 11),
        ("Agent error: Invalid parameter 'pid'", 29),
        ("CT is locked (backup)", 255),
    ],
)
def test_exit_codes_are_error_numbers_by_chance(text: str, code: int) -> None:
    assert Declined(text, 500, {}).code == code
