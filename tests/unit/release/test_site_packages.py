"""Wheels for several versions of Python in one directory."""

import zipfile
from pathlib import Path

import pytest

from nanny_ops.errors import SettingsError
from release.site_packages import demand_all, lay_out
from release.wheel import Wheel


def wheel(folder: Path, name: str, files: dict[str, str]) -> Wheel:
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return Wheel(folder / name)


@pytest.fixture
def pair(tmp_path: Path) -> list[Wheel]:
    return [
        wheel(
            tmp_path,
            f"fast-1.0-{python}-{python}-x.whl",
            {"fast/__init__.py": "same", f"fast/core.{python}.so": python, "fast-1.0.dist-info/RECORD": python},
        )
        for python in ("cp311", "cp313")
    ]


def test_compiled_parts_lie_side_by_side_and_dpkg_is_named(pair: list[Wheel], tmp_path: Path) -> None:
    plain = wheel(tmp_path, "own-1.0-py3-none-any.whl", {"own/__init__.py": "", "own/control/app.py": ""})
    (tmp_path / "tree/fast-1.0.dist-info").mkdir(parents=True)
    lay_out([*pair, plain], tmp_path / "tree", lambda name: not name.startswith("own/control"))
    found = sorted(str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*.*"))
    assert found == [
        "fast-1.0.dist-info",
        "fast/__init__.py",
        "fast/core.cp311.so",
        "fast/core.cp313.so",
        "own/__init__.py",
    ]
    assert (tmp_path / "tree/fast-1.0.dist-info/INSTALLER").read_text() == "dpkg\n"


def test_wheels_that_differ_are_refused(pair: list[Wheel], tmp_path: Path) -> None:
    other = wheel(tmp_path, "fast-1.0-cp312-cp312-x.whl", {"fast/__init__.py": "other"})
    with pytest.raises(SettingsError, match="hold different files fast"):
        lay_out([*pair, other], tmp_path / "tree")


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "own-1.0.data/scripts/own"])
def test_paths_that_leave_the_directory_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no place"):
        lay_out([wheel(tmp_path, "own-1.0-py3-none-any.whl", {name: ""})], tmp_path / "tree")


def test_every_python_needs_every_distribution(pair: list[Wheel]) -> None:
    demand_all(pair, ["3.11", "3.13"])
    with pytest.raises(SettingsError, match=r"Python 3\.12 of fast"):
        demand_all(pair, ["3.11", "3.12"])
