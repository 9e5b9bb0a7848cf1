"""The agent's state on real file systems that are full or read-only: named, waited for, and good again afterwards."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from nanny_ops.agent.app import World, serve
from nanny_ops.agent.enrollment import TokenStore
from nanny_ops.agent.order import Finding, Order, State
from nanny_ops.agent.settings import load
from nanny_ops.agent.spool import Reading, Spool
from nanny_ops.errors import DiskFull
from nanny_ops.machine.run import run
from nanny_ops.protocol.clock import now, stamp
from nanny_ops.protocol.enrollment import TokenFile
from nanny_ops.protocol.operation import Outcome
from tests.fakes.control_plane import URL, FakeControlPlane, patch_record
from tests.fakes.hands import FakeHands

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


def mount(*words: str) -> None:
    done = run(["mount", *words], timeout=20)
    assert done.exit_code == 0, done.stderr


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    yield folder
    run(["umount", "-l", str(folder)], timeout=20)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return filler
    raise AssertionError("the disk took everything")


def order(name: str, size: int = 20_000) -> Order:
    return Order(id=name, kind="patch", record={"id": name, "text": "x" * size})


def test_what_was_kept_outlives_a_full_disk(disk: Path) -> None:
    spool = Spool(disk / "spool.db", cap=1000)
    assert spool.accept(order("before"))
    filler = fill(disk)
    with pytest.raises(DiskFull):
        spool.accept(order("more", size=400_000))
    with pytest.raises(DiskFull):
        spool.keep([Reading(path="/p", body=b"x" * 400_000)])
    assert spool.find("before") is not None
    filler.unlink()
    spool.finish("before", Finding(outcome=Outcome.OK))
    assert spool.accept(order("after"))
    spool.close()
    again = Spool(disk / "spool.db", cap=1000)
    found = {one.id: one.state for one in again.unfinished()}
    assert (found["before"], found["after"]) == (State.FINISHED, State.RECEIVED)
    again.close()


class Life:
    """A daemon in this process whose state lies on the disk."""

    def __init__(self, disk: Path) -> None:
        self.plane, self.hands = FakeControlPlane(), FakeHands(disk.parent)
        self.settings = load({"url": URL, "state_dir": str(disk / "state")}, {}, disk / "none.toml")
        later = stamp(now() + timedelta(hours=1))
        TokenStore(self.settings.token_path).save(
            TokenFile(access_token="a", refresh_token="r", token_type="Bearer", expires_at=later, agent_id="agent-1")
        )

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0.02)

    async def go(self, disk: Path, log: pytest.LogCaptureFixture) -> None:
        world = World(hands=self.hands, sleep=self.sleep, random=lambda: 0.5, transport=self.plane.transport)
        stop = asyncio.Event()
        task = asyncio.create_task(serve(self.settings, world, stop))
        async with asyncio.timeout(60):
            while "event=state_unusable" not in log.text:
                await asyncio.sleep(0.02)
            assert not task.done()
            mount("-o", "remount,rw", str(disk))
            while not self.plane.results:
                await asyncio.sleep(0.02)
            stop.set()
            await task


def test_a_read_only_disk_is_waited_for(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    life = Life(disk)
    life.plane.add(patch_record())
    life.plane.stream = endless
    mount("-o", "remount,ro", str(disk))
    with caplog.at_level(logging.INFO, logger="nanny_ops"):
        asyncio.run(life.go(disk, caplog))
    assert life.plane.results["op-1"][0]["metadata"]["outcome"] == "ok"
    assert "Read-only file system" in caplog.text


async def endless(_request: httpx.Request) -> AsyncIterator[bytes]:
    yield b'event: connect\ndata: {"clientId":"c-1"}\n\n'
    await asyncio.sleep(30)
