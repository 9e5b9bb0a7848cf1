"""A release of small wheels that real pip installs into a slot: whole, or nothing is left and the old one is in use."""

import base64
import hashlib
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.errors import VerbRefused
from nanny_ops.machine.run import Done, run
from nanny_ops.machine.staging import PIP, stage
from nanny_ops.machine.update_verbs import StageUpdate
from nanny_ops.machine.versions import Versions
from release.source import ROOT
from release.wheel import MACHINES, PYTHONS, architecture, fetch
from release.wheelhouse import CACHE
from tests.fakes.release import archive
from tests.fakes.versions import make_prefix

MINE = f"{sys.version_info.major}.{sys.version_info.minor}"
pytestmark = pytest.mark.skipif(MINE not in PYTHONS, reason=f"Wheelhouses are not made for Python {MINE}.")
#: Bytes of zeros that the wheel unpacks, and of a disk that cannot hold them.
LARGE, SMALL_DISK = 64 * 2**20, 24 * 2**20
LOTS = 2**40


def wheel(path: Path) -> bytes:
    """Make a wheel of an agent that can say its version, with a large file in it."""
    files = {
        "tiny/__init__.py": b"def main() -> None:\n    print('nanny-agent 2.0')\n",
        "tiny/large": bytes(LARGE),
        "tiny-2.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 2.0\n",
        "tiny-2.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny-2.0.dist-info/entry_points.txt": b"[console_scripts]\nnanny-agent = tiny:main\n",
    }
    lines = ["tiny-2.0.dist-info/RECORD,,"]
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in {**files, "tiny-2.0.dist-info/RECORD": "\n".join(lines).encode()}.items():
            out.writestr(name, content)
    return path.read_bytes()


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> StageUpdate:
    place = tmp_path_factory.mktemp("tiny")
    pip = next(
        one
        for one in fetch([ROOT / "requirements/wheelhouse.txt"], MACHINES[architecture()], CACHE)
        if one.name == "pip"
    )
    own = wheel(place / "tiny-2.0-py3-none-any.whl")
    lock = f"tiny==2.0 --hash=sha256:{hashlib.sha256(own).hexdigest()}\n".encode()
    inside = {"requirements.txt": lock, "pip.whl": pip.path.read_bytes(), "wheels/tiny-2.0-py3-none-any.whl": own}
    content = archive("2.0", inside)
    (place / "release.tar").write_bytes(content)
    return StageUpdate(
        order_id="o", claim="c", release_id="r", version="2.0", path=str(place / "release.tar"),
        sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def left(versions: Versions) -> set[str]:
    """Return what lies below the prefix beyond the lock."""
    found = {str(path.relative_to(versions.prefix)) for path in versions.prefix.glob("*")} - {".lock"}
    return found | {path.name for path in (versions.prefix / "versions").iterdir()}


def kill_inside_pip(argv: Sequence[str], **given: Any) -> Done:
    """Run a program, and kill it while it unpacks when it is pip."""
    if not any(word.endswith(PIP) for word in argv):
        return run(argv, **given)
    home = Path(argv[0]).parents[1]
    ends = time.monotonic() + 60
    with subprocess.Popen(argv, env=given["env"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pip:
        while not any(home.glob("lib/*/site-packages/tiny*")):
            assert pip.poll() is None, "pip ended before anything was unpacked"
            assert time.monotonic() < ends
            time.sleep(0.001)
        pip.kill()
    return Done(argv=tuple(argv), exit_code=pip.returncode, stdout=b"", stderr=b"")


@pytest.mark.rows("F7")
def test_killed_inside_pip_nothing_is_left_and_asked_again_it_is_whole(order: StageUpdate, tmp_path: Path) -> None:
    versions = make_prefix(tmp_path / "prefix")
    before = left(versions)
    with pytest.raises(VerbRefused) as refused:
        stage(order, versions, run=kill_inside_pip)
    assert refused.value.details["outcome"] == "update_failed"
    assert "ended with -9" in refused.value.message
    assert (left(versions), versions.current) == (before, "1.0")
    name = stage(order, versions)
    said = subprocess.run([versions.home(name) / "bin/nanny-agent"], capture_output=True, check=True, timeout=30)
    assert said.stdout == b"nanny-agent 2.0\n"
    assert versions.current == "1.0"
    assert left(versions) == before | {name}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("A small disk is mounted by root only.")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", place], check=True, timeout=30)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True, timeout=30)


@pytest.mark.rows("F7")
def test_a_disk_that_is_full_is_told_before_and_when_it_fills_inside_pip(order: StageUpdate, small_disk: Path) -> None:
    versions = make_prefix(small_disk / "prefix")
    before = left(versions)
    for more in ({}, {"free": lambda _folder: LOTS}):  # told by the disk itself, and found out by pip
        with pytest.raises(VerbRefused) as refused:
            stage(order, versions, **more)  # type: ignore[arg-type]
        assert refused.value.details["outcome"] == "disk_full", refused.value.message
        assert (left(versions), versions.current) == (before, "1.0")
    assert "No space left" in refused.value.message
