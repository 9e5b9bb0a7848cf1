"""The Debian package as dpkg-deb sees it: its fields, its files and their modes, the same each time."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from release.package import build
from release.wheel import PYTHONS, architecture

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="Debian packages are made by dpkg-deb.")
EPOCH = 1_760_000_000
#: Where a package of this kind may put files.
ROOTS = ("./opt/nanny-agent/", "./etc/nanny-ops/", "./usr/lib/s", "./usr/lib/tmpfiles.d/", "./usr/share/doc/")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("9.0.0rc1", EPOCH, tmp_path_factory.mktemp("package"), architecture())


def ask(*argv: str | Path) -> str:
    return subprocess.run(["dpkg-deb", *argv], capture_output=True, text=True, timeout=60, check=True).stdout


def test_its_fields(package: Path) -> None:
    assert package.name == f"nanny-agent_9.0.0~rc1_{architecture()}.deb"
    fields = dict(line.split(": ", 1) for line in ask("--field", package).splitlines() if not line.startswith(" "))
    assert (fields["Package"], fields["Version"]) == ("nanny-agent", "9.0.0~rc1")
    assert fields["Architecture"] == architecture()
    assert "python3 (>= 3.11), python3 (<< 3.14)" in fields["Depends"]
    assert 1000 < int(fields["Installed-Size"]) < 20_000
    assert ask("--info", package, "conffiles") == "/etc/nanny-ops/agent.toml\n"


def test_its_files_belong_to_root_and_lie_where_they_may(package: Path) -> None:
    lines = [line.split(maxsplit=5) for line in ask("--contents", package).splitlines()]
    assert {line[1] for line in lines} == {"root/root"}
    assert {line[0] for line in lines} == {"drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"}
    files = [line for line in lines if not line[0].startswith("d")]
    assert [line[5] for line in files if not line[5].startswith((*ROOTS, "./usr/bin/nanny-agent ->"))] == []
    programs = {line[5].rpartition("/")[2] for line in files if "x" in line[0] and not line[0].startswith("l")}
    assert programs == {"nanny-agent", "nanny-agent-helper"}
    assert [
        line[5] for line in files if re.search(r"\.pyc|site-packages/(pip|nanny_ops/(control|lab))/", line[5])
    ] == []


def test_each_python_has_its_compiled_parts(package: Path) -> None:
    told = ask("--contents", package)
    for python in PYTHONS:
        assert re.search(rf"msgspec/_core\.cpython-{python.replace('.', '')}-.*\.so", told)
        assert f"./opt/nanny-agent/lib/python{python} -> python3\n" in told
    assert "./opt/nanny-agent/bin/python -> /usr/bin/python3\n" in told


def test_it_is_the_same_to_the_byte_whoever_builds_it_when(package: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = build("9.0.0rc1", EPOCH, tmp_path, architecture())
    finally:
        os.umask(before)
    assert again.read_bytes() == package.read_bytes()
