"""The way to the helper: asked again while it may help, and never for a refusal."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.agent.helper_socket import TRIES, HelperSocket
from nanny_ops.errors import HelperAway, MachineError, VerbRefused
from nanny_ops.machine.frame import ANSWER_CAP, HEAD, read_verb, write_reply
from nanny_ops.machine.verbs import JobPhase, JobState, LookJob

STATE = JobState(job_id="a", phase=JobPhase.ABSENT)


@pytest.fixture
def path() -> Iterator[Path]:
    """A path short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "s"


class Story:
    """A helper that gives one prepared answer after the other; an empty one is a broken connection."""

    def __init__(self, path: Path, *answers: bytes) -> None:
        self.path, self.answers, self.asked, self.slept = path, list(answers), 0, list[float]()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = HEAD.unpack(await reader.readexactly(HEAD.size))[0]
        assert read_verb(await reader.readexactly(size)) == LookJob(job_id="a")
        self.asked += 1
        writer.write(self.answers.pop(0))
        await writer.drain()
        writer.close()

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def _play(self) -> JobState:
        socket = HelperSocket(self.path, sleep=self._sleep, random=lambda: 0.5)
        if not self.answers:
            return await socket.do(LookJob(job_id="a"))
        async with await asyncio.start_unix_server(self._serve, self.path):
            return await socket.do(LookJob(job_id="a"))

    def play(self) -> JobState:
        return asyncio.run(self._play())


def test_a_verb_is_carried_out(path: Path) -> None:
    story = Story(path, write_reply(STATE))
    assert story.play() == STATE
    assert (story.asked, story.slept) == (1, [])


def test_a_connection_that_breaks_is_tried_again(path: Path) -> None:
    story = Story(path, b"", write_reply(STATE)[:-1], write_reply(STATE))
    assert story.play() == STATE
    assert (story.asked, story.slept) == (3, [0.5, 1.0])


def test_a_refusal_is_final(path: Path) -> None:
    story = Story(path, write_reply(VerbRefused("No.", outcome="refused")), write_reply(STATE))
    with pytest.raises(VerbRefused, match="No"):
        story.play()
    assert story.asked == 1


def test_a_helper_that_is_away_is_named(path: Path) -> None:
    story = Story(path)
    with pytest.raises(HelperAway, match="cannot be reached"):
        story.play()
    assert len(story.slept) == TRIES - 1


def test_an_answer_that_is_too_large_is_not_read(path: Path) -> None:
    with pytest.raises(MachineError, match="too many"):
        Story(path, HEAD.pack(ANSWER_CAP + 1)).play()
