"""A stream is followed over connections that break: each event once, and an end to patience."""

from typing import Any

import httpx
import pytest

from nanny_ops.cli import client_watch
from nanny_ops.cli.client import Client
from nanny_ops.errors import NotFound, Unauthorized, Unreachable

ONE = b'retry: 5000\n\nid: a\nevent: status\ndata: {"n": 1}\n\n'
PING, END = b": ping\n\n", b'id: z\nevent: end\ndata: {"id": "p"}\n\n'


def watch(*answers: Any) -> tuple[list[Any], list[str | None], list[str]]:
    """Return what was told, with which ids was asked, and why connections were lost."""
    left, asked, lost, found = list(answers), list[str | None](), list[str](), list[Any]()

    def plane(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, content=answer)

    client = Client("http://127.0.0.1:1", "t", transport=httpx.MockTransport(plane), sleep=lambda _s: None)
    with client:
        found.extend(client.watch("patches", "p", lambda why, _seconds: lost.append(why)))
    return found, asked, lost


def test_a_broken_stream_goes_on_behind_the_last_event() -> None:
    half = ONE + b'id: b\nevent: output\ndata: {"half'
    found, asked, lost = watch(half, httpx.ConnectError("away"), httpx.Response(503), PING, END)
    assert [one for one in found if one[0]] == [("status", {"n": 1}), ("end", {"id": "p"})]
    assert asked == [None, "a", "a", "a", "a"]
    assert (lost[0], lost[1], lost[3]) == (client_watch.ENDED, "away", client_watch.ENDED)


def test_who_was_told_the_end_is_told_so() -> None:
    assert watch(httpx.Response(204))[0] == [("end", {})]


def test_what_cannot_be_helped_ends_it() -> None:
    with pytest.raises(NotFound):
        watch(httpx.Response(404))
    closed = b'event: closed\ndata: {"error": "unauthorized", "error_description": "It was revoked."}\n\n'
    with pytest.raises(Unauthorized, match="revoked"):
        watch(ONE + closed)


def test_patience_ends() -> None:
    with pytest.raises(Unreachable, match="away"):
        watch(*[httpx.ConnectError("away")] * client_watch.STREAM_TRIES)
