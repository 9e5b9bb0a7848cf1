"""A wheelhouse that was built is installed by its own installer, again, newer, and not when it is damaged."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from release.wheel import MACHINES, PYTHONS, architecture
from release.wheelhouse import build

MINE = f"{sys.version_info.major}.{sys.version_info.minor}"
pytestmark = pytest.mark.skipif(MINE not in PYTHONS, reason=f"Wheelhouses are not made for Python {MINE}.")
EPOCH = 1_760_000_000
Unpacked = Callable[[str], Path]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    place = tmp_path_factory.mktemp("wheelhouses")
    machine = MACHINES[architecture()]

    def unpack(version: str) -> Path:
        if not (place / version).is_dir():
            (place / version).mkdir()
            shutil.unpack_archive(build(version, EPOCH, place, machine), place / version, filter="data")
        return place / version

    return unpack


def install(house: Path, prefix: Path) -> "subprocess.CompletedProcess[str]":
    argv = [house / "install.sh", "--prefix", prefix, "--python", sys.executable]
    environ = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, env=environ, check=False)


def version(prefix: Path) -> str:
    asked = [prefix / "bin/nanny-agent", "--version"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_a_version_is_installed_beside_the_one_before_and_older_ones_go(unpacked: Unpacked, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix with space"
    for number in ("9.0.0", "9.0.1", "9.0.2"):
        done = install(unpacked(number), prefix)
        assert done.returncode == 0, done.stderr
        assert version(prefix) == f"nanny-agent {number}"
    assert sorted(path.name for path in (prefix / "versions").iterdir()) == ["9.0.1", "9.0.2"]
    assert install(unpacked("9.0.1"), prefix).returncode == 0
    assert version(prefix) == "nanny-agent 9.0.1", "going back installs nothing and keeps both"
    assert sorted(path.name for path in prefix.iterdir()) == ["bin", "current", "versions"]


def test_half_a_version_is_made_whole(unpacked: Unpacked, tmp_path: Path) -> None:
    (tmp_path / "versions/9.0.0/lib").mkdir(parents=True)
    assert install(unpacked("9.0.0"), tmp_path).returncode == 0
    assert version(tmp_path) == "nanny-agent 9.0.0"


def test_what_was_damaged_on_its_way_is_not_installed(unpacked: Unpacked, tmp_path: Path) -> None:
    house = tmp_path / "house"
    shutil.copytree(unpacked("9.0.0"), house)
    wheel = next(house.glob("wheels/psutil-*"))
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    done = install(house, tmp_path / "prefix")
    assert done.returncode == 1
    assert f"{wheel} is not what the manifest says" in done.stderr
    assert not (tmp_path / "prefix").exists()


def test_a_python_without_wheels_is_refused_by_name(unpacked: Unpacked, tmp_path: Path) -> None:
    house = tmp_path / "house"
    shutil.copytree(unpacked("9.0.0"), house)
    told = (house / "manifest.json").read_text()
    (house / "manifest.json").write_text(told.replace(f'"{MINE}"', '"3.99"'))
    done = install(house, tmp_path / "prefix")
    assert done.returncode == 1
    assert "no Python that these wheels are made for" in done.stderr


@pytest.mark.parametrize("words", [["--prefix"], ["--prefix", "relative"], ["--surprise"]])
def test_wrong_words_are_refused(unpacked: Unpacked, words: list[str]) -> None:
    argv = [unpacked("9.0.0") / "install.sh", *words]
    assert subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode in (1, 2)
