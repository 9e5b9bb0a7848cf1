"""Nothing in an archive reaches beyond the folder it is unpacked into, and nothing but plain files is written."""

import io
import tarfile
from pathlib import Path

import pytest

from nanny_ops.errors import VerbRefused
from nanny_ops.machine import archive
from tests.fakes.release import tar


def special(kind: bytes, name: str = "x", link: str = "/etc/passwd") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        file.addfile(entry)
    return out.getvalue()


def unpack(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "a.tar").write_bytes(content)
    archive.unpack(tmp_path / "a.tar", tmp_path / "out")
    return tmp_path / "out"


def test_plain_files_come_out(tmp_path: Path) -> None:
    out = unpack(tmp_path, tar({"manifest.json": b"{}", "wheels/a.whl": b"wheel"}))
    assert (out / "wheels/a.whl").read_bytes() == b"wheel"


@pytest.mark.parametrize(
    "content",
    [
        tar({"../x": b""}), tar({"/etc/x": b""}), tar({"a/../../x": b""}), special(tarfile.SYMTYPE),
        special(tarfile.LNKTYPE), special(tarfile.CHRTYPE), special(tarfile.FIFOTYPE), b"nothing", b"",
        tar({"a": b"x" * 5000})[:2000],
    ],
)  # fmt: skip
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises((VerbRefused, OSError)):
        unpack(tmp_path, content)
    assert not (tmp_path / "x").exists()


def test_it_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar({str(number): b"" for number in range(3)}))
    with pytest.raises(VerbRefused, match="more than"):
        archive.unpack(tmp_path / "a.tar", tmp_path / "out", most=2)
