"""A wheelhouse that was built is installed by its own installer, once, and not when it is damaged."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from release.wheel import MACHINES, PYTHONS, architecture
from release.wheelhouse import build

MINE = f"{sys.version_info.major}.{sys.version_info.minor}"
pytestmark = pytest.mark.skipif(MINE not in PYTHONS, reason=f"Wheelhouses are not made for Python {MINE}.")
EPOCH = 1_760_000_000
VERSION = "9.0.0"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheelhouse")
    shutil.unpack_archive(build(VERSION, EPOCH, place, MACHINES[architecture()]), place / "house", filter="data")
    return place / "house"


def install(house: Path, prefix: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    argv = [house / "install.sh", "--prefix", prefix, "--python", sys.executable, *options]
    environ = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, env=environ, check=False)


def version(prefix: Path) -> str:
    asked = [prefix / "bin/nanny-agent", "--version"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_a_version_is_installed_beside_the_one_before_and_older_ones_go(unpacked: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix with space"
    for old in ("8.0.0", "8.1.0"):
        (prefix / "versions" / old / "bin").mkdir(parents=True)
        (prefix / "versions" / old / "manifest.json").write_text("{}")
    (prefix / "current").symlink_to("versions/8.1.0")
    (prefix / "versions" / VERSION / "lib").mkdir(parents=True)  # half a version, as after a loss of power
    (prefix / "trial").mkdir()
    (prefix / "trial/to").write_text("8.1.0\n")
    for _ in range(2):
        done = install(unpacked, prefix)
        assert done.returncode == 0, done.stderr
        assert version(prefix) == f"nanny-agent {VERSION}"
        assert sorted(path.name for path in (prefix / "versions").iterdir()) == ["8.1.0", VERSION]
    assert "9.0.0 on the machine while this one was on trial" in (prefix / "trial/returned").read_text()
    for left in ("start", "failed.json", ".start.new", ".failed.json.new", ".current.new"):  # by updates, some killed
        (prefix / left).write_text("")
    for left in (".staging", ".trial.new"):
        (prefix / left / "tree").mkdir(parents=True)
    done = install(unpacked, prefix, "--remove")
    assert done.returncode == 0, done.stderr
    assert not prefix.exists()


def test_two_installations_do_not_meet(unpacked: Path, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = install(unpacked, tmp_path)
    assert done.returncode == 1
    assert "another version is being installed" in done.stderr


def test_what_was_damaged_on_its_way_is_not_installed(unpacked: Path, tmp_path: Path) -> None:
    house = tmp_path / "house"
    shutil.copytree(unpacked, house)
    wheel = next(house.glob("wheels/psutil-*"))
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    done = install(house, tmp_path / "prefix")
    assert done.returncode == 1
    assert f"{wheel} is not what the manifest says" in done.stderr
    assert not (tmp_path / "prefix").exists()


def test_a_python_without_wheels_is_refused_by_name(unpacked: Path, tmp_path: Path) -> None:
    house = tmp_path / "house"
    shutil.copytree(unpacked, house)
    told = (house / "manifest.json").read_text()
    (house / "manifest.json").write_text(told.replace(f'"{MINE}"', '"3.99"'))
    done = install(house, tmp_path / "prefix")
    assert done.returncode == 1
    assert "no Python that these wheels are made for" in done.stderr


@pytest.mark.parametrize("words", [["--prefix"], ["--prefix", "relative"], ["--surprise"]])
def test_wrong_words_are_refused(unpacked: Path, words: list[str]) -> None:
    argv = [unpacked / "install.sh", *words]
    assert subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode in (1, 2)
