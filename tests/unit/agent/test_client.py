"""The HTTP client: one refresh, bounded retries, no word to strangers."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanny_ops.agent.client import Answer, ApiClient, Part
from nanny_ops.errors import AgentRevoked, ForeignHost, IdentityRefused, RateLimited, Rejected, TooLarge, Unreachable
from nanny_ops.protocol.metrics import Accepted
from tests.fakes.control_plane import URL, FixedTokens, read_parts, refuse


class Script:
    """Answers that are given one after the other, and the waits between them."""

    def __init__(self, *answers: Any, url: str = URL) -> None:
        self.answers, self.seen, self.waits = list(answers), [], []
        self.tokens = FixedTokens()
        self.url = url

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def run(self, method: str = "GET", path: str = "/x", **values: Any) -> Answer:
        async def go() -> Answer:
            client = ApiClient(
                self.url, transport=httpx.MockTransport(self.handle), sleep=self.sleep, random=lambda: 0.5
            )
            client.tokens = self.tokens
            try:
                return await client.request(method, path, **values)
            finally:
                await client.close()

        return asyncio.run(go())


OK = httpx.Response(200, json={"success": True})


@pytest.mark.rows("G0-ER-03", "G0-ER-04")
@pytest.mark.parametrize("trouble", [refuse(500), refuse(503), refuse(408), refuse(425), httpx.ConnectError("no")])
def test_trouble_is_tried_five_times_with_growing_waits(trouble: Any) -> None:
    script = Script(trouble)
    with pytest.raises(Unreachable):
        script.run()
    assert len(script.seen) == 5
    assert script.waits == [1, 2, 4, 8]


@pytest.mark.rows("G0-RL-05")
@pytest.mark.parametrize(("headers", "wait"), [({"Retry-After": "17"}, 17), ({"Retry-After": "9999"}, 300), ({}, 60)])
def test_whoever_does_not_wait_is_told_how_long_to(headers: dict[str, str], wait: float) -> None:
    script = Script(refuse(429, "rate_limited", **headers))
    with pytest.raises(RateLimited) as caught:
        script.run(waits=False)
    assert caught.value.details["retry_after"] == wait
    assert (len(script.seen), script.waits) == (1, [])


@pytest.mark.rows("G0-ER-04")
def test_trouble_that_passes_is_no_trouble() -> None:
    script = Script(refuse(503), httpx.ReadError("cut"), OK)
    assert script.run().read(Accepted).success
    assert script.waits == [1, 2]


@pytest.mark.rows("G0-ER-04")
def test_429_waits_as_long_as_it_was_told() -> None:
    script = Script(refuse(429, "rate_limited", **{"Retry-After": "17"}), refuse(429, "rate_limited"), OK)
    script.run()
    assert script.waits == [17, 2]


@pytest.mark.rows("G0-ER-04", "R4")
@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 422])
def test_other_refusals_are_never_tried_again(status: int) -> None:
    script = Script(refuse(status))
    with pytest.raises(Rejected) as refused:
        script.run()
    assert (len(script.seen), refused.value.details["status"]) == (1, status)


@pytest.mark.rows("G0-ER-04")
def test_401_refreshes_once_and_tries_again() -> None:
    script = Script(refuse(401, "token_expired"), OK)
    script.run()
    assert [one.headers["authorization"] for one in script.seen] == ["Bearer token-0", "Bearer token-1"]
    assert script.tokens.renewals == 1
    assert script.waits == []


def test_401_twice_is_a_refusal() -> None:
    script = Script(refuse(401))
    with pytest.raises(Rejected):
        script.run()
    assert len(script.seen) == 2


def test_a_revoked_agent_falls_silent() -> None:
    seen = []

    async def go() -> None:
        def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return refuse(403, "agent_revoked")

        client = ApiClient(URL, transport=httpx.MockTransport(handle), random=lambda: 0.5)
        client.tokens = FixedTokens()
        for _ in range(3):
            with pytest.raises(AgentRevoked):
                await client.request("GET", "/x")
        assert client.refused.is_set()
        with pytest.raises(AgentRevoked):
            async with client.stream("/s", {}):
                pass
        await client.close()

    asyncio.run(go())
    assert len(seen) == 1


def test_a_refused_refresh_falls_silent_too() -> None:
    class Lost(FixedTokens):
        async def renew(self, stale: str) -> str:
            raise IdentityRefused

    async def go() -> None:
        client = ApiClient(URL, transport=httpx.MockTransport(lambda _r: refuse(401)), random=lambda: 0.5)
        client.tokens = Lost()
        with pytest.raises(IdentityRefused):
            await client.request("GET", "/x")
        assert client.refused.is_set()
        await client.close()

    asyncio.run(go())


@pytest.mark.parametrize("base", ["http://127.0.0.1:8000", "http://127.0.0.1:8000/", "http://127.0.0.1:8000/nanny"])
@pytest.mark.parametrize("path", ["/api/x", "api/x", "///api/x"[2:]])
def test_addresses_are_joined_with_one_slash(base: str, path: str) -> None:
    script = Script(OK, url=base)
    script.run(path=path)
    assert str(script.seen[0].url) == base.rstrip("/") + "/api/x"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/script",
        "//evil.example/script",
        "http://127.0.0.1:8001/script",
        "https://127.0.0.1:8000/script",
        "http://127.0.0.1:8000@evil.example/",
        "http://user@127.0.0.1:8000/x",
        "file:///etc/passwd",
        "/a\\b",
        "/a\r\nX: y",
        "http://[::1",
    ],
)
def test_a_stranger_gets_no_request_and_no_token(address: str) -> None:
    script = Script(OK)
    with pytest.raises(ForeignHost):
        script.run(path=address)
    assert script.seen == []


@given(st.text(max_size=60))
def test_whatever_the_address_only_the_own_host_is_asked(address: str) -> None:
    async def go() -> None:
        client = ApiClient(URL, transport=httpx.MockTransport(lambda _r: OK), random=lambda: 0.5)
        with contextlib.suppress(ForeignHost):
            found = httpx.URL(client.resolve(address))
            assert (found.scheme, found.host, found.port) == ("http", "127.0.0.1", 8000)
        await client.close()

    with contextlib.suppress(httpx.InvalidURL):
        asyncio.run(go())


def test_a_redirect_is_not_followed() -> None:
    script = Script(httpx.Response(302, headers={"Location": "https://evil.example/"}))
    with pytest.raises(Rejected):
        script.run()
    assert len(script.seen) == 1


def test_an_anonymous_request_carries_no_token() -> None:
    script = Script(OK)
    script.run("POST", body={"a": 1}, auth=False)
    assert "authorization" not in script.seen[0].headers
    assert script.seen[0].headers["content-type"] == "application/json"


def test_an_endless_answer_is_cut_off() -> None:
    async def endless() -> Any:
        while True:
            yield b"x" * 1024 * 1024

    script = Script(httpx.Response(200, content=endless()))
    with pytest.raises(TooLarge):
        script.run()


def test_an_answer_that_makes_no_sense_is_a_refusal() -> None:
    with pytest.raises(Rejected):
        Script(httpx.Response(200, content=b"<html>")).run().read(Accepted)


def test_parts_are_streamed_anew_with_every_try(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"0123456789" * 20_000)
    bodies = []

    def handle(request: httpx.Request) -> Any:
        raise AssertionError

    async def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(read_parts(request.headers["content-type"], await request.aread()))
        return refuse(503) if len(bodies) == 1 else OK

    async def go() -> None:
        client = ApiClient(URL, transport=httpx.MockTransport(answer), sleep=Script(OK).sleep, random=lambda: 0.5)
        parts = [
            Part("metadata", b"{}", "application/json"),
            Part("stdout", file, "text/plain", "stdout.txt"),
            Part("head", file, "text/plain", "head.txt", cap=15),
            Part("stderr", tmp_path / "none", "text/plain", "stderr.txt"),
        ]
        await client.request("POST", "/x", parts=parts)
        await client.close()

    asyncio.run(go())
    assert bodies[0] == bodies[1]
    assert bodies[1]["stdout"] == file.read_bytes()
    assert bodies[1]["head"] == b"012345678901234"
    assert bodies[1]["stderr"] == b""


def test_a_stream_renews_its_token_once_and_names_its_end() -> None:
    async def pieces() -> Any:
        yield b"a"
        raise httpx.ReadTimeout("silence")

    script = Script(refuse(401), httpx.Response(200, content=pieces()))

    async def go() -> list[bytes]:
        client = ApiClient(URL, transport=httpx.MockTransport(script.handle), random=lambda: 0.5)
        client.tokens = script.tokens
        found = []
        with pytest.raises(Unreachable, match="silence"):
            async with client.stream("/s", {"Last-Event-ID": "7"}) as chunks:
                found = [chunk async for chunk in chunks if found.append(chunk) is None]
        await client.close()
        return found

    assert asyncio.run(go()) == [b"a"]
    assert script.seen[1].headers["last-event-id"] == "7"
    assert script.tokens.renewals == 1


def test_a_refused_stream_is_named() -> None:
    async def go() -> None:
        client = ApiClient(URL, transport=httpx.MockTransport(lambda _r: refuse(404)), random=lambda: 0.5)
        with pytest.raises(Rejected, match="404"):
            async with client.stream("/s", {}):
                pass
        await client.close()

    asyncio.run(go())


@pytest.mark.parametrize("wrong", [httpx.DecodingError("bad gzip"), httpx.TooManyRedirects("no")])
def test_an_answer_that_cannot_be_decoded_is_trouble_like_any_other(wrong: Exception) -> None:
    script = Script(wrong)
    with pytest.raises(Unreachable):
        script.run(tries=2)


def test_an_answer_nested_like_an_attack_is_a_refusal() -> None:
    answer = Script(httpx.Response(200, content=b"[" * 100_000)).run()
    with pytest.raises(Rejected, match="cannot be understood"):
        answer.read(dict[str, Any])
    with pytest.raises(Rejected):
        Script(httpx.Response(400, content=b'{"a":' * 100_000)).run()
