"""Backups as files: whole, private, and believed only when they are what they say."""

import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nanny_ops.control.services.backup import DATA, Manifest, file_name, pack, surplus, unpack
from nanny_ops.errors import SettingsError

TOLD = Manifest(version="1.2.3", revision="0001", kind="sqlite", made_at="2026-01-02T03:04:05Z")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    (data / "results/op-1").mkdir(parents=True)
    (data / "results/op-1/stdout").write_text("said")
    (data / "secret.key").write_text("key")
    (data / "other").write_text("not kept")
    (tmp_path / "copy.db").write_bytes(b"rows")
    return pack(tmp_path / file_name(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)), TOLD, tmp_path / "copy.db", data)


def test_what_is_kept_comes_out_as_it_went_in(packed: Path, tmp_path: Path) -> None:
    assert packed.name == "nanny-ops-20260102T030405Z.tar.gz"
    assert packed.stat().st_mode & 0o777 == 0o600
    told = unpack(packed, tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"manifest.json", "nanny-ops.db", f"{DATA}secret.key", f"{DATA}results/op-1/stdout"}
    assert found - {"manifest.json"} == set(told.files)
    assert (told.version, told.revision, told.kind) == ("1.2.3", "0001", "sqlite")


def test_what_was_changed_or_cut_is_refused(packed: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path / "out")
    (tmp_path / "out" / DATA / "signing.key").write_text("whose?")
    with tarfile.open(tmp_path / "more.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "out", arcname=".")
    with pytest.raises(SettingsError, match=r"the manifest does not know data/signing\.key"):
        unpack(tmp_path / "more.tar.gz", tmp_path / "more")
    (tmp_path / "out/nanny-ops.db").write_bytes(b"rowz")
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "out", arcname=".")
    with pytest.raises(SettingsError, match=r"nanny-ops\.db is not what the manifest says"):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "again")
    (tmp_path / "cut.tar.gz").write_bytes(packed.read_bytes()[:200])
    with pytest.raises(SettingsError, match="no backup that can be read"):
        unpack(tmp_path / "cut.tar.gz", tmp_path / "cut")


@pytest.mark.parametrize("name", ["../out.key", "/out.key", "link"])
def test_what_leads_out_of_it_is_refused(tmp_path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    if name == "link":
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        tar.addfile(member)
    with pytest.raises(SettingsError, match="is no plain file of a backup"):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "into")
    assert not (tmp_path / "out.key").exists()


def test_the_newest_stay_and_nothing_else_is_touched(tmp_path: Path) -> None:
    names = [f"nanny-ops-2026010{day}T000000Z.tar.gz" for day in range(1, 5)]
    for name in (*names, "mine.tar.gz"):
        (tmp_path / name).touch()
    assert [path.name for path in surplus(tmp_path, 3)] == names[:1]
    assert surplus(tmp_path, 4) == []
