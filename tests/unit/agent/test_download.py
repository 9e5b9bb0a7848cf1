"""A download is bounded by its progress: hours of slow bytes are well, minutes without any are not."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from nanny_ops.agent.download import LEAST, RESERVE, TRIES, Download
from nanny_ops.agent.order import Refused
from nanny_ops.errors import Unreachable
from nanny_ops.protocol.release import ARCHIVE_CAP
from tests.fakes.control_plane import NOON, FakeControlPlane, make_client, no_sleep, refuse

CONTENT = bytes(range(256)) * 1024
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Line:
    """A line on which time passes with each piece."""

    def __init__(self, answer: Callable[[int], httpx.Response]) -> None:
        self.plane, self.now, self.begun = FakeControlPlane(), NOON, list[int]()
        self.answer = answer
        self.plane.rules.append(self.archive)
        self.free = 2**40

    def archive(self, request: httpx.Request) -> httpx.Response:
        self.begun.append(int(request.headers.get("range", "bytes=0-")[6:-1]))
        return self.answer(self.begun[-1])

    def pieces(self, begin: int, size: int, seconds: float) -> httpx.Response:
        """Answer in pieces of a size, each after so many seconds."""

        async def body() -> object:
            for at in range(begin, len(CONTENT), size):
                self.now += timedelta(seconds=seconds)
                yield CONTENT[at : at + size]

        return httpx.Response(206 if begin else 200, content=body())  # type: ignore[arg-type]

    def fetch(self, target: Path, size: int = len(CONTENT), sha256: str = SHA256) -> None:
        async def go() -> None:
            client = make_client(self.plane)
            download = Download(client, now=lambda: self.now, sleep=no_sleep, free=lambda _folder: self.free)
            try:
                await download.fetch("/api/releases/x/archive", target, size, sha256)
            finally:
                await client.close()

        asyncio.run(go())

    def refusal(self, target: Path, **values: int) -> str:
        with pytest.raises(Refused) as refused:
            self.fetch(target, **values)
        return refused.value.finding.outcome


@pytest.mark.rows("F7")
def test_a_line_that_needs_a_minute_for_each_piece_brings_it_whole(tmp_path: Path) -> None:
    line = Line(lambda begin: line.pieces(begin, LEAST, 60))
    line.fetch(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert line.begun == [0]
    assert line.now - NOON >= timedelta(minutes=7)


@pytest.mark.rows("F7")
def test_a_line_that_trickles_or_is_silent_is_given_up(tmp_path: Path) -> None:
    trickle = Line(lambda begin: trickle.pieces(begin, 10, 60))
    assert trickle.refusal(tmp_path / "x") == "timed_out"
    assert len(trickle.begun) == TRIES

    def silence(_begin: int) -> httpx.Response:
        raise httpx.ReadTimeout("")

    silent = Line(silence)
    assert silent.refusal(tmp_path / "y") == "timed_out"
    assert len(silent.begun) == TRIES


def test_a_part_of_an_earlier_life_is_gone_on_with_and_one_that_cannot_be_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT[:1000])
    line = Line(lambda begin: line.pieces(begin, 2**20, 0))
    line.fetch(tmp_path / "x")
    assert line.begun == [1000]
    (tmp_path / "y").write_bytes(b"another beginning")
    whole = Line(lambda _begin: httpx.Response(200, content=CONTENT))
    whole.fetch(tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == CONTENT


def test_what_is_wrong_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    other = Line(lambda _begin: httpx.Response(200, content=CONTENT[::-1]))
    assert other.refusal(tmp_path / "x") == "checksum_mismatch"
    longer = Line(lambda _begin: httpx.Response(200, content=CONTENT + b"x"))
    assert longer.refusal(tmp_path / "y") == "checksum_mismatch"
    assert other.refusal(tmp_path / "z", size=ARCHIVE_CAP + 1) == "refused"
    assert Line(lambda _begin: refuse(404)).refusal(tmp_path / "z") == "refused"
    assert Line(lambda _begin: refuse(416)).refusal(tmp_path / "z") == "checksum_mismatch"
    full = Line(lambda _begin: httpx.Response(200, content=CONTENT))
    full.free = RESERVE
    assert full.refusal(tmp_path / "z") == "disk_full"
    busy = Line(lambda _begin: refuse(503))
    assert busy.refusal(tmp_path / "z") == "timed_out"
    assert not (tmp_path / "x").exists()


def test_a_refused_download_is_an_error_of_its_client(tmp_path: Path) -> None:
    async def go() -> None:
        plane = FakeControlPlane()
        plane.rules.append(lambda _request: None)
        client = make_client(plane)
        client.refused.clear()
        try:
            async with client.download("/api/none", 0):
                pass
        finally:
            await client.close()

    with pytest.raises(Exception, match="404") as told:
        asyncio.run(go())
    assert not isinstance(told.value, Unreachable)
