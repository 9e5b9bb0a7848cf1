"""The API client: addresses, named errors, pages, and what it may send twice."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nanny_ops.cli.answer import record
from nanny_ops.cli.client import TRIES, Client
from nanny_ops.errors import (
    Conflict,
    Forbidden,
    Internal,
    NannyError,
    NotFound,
    SettingsError,
    Unauthorized,
    Unavailable,
    Unreachable,
    ValidationFailed,
)
from nanny_ops.protocol.patch import ScriptVersion

URL = "http://127.0.0.1:1"


def client(handler: Callable[[httpx.Request], httpx.Response], pauses: list[float] | None = None) -> Client:
    slept = [] if pauses is None else pauses
    return Client(URL, "t", transport=httpx.MockTransport(handler), sleep=slept.append, jitter=lambda: 1.0)


@pytest.mark.parametrize(
    "url", ["", "nanny", "ftp://x", "http://", "http://nanny.example.com", "http://10.0.0.1", "http://["]
)
def test_an_address_that_would_not_do_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        Client(url)


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/", "http://127.0.0.1", "http://[::1]:8000", "https://nanny.example.com"]
)
def test_an_address_that_does(url: str) -> None:
    with Client(url) as made:
        assert made.url == url.rstrip("/")


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (401, {"error": {"message": "Sign in first."}}, Unauthorized, "Sign in first."),
        (403, {"error": "forbidden", "error_description": "Not yours."}, Forbidden, "Not yours."),
        (404, {"error": {"message": "Nothing there."}}, NotFound, "Nothing there."),
        (409, {"error": {"message": "Ended."}}, Conflict, "Ended."),
        (422, {"error": {"message": "vmid: no."}}, ValidationFailed, "vmid: no."),
        (500, "gone", Internal, "The control plane answered 500."),
        (500, ["gone"], Internal, "The control plane answered 500."),
    ],
)
def test_an_answer_that_is_an_error_has_a_name(status: int, body: Any, error: type[NannyError], message: str) -> None:
    with client(lambda _: httpx.Response(status, json=body)) as made, pytest.raises(error) as caught:
        made.patch("x")
    assert caught.value.message == message


def test_a_broken_connection_is_tried_again_and_then_named() -> None:
    pauses: list[float] = []

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with client(broken, pauses) as made, pytest.raises(Unreachable, match="refused"):
        made.agents()
    assert pauses == [1.0, 2.0, 4.0]
    assert len(pauses) == TRIES - 1


def test_what_would_happen_twice_is_sent_once() -> None:
    sent: list[httpx.Request] = []

    def busy(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(503)

    with client(busy) as made:
        with pytest.raises(Unavailable):
            made.place_patch({"agent_id": "a"})
        assert len(sent) == 1
        with pytest.raises(Unavailable):
            made.place_patch({"agent_id": "a"}, key="k")
    assert len(sent) == 1 + TRIES
    assert {request.headers["idempotency-key"] for request in sent[1:]} == {"k"}
    assert {request.headers["authorization"] for request in sent} == {"Bearer t"}


def test_pages_are_walked_to_the_limit() -> None:
    asked: list[dict[str, str]] = []

    def pages(request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        asked.append(query)
        start, size = int(query["offset"]), int(query["limit"])
        rows = [{"n": number} for number in range(start, min(450, start + size))]
        return httpx.Response(200, json={"items": rows, "total": 450})

    with client(pages) as made:
        assert len(made.agents(10_000)) == 450
        assert len(made.inventory("guests", 201)) == 201
    assert [query["offset"] for query in asked] == ["0", "200", "400", "0", "200"]
    assert asked[-1]["limit"] == "1"


def test_an_id_cannot_leave_its_place_in_the_address() -> None:
    seen: list[bytes] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, content=b"text")

    with client(note) as made:
        assert made.output("../agents?x=1", "stdout", 7) == b"text"
    assert seen == [b"/api/patches/..%2Fagents%3Fx%3D1/stdout?offset=7"]


def test_signing_in_gives_the_token_to_what_follows() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/auth/login":
            assert json.loads(request.content) == {"email": "a@example.com", "password": "p"}
            return httpx.Response(200, json={"access_token": "new"})
        return httpx.Response(200, json={"token": request.headers["authorization"]})

    with client(answer) as made:
        assert made.login("a@example.com", "p") == "new"
        assert made.agent("x") == {"token": "Bearer new"}


def test_a_newer_servers_keys_are_left_out() -> None:
    known = {
        "id": "a-1", "name": "a", "description": "", "sha256": "0", "shipped": True, "families": [],
        "created_by": None, "created_at": "now",
    }  # fmt: skip
    assert record(ScriptVersion, {**known, "colour": "green"}) == ScriptVersion(**known)  # type: ignore[arg-type]
