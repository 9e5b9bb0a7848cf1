"""The indices of the lab's apt repository."""

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from nanny_ops.lab.apt_repository import INSTALLED, OFFERED, AptRepository, demo_repository, digest_of
from nanny_ops.lab.deb import Deb


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo repository was built."""
    home = tmp_path_factory.mktemp("demo")
    demo_repository(home)
    return home


def packages(directory: Path, suite: str) -> dict[str, str]:
    text = (directory / f"dists/{suite}/main/binary-amd64/Packages").read_text()
    return dict(re.findall(r"Package: (\S+)\nVersion: (\S+)\n", text))


def test_each_suite_offers_its_packages(home: Path) -> None:
    repository = home / "repository"
    assert packages(repository, "stable-security") == {"nanny-demo-tls": "3.0.1-1+deb12u1"}
    assert packages(repository, "stable") == {d.name: d.version for d in OFFERED if not d.security}


def test_the_security_suite_is_labelled_as_debians(home: Path) -> None:
    release = (home / "repository/dists/stable-security/Release").read_text()
    assert "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\n" in release


def test_every_sum_is_right(home: Path) -> None:
    base = home / "repository/dists/stable"
    lines = (base / "Release").read_text().partition("SHA256:\n")[2].splitlines()
    assert len(lines) == 4
    for line in lines:
        digest, size, name = line.split()
        content = (base / name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, int(size))
    packed = (base / "main/binary-amd64/Packages.gz").read_bytes()
    assert gzip.decompress(packed) == (base / "main/binary-amd64/Packages").read_bytes()


def test_each_named_file_is_there_with_its_sum(home: Path) -> None:
    text = (home / "repository/dists/stable/main/binary-arm64/Packages").read_text()
    found = re.findall(r"Filename: (\S+)\nSize: (\d+)\nSHA256: (\S+)\n", text)
    assert len(found) == 3
    for name, size, digest in found:
        content = (home / "repository" / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (int(size), digest)


def test_a_copy_becomes_the_only_source(home: Path, tmp_path: Path) -> None:
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list.d/debian.sources").touch()
    copy = AptRepository(home / "repository").copy_to(tmp_path)
    assert [path.name for path in (tmp_path / "etc/apt/sources.list.d").iterdir()] == ["nanny-demo.list"]
    lines = (tmp_path / "etc/apt/sources.list.d/nanny-demo.list").read_text()
    assert "deb [trusted=yes] file:/srv/nanny-repo stable-security main\n" in lines
    assert packages(copy.directory, "stable")["nanny-demo-web"] == "1.1-1"


def test_a_package_can_be_added_and_removed(home: Path, tmp_path: Path) -> None:
    copy = AptRepository(home / "repository").copy_to(tmp_path)
    copy.add(Deb("nanny-slow", "2", scripts={"postinst": "#!/bin/sh\nsleep 1\n"}))
    assert packages(copy.directory, "stable")["nanny-slow"] == "2"
    copy.remove("nanny-slow", "2")
    assert "nanny-slow" not in packages(copy.directory, "stable")


def test_a_conffile_changes_between_the_versions() -> None:
    old, new = ({d.name: d for d in debs}["nanny-demo-conf"] for debs in (INSTALLED, OFFERED))
    assert old.conffiles == new.conffiles == ("/etc/nanny-demo.conf",)
    assert old.files != new.files


def test_the_digest_follows_the_packages() -> None:
    assert digest_of(INSTALLED) != digest_of(OFFERED)
