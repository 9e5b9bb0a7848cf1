"""What the helper believes can only have been written by root, or by the user it runs as."""

import os
from pathlib import Path

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.helper.owned import demand, make_folder


def test_a_file_of_ones_own_is_believed(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.touch(mode=0o644)
    demand(file)


def test_what_others_may_write_is_not(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.touch()
    file.chmod(0o664)
    with pytest.raises(SettingsError, match="may be changed by others"):
        demand(file)


def test_nor_what_lies_where_others_may_write(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "file").touch(mode=0o600)
    folder.chmod(0o777)
    with pytest.raises(SettingsError, match="may be changed by others"):
        demand(folder / "file")
    link = tmp_path / "link"
    link.symlink_to(folder / "file")
    with pytest.raises(SettingsError, match="may be changed by others"):
        demand(link)


def test_nor_what_a_link_names_that_others_may_replace(tmp_path: Path) -> None:
    """Both files are good; who may write to the link's folder chooses between them."""
    file, open_to_all, chain = tmp_path / "file", tmp_path / "open", tmp_path / "chain"
    file.touch(mode=0o600)
    open_to_all.mkdir()
    (open_to_all / "link").symlink_to("../file")
    chain.symlink_to(open_to_all / "link")
    demand(chain)
    open_to_all.chmod(0o777)
    for link in (open_to_all / "link", chain):
        with pytest.raises(SettingsError, match="may be changed by others"):
            demand(link)
    chain.unlink()
    chain.symlink_to(chain)
    with pytest.raises(SettingsError, match="cannot be used"):
        demand(chain)


def test_nor_another_users_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o600)
    if os.geteuid() == 0:
        os.chown(file, 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(SettingsError, match="does not belong to root"):
        demand(file)


def test_what_is_not_there_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be used"):
        demand(tmp_path / "none")


def test_a_folder_is_made_that_nobody_may_list_and_an_open_one_refused(tmp_path: Path) -> None:
    make_folder(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o711
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(SettingsError, match="may be changed by others"):
        make_folder(tmp_path / "open")
    with pytest.raises(SettingsError, match="cannot be made"):
        make_folder(tmp_path / "none" / "below")
