"""What is different between two looks at a file system."""

from pathlib import Path

from nanny_ops.lab.file_tree import differences, of_system, snapshot


def test_what_came_went_and_changed_is_told(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/went").touch()
    (tmp_path / "etc/kept").touch()
    before = snapshot(tmp_path)
    (tmp_path / "etc/went").unlink()
    (tmp_path / "etc/came").symlink_to("kept")
    (tmp_path / "etc/kept").chmod(0o600)
    told = differences(before, snapshot(tmp_path))
    assert [line.split(":")[0:2] for line in told] == [
        ["came", " /etc/came"],
        ["went", " /etc/went"],
        ["changed", " /etc/kept"],
    ]
    assert differences(before, before) == []


def test_a_systems_own_notes_are_left_out_and_accounts_are_read(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/log").mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root")
    before = of_system(tmp_path)
    (tmp_path / "var/log/syslog").touch()
    (tmp_path / "etc/passwd").unlink()
    (tmp_path / "etc/passwd").write_text("root")  # as the tools do: a new file of the same content
    assert of_system(tmp_path) == before
    (tmp_path / "etc/passwd").write_text("toor")
    assert len(differences(before, of_system(tmp_path))) == 1
