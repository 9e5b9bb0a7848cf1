"""The parts of a wheelhouse: lock, manifest and tar."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from release.lock import conditions
from release.product import CONTROL_PLANE
from release.wheel import PYTHONS, Wheel
from release.wheelhouse import locks_of, manifest, pack, requirements


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    names = ("msgspec-0.22.0-cp311-cp311-x.whl", "msgspec-0.22.0-cp313-cp313-x.whl", "pip-26.3-py3-none-any.whl")
    found = [tmp_path / name for name in ("nanny_ops-0.1.0-py3-none-any.whl", *names)]
    for path in found:
        path.write_text(path.name)
    return [Wheel(path) for path in found]


def test_each_distribution_is_locked_by_the_wheels_that_are_carried(wheels: list[Wheel]) -> None:
    own, first, second, _ = (f"--hash=sha256:{wheel.digest}" for wheel in wheels)
    lines = requirements(wheels).splitlines()
    assert lines[0].split() == ["msgspec==0.22.0", *sorted([first, second])]
    assert lines[1] == f"nanny-ops[agent]==0.1.0 {own}"
    assert len(lines) == 2, "pip installs and is not installed"


def test_the_control_plane_is_carried_with_what_each_python_needs(tmp_path: Path) -> None:
    lock = next(lock for lock in locks_of(CONTROL_PLANE) if lock.name == "ansible.txt")
    (old, new) = sorted(pin for pin in conditions([lock]) if pin.startswith("ansible-core=="))
    found = [tmp_path / f"{pin.replace('==', '-').replace('e-c', 'e_c')}-py3-none-any.whl" for pin in (old, new)]
    own = tmp_path / "nanny_ops-0.1.0-py3-none-any.whl"
    for path in (own, *found):
        path.write_text(path.name)
    lines = requirements([Wheel(path) for path in (own, *found)], CONTROL_PLANE).splitlines()
    said = [line.partition(" --hash")[0] for line in lines]
    assert said[0] == f"{old} ; python_full_version < '3.12'"
    assert said[1] == f"{new} ; python_full_version >= '3.12'"
    assert said[2] == "nanny-ops[control,cli,ansible]==0.1.0"


def test_the_manifest_names_every_file_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/a.whl").write_bytes(b"a")
    told = json.loads(manifest("1.2.3", "x86_64", tmp_path))
    assert told["files"] == {"wheels/a.whl": hashlib.sha256(b"a").hexdigest()}
    assert told["version"] == "1.2.3"
    assert told["machine"] == "x86_64"
    assert told["pythons"] == list(PYTHONS)


def test_a_tar_is_the_same_whoever_packs_it_when(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "wheels").mkdir(parents=True)
    (tree / "wheels/b.whl").write_bytes(b"b")
    (tree / "install.sh").write_text("#!/bin/sh\n")
    (tree / "install.sh").chmod(0o700)
    first = pack(tree, 42, tmp_path / "one.tar").read_bytes()
    (tree / "wheels/b.whl").touch()
    (tree / "wheels/b.whl").chmod(0o600)
    assert pack(tree, 42, tmp_path / "two.tar").read_bytes() == first
    with tarfile.open(tmp_path / "two.tar") as tar:
        told = [(one.name, oct(one.mode), one.mtime, one.uid, one.uname) for one in tar]
    assert told == [("install.sh", "0o755", 42, 0, ""), ("wheels/b.whl", "0o644", 42, 0, "")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.tar", "tree", "two.tar"]
