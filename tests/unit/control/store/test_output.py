"""Outputs on disk: whole or not at all, and followed piece by piece."""

import errno
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.control.store.output import LIVE_CAP, Outputs
from nanny_ops.errors import Conflict, Unavailable
from nanny_ops.protocol.redaction import LONGEST_LINE, masked


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def receive(outputs: Outputs, stdout: bytes, metadata: bytes = b"{}") -> str:
    incoming = outputs.receive("op")
    incoming.write("stdout", stdout)
    receipt = incoming.keep(metadata)
    incoming.discard()
    return receipt


def test_the_same_result_is_the_same_directory(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    first, again, other = receive(outputs, b"a"), receive(outputs, b"a"), receive(outputs, b"a", b"{1}")
    assert first == again != other
    assert names(tmp_path / "results" / "op") == sorted([first, other])
    found = outputs.find("op", first, "stdout")
    assert found is not None
    assert found.read_bytes() == b"a"
    assert names(found.parent) == ["stderr", "stdout"]
    outputs.drop("op", other)
    assert names(tmp_path / "results" / "op") == [first]


def test_what_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    incoming = Outputs(tmp_path).receive("op")
    incoming.write("stderr", b"half")
    incoming.discard()
    assert names(tmp_path / "incoming") == []
    assert names(tmp_path / "results" / "op") == []


def test_what_a_killed_process_was_receiving_is_removed_when_it_lies_still(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    assert outputs.sweep(time.time()) == 0
    killed, at_work = outputs.receive("op"), outputs.receive("op")
    killed.write("stdout", b"half")
    for place in (tmp_path / "incoming").rglob("*"):
        os.utime(place, (0, 0))
    at_work.write("stdout", b"more")
    assert outputs.sweep(time.time() - 60) == 1
    receipt = at_work.keep(b"{}")
    assert names(tmp_path / "incoming") == []
    assert outputs.find("op", receipt, "stdout") is not None
    killed.discard()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    incoming = Outputs(tmp_path).receive("op")
    temporary = next((tmp_path / "incoming").iterdir())
    (temporary / "stdout").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="space") as caught:
        incoming.write("stdout", b"x" * 1_000_000)  # more than is buffered
    assert caught.value.headers["Retry-After"] == "60"
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    incoming.discard()
    assert names(tmp_path / "incoming") == []


def test_a_place_that_is_no_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(Unavailable):
        Outputs(tmp_path).receive("op")
    with pytest.raises(Unavailable):
        Outputs(tmp_path).append("op", "stdout", 0, b"x")


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=8), st.data())
def test_pieces_that_come_twice_count_once(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], data: st.DataObject
) -> None:
    outputs, offset = Outputs(tmp_path_factory.mktemp("out")), 0
    for piece in pieces:
        for _ in range(data.draw(st.integers(1, 3))):
            assert outputs.append("op", "stdout", offset, piece) == offset + len(piece)
        offset += len(piece)
    file = outputs.find("op", None, "stdout")
    assert file is not None
    assert file.read_bytes() == b"".join(pieces)


def test_a_gap_is_refused_and_another_piece_replaces(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    outputs.append("op", "stdout", 0, b"abcdef")
    with pytest.raises(Conflict) as caught:
        outputs.append("op", "stdout", 7, b"x")
    assert caught.value.details["expected"] == 6
    assert outputs.append("op", "stdout", 2, b"XY") == 4
    file = outputs.find("op", None, "stdout")
    assert file is not None
    assert file.read_bytes() == b"abXY"
    outputs.settle("op")
    assert outputs.find("op", None, "stdout") is None


def test_what_grows_is_bounded(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    assert outputs.append("op", "stdout", 0, b"x" * (LIVE_CAP - 1)) == LIVE_CAP - 1
    assert outputs.append("op", "stdout", LIVE_CAP - 1, b"yz") == LIVE_CAP
    assert outputs.append("op", "stdout", LIVE_CAP + 1, b"late") == LIVE_CAP


def test_secrets_become_stars_also_where_two_pieces_meet(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    said = b"one\nhttps://user:hunter2@host/\nend"
    for start in range(0, len(said), 5):
        for _ in range(2):
            outputs.append("op", "stdout", start, said[start : start + 5])
    part = outputs.find("op", None, "stdout")
    assert part is not None
    assert part.read_bytes() == said.replace(b"hunter2", b"*******")
    receipt = receive(outputs, said)
    kept = outputs.find("op", receipt, "stdout")
    assert kept is not None
    assert kept.read_bytes() == part.read_bytes()


@given(st.lists(st.integers(0, 400), max_size=12), st.integers(1, 60))
def test_a_piece_once_given_is_never_another(cuts: list[int], size: int) -> None:
    text = ("password=hunter2 caf\u00e9\nhttp://u:geheim@host/ " + "x" * 90 + "\n\u20ac no end").encode() * 3
    with tempfile.TemporaryDirectory() as directory:
        outputs, read, start = Outputs(Path(directory)), b"", 0
        for cut in (*sorted(cuts), len(text)):
            outputs.append("op", "stdout", start, text[start:cut])
            start = max(start, min(cut, len(text)))
            while piece := outputs.piece("op", None, "stdout", len(read), size, over=False):
                read += piece
        receipt = receive(outputs, text)
        while piece := outputs.piece("op", receipt, "stdout", len(read), size + 4, over=True):
            piece.decode()
            read += piece
    assert read == masked(text)


def test_a_line_without_end_is_given_as_far_as_it_is_certain(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    assert outputs.piece("op", None, "stdout", 0, 10, over=False) == b""
    outputs.append("op", "stdout", 0, b"x" * (LONGEST_LINE + 7))
    assert outputs.piece("op", None, "stdout", 0, 100, over=False) == b"x" * 7
    assert len(outputs.piece("op", None, "stdout", 7, 10_000, over=True)) == LONGEST_LINE
    assert outputs.piece("op", None, "stdout", 1 << 69, 100, over=True) == b""
    outputs.append("op", "stderr", 0, b"bad \xff\xfe")
    assert outputs.piece("op", None, "stderr", 0, 5, over=True) == b"bad "
    assert outputs.piece("op", None, "stderr", 4, 10, over=True) == b"\xff\xfe"
