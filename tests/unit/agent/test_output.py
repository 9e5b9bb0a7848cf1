"""Live output: what is new, whole characters, bounded, never in the way."""

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.agent import output
from nanny_ops.agent.output import OutputFeed, decode
from nanny_ops.protocol.patch_report import Step
from tests.fakes.control_plane import FakeControlPlane, make_client, refuse


def push(plane: FakeControlPlane, path: Path, rounds: list[bytes]) -> None:
    async def go() -> None:
        client = make_client(plane)
        feed = OutputFeed(client, "op-1")
        for piece in rounds:
            with path.open("ab") as file:
                file.write(piece)
            await feed.push(str(path), "")
        await client.close()

    asyncio.run(go())


def test_each_round_sends_what_is_new_with_its_place(tmp_path: Path) -> None:
    plane = FakeControlPlane()
    push(plane, tmp_path / "out", [b"one\n", b"", b"caf\xc3", b"\xa9\n"])
    assert plane.chunks == [
        {"stream": "stdout", "offset": 0, "text": "one\n"},
        {"stream": "stdout", "offset": 4, "text": "caf"},
        {"stream": "stdout", "offset": 7, "text": "\u00e9\n"},
    ]


def test_a_control_plane_that_is_away_is_not_asked_at_every_look(tmp_path: Path) -> None:
    plane = FakeControlPlane()
    plane.rules.append(lambda _request: refuse(503))
    push(plane, tmp_path / "out", [b"x"] * (output.PAUSE + 2))
    assert len(plane.requests) == 2


def test_only_the_beginning_of_a_flood_is_sent(tmp_path: Path) -> None:
    plane = FakeControlPlane()
    rounds = output.LIVE_CAP // output.CHUNK
    push(plane, tmp_path / "out", [b"x" * (output.LIVE_CAP + 10 * output.CHUNK), *[b""] * (rounds + 20)])
    assert sum(len(chunk["text"]) for chunk in plane.chunks) == output.LIVE_CAP


def test_a_file_that_is_not_there_yet_is_no_trouble() -> None:
    plane = FakeControlPlane()

    async def go() -> None:
        client = make_client(plane)
        await OutputFeed(client, "op-1").push("/nonexistent/out", "")
        await client.close()

    asyncio.run(go())
    assert plane.requests == []


@given(st.text(), st.integers(0, 200))
def test_a_text_cut_anywhere_loses_nothing(text: str, cut: int) -> None:
    raw = text.encode("utf-8", "replace")
    head, used = decode(raw[:cut])
    tail, rest = decode(raw[used:])
    assert head + tail == raw.decode()
    assert used + rest == len(raw)


def test_bytes_that_are_no_text_keep_their_places() -> None:
    assert decode(b"a\xff\xfe\xc3(\n") == ("a???(\n", 6)


def test_steps_are_told_when_they_have_changed_and_not_to_who_refuses_them(tmp_path: Path) -> None:
    plane = FakeControlPlane()
    one, more = [Step(name="preflight", outcome="running")], [Step(name="preflight"), Step(name="script")]

    async def go() -> None:
        client = make_client(plane)
        feed = OutputFeed(client, "op-1")
        for told in (one, one, more):
            await feed.push("", "", told)
        plane.rules.append(lambda _request: refuse(404))
        for _ in range(3):
            await feed.push("", "", one)
        await client.close()

    asyncio.run(go())
    assert [request[1] for request in plane.requests] == ["/api/operations/op-1/steps"] * 3
