"""Packages that dpkg-deb builds."""

from pathlib import Path

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.lab.deb import Deb, build
from nanny_ops.machine.run import run

DEB = Deb(
    "nanny-x",
    "1.0-1",
    {"etc/x.conf": "a = 1\n"},
    ("/etc/x.conf",),
    depends="libc6",
    scripts={"postinst": "#!/bin/sh\nexit 0\n"},
)


def ask(*argv: str) -> str:
    done = run(["dpkg-deb", *argv], timeout=20)
    assert done.exit_code == 0
    return done.stdout.decode()


def test_a_package_holds_what_was_asked_for(tmp_path: Path) -> None:
    path = str(build(DEB, tmp_path))
    assert ask("--field", path, "Package", "Version", "Depends") == "Package: nanny-x\nVersion: 1.0-1\nDepends: libc6\n"
    assert "./etc/x.conf" in ask("--contents", path)
    assert ask("--info", path, "conffiles") == "/etc/x.conf\n"
    assert "exit 0" in ask("--info", path, "postinst")


def test_everything_belongs_to_root(tmp_path: Path) -> None:
    owners = {line.split()[1] for line in ask("--contents", str(build(DEB, tmp_path))).splitlines()}
    assert owners == {"root/root"}


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    assert build(DEB, tmp_path / "a").read_bytes() == build(DEB, tmp_path / "b").read_bytes()


def test_a_wrong_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="dpkg-deb failed for Wrong_Name"):
        build(Deb("Wrong_Name", "1"), tmp_path)


def test_an_epoch_is_escaped_in_the_file_name() -> None:
    assert Deb("x", "1:2.0").filename == "x_1%3a2.0_all.deb"
