"""Identity: the device flow, the token file, and one refresh for many."""

import asyncio
import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.agent.client import Answer
from nanny_ops.agent.enrollment import DeviceFlow, Tokens, TokenStore, to_file
from nanny_ops.errors import (
    AccessDenied,
    ExpiredToken,
    IdentityRefused,
    NotRegistered,
    Rejected,
    SpoolError,
    TokenFileBroken,
    Unreachable,
)
from nanny_ops.protocol.enrollment import DeviceAuthStart, Register, TokenAnswer, TokenFile
from tests.fakes.control_plane import NOON

FILE = TokenFile(
    access_token="a0",
    refresh_token="r0",
    token_type="Bearer",
    expires_at="2026-01-01T13:00:00.000Z",
    agent_id="agent-1",
)
STARTED = {
    "device_code": "dc",
    "user_code": "ABCDEFGH",
    "verification_uri": "https://nanny.example/device",
    "expires_in": 600,
    "interval": 5,
}
GRANTED = {
    "access_token": "a1",
    "refresh_token": "r1",
    "token_type": "Bearer",
    "expires_in": 3600,
    "agent_id": "agent-1",
}


def no(code: str) -> Rejected:
    return Rejected(code, status=400, error=code)


@pytest.mark.rows("G0-AU-08")
def test_the_token_file_is_private_whole_and_has_exactly_the_fields(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token.json"
    before = os.umask(0)
    try:
        TokenStore(path).save(FILE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = json.loads(path.read_text())
    assert set(found) == {"access_token", "refresh_token", "token_type", "expires_at", "agent_id"}
    assert found["expires_at"].endswith("Z")
    assert TokenStore(path).load() == FILE
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.rows("G0-AU-08")
def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "token.json")
    store.save(FILE)

    class Torn(TokenStore):
        def _write(self, path: Path, content: bytes) -> None:
            super()._write(path.parent / "missing" / path.name, content)

    with pytest.raises(SpoolError):
        Torn(store.path).save(to_file(TokenAnswer(**GRANTED), NOON))
    assert store.load() == FILE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"access_token": "a"}',
        b"\xff",
        json.dumps({**FILE.__dict__, "expires_at": "soon"}).encode(),
        json.dumps({**FILE.__dict__, "agent_id": ""}).encode(),
    ],
)
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(content)
    with pytest.raises(TokenFileBroken, match="register --force"):
        TokenStore(path).load()


def test_a_missing_file_means_not_registered_and_removing_twice_is_fine(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "token.json")
    with pytest.raises(NotRegistered):
        store.load()
    store.save(FILE)
    assert (store.remove(), store.remove()) == (True, False)


class Plane:
    """Answers posts one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.bodies, self.waits, self.lines = list(answers), [], [], []
        self.time = NOON

    async def post(self, body: object) -> Answer:
        self.bodies.append(body)
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Answer(200, json.dumps(answer).encode())

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += timedelta(seconds=seconds)

    def enrol(self) -> TokenFile:
        flow = DeviceFlow(self.post, tell=self.lines.append, clock=lambda: self.time, sleep=self.sleep)
        claims = DeviceAuthStart(hostname="h", all_ips=["192.0.2.1"], name="n")
        return asyncio.run(flow.enrol(claims, lambda code: Register(device_code=code, hostname="h")))


def test_the_flow_shows_the_code_and_waits_for_a_person() -> None:
    plane = Plane(
        STARTED, no("authorization_pending"), no("slow_down"), Unreachable(), no("authorization_pending"), GRANTED
    )
    found = plane.enrol()
    assert found.agent_id == "agent-1"
    assert found.expires_at == "2026-01-01T13:00:40.000Z"
    assert plane.waits == [5, 5, 10, 10, 10]
    shown = "\n".join(plane.lines)
    assert "https://nanny.example/device" in shown
    assert "ABCDEFGH" in shown
    assert "dc" not in shown.split()
    assert plane.bodies[0] == DeviceAuthStart(hostname="h", all_ips=["192.0.2.1"], name="n")


@pytest.mark.parametrize(
    ("code", "error"), [("access_denied", AccessDenied), ("expired_token", ExpiredToken), ("invalid_grant", Rejected)]
)
def test_the_flow_ends_when_the_person_or_the_clock_says_no(code: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Plane(STARTED, no(code)).enrol()


def test_the_flow_does_not_wait_for_ever() -> None:
    plane = Plane(STARTED, no("authorization_pending"))
    with pytest.raises(ExpiredToken):
        plane.enrol()
    assert len(plane.bodies) == 1 + 600 // 5


def tokens(tmp_path: Path, plane: Plane) -> tuple[Tokens, TokenStore]:
    store = TokenStore(tmp_path / "token.json")
    store.save(FILE)
    return Tokens(store, plane.post, lambda: plane.time), store


def test_many_who_ask_at_once_cause_one_refresh(tmp_path: Path) -> None:
    plane = Plane(GRANTED)
    held, store = tokens(tmp_path, plane)

    async def go() -> list[str]:
        return await asyncio.gather(*(held.renew("a0") for _ in range(20)))

    assert set(asyncio.run(go())) == {"a1"}
    assert len(plane.bodies) == 1
    assert store.load().refresh_token == "r1"


def test_what_an_answer_tells_of_keys_is_heard_once_and_after_the_tokens_are_kept(tmp_path: Path) -> None:
    key = {"key_id": "k", "public_key": "p", "origin": "offline"}
    plane = Plane({**GRANTED, "signing_keys": [key]})
    _, store = tokens(tmp_path, plane)
    heard: list[tuple[str, str]] = []

    async def learn(answer: TokenAnswer) -> None:
        heard.append((answer.signing_keys[0].key_id, store.load().access_token))

    async def ask() -> None:
        held = Tokens(store, plane.post, lambda: plane.time, learn)
        await asyncio.gather(*(held.renew(FILE.access_token) for _ in range(3)))

    asyncio.run(ask())
    assert heard == [("k", GRANTED["access_token"])]


def test_a_token_about_to_expire_is_renewed_unasked(tmp_path: Path) -> None:
    plane = Plane(GRANTED)
    held, _ = tokens(tmp_path, plane)
    assert asyncio.run(held.access()) == "a0"
    plane.time += timedelta(minutes=59, seconds=30)
    assert asyncio.run(held.access()) == "a1"


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_grant"), (401, "unauthorized"), (401, "invalid_token")])
def test_a_refresh_refused_for_good_ends_the_identity(tmp_path: Path, status: int, code: str) -> None:
    held, store = tokens(tmp_path, Plane(Rejected("no", status=status, error=code)))
    with pytest.raises(IdentityRefused):
        asyncio.run(held.renew("a0"))
    assert store.load() == FILE


def test_a_refresh_that_finds_nobody_keeps_the_identity(tmp_path: Path) -> None:
    held, _ = tokens(tmp_path, Plane(Unreachable()))
    with pytest.raises(Unreachable):
        asyncio.run(held.renew("a0"))
    assert held.agent_id == "agent-1"


def test_another_agents_tokens_are_not_taken(tmp_path: Path) -> None:
    held, store = tokens(tmp_path, Plane({**GRANTED, "agent_id": "agent-2"}))
    with pytest.raises(IdentityRefused):
        asyncio.run(held.renew("a0"))
    assert store.load() == FILE


def test_a_new_registration_is_never_overwritten(tmp_path: Path) -> None:
    plane = Plane(GRANTED)
    held, store = tokens(tmp_path, plane)
    store.save(to_file(TokenAnswer(**{**GRANTED, "agent_id": "agent-2"}), NOON))
    with pytest.raises(IdentityRefused):
        asyncio.run(held.renew("a0"))
    assert store.load().agent_id == "agent-2"
    store.remove()
    with pytest.raises(IdentityRefused):
        asyncio.run(held.renew("a0"))
    assert plane.bodies == []


def test_tokens_that_another_process_renewed_are_taken_over(tmp_path: Path) -> None:
    plane = Plane(GRANTED)
    held, store = tokens(tmp_path, plane)
    store.save(to_file(TokenAnswer(**{**GRANTED, "access_token": "a7"}), NOON))
    assert asyncio.run(held.renew("a0")) == "a7"
    assert plane.bodies == []


@pytest.mark.parametrize("status", [400, 401])
def test_a_stranger_in_between_cannot_end_the_identity(tmp_path: Path, status: int) -> None:
    """A proxy's own 400 or 401 says nothing about the refresh token."""
    held, store = tokens(tmp_path, Plane(Rejected("<html>", status=status, error="")))
    with pytest.raises(Rejected):
        asyncio.run(held.renew("a0"))
    assert store.load() == FILE


def test_an_identity_that_changed_during_a_refresh_is_never_overwritten(tmp_path: Path) -> None:
    plane = Plane(GRANTED)
    held, store = tokens(tmp_path, plane)
    other = to_file(TokenAnswer(**{**GRANTED, "agent_id": "agent-2"}), NOON)
    calm = plane.post

    async def registered_meanwhile(body: object) -> Answer:
        answer = await calm(body)
        store.save(other)
        return answer

    async def removed_meanwhile(body: object) -> Answer:
        answer = await calm(body)
        store.remove()
        return answer

    held._post = registered_meanwhile
    with pytest.raises(IdentityRefused):
        asyncio.run(held.renew("a0"))
    assert store.load() == other
    held, store = tokens(tmp_path, plane)
    held._post = removed_meanwhile
    with pytest.raises(IdentityRefused):
        asyncio.run(held.renew("a0"))
    with pytest.raises(NotRegistered):
        store.load()


def test_a_full_disk_does_not_silence_the_agent(tmp_path: Path) -> None:
    """The new access token is used; the refresh token on disk stays the one in use, which the plane still honours."""
    full = [True]

    class Full(TokenStore):
        def _write(self, path: Path, content: bytes) -> None:
            super()._write(path.parent / "missing" / path.name if full[0] else path, content)

    plane = Plane(GRANTED, {**GRANTED, "access_token": "a2"})
    TokenStore(tmp_path / "token.json").save(FILE)
    held = Tokens(Full(tmp_path / "token.json"), plane.post, lambda: plane.time)
    assert asyncio.run(held.renew("a0")) == "a1"
    assert asyncio.run(held.access()) == "a1"
    full[0] = False
    assert asyncio.run(held.renew("a1")) == "a2"
    assert [body.refresh_token for body in plane.bodies] == ["r0", "r0"]
    assert TokenStore(tmp_path / "token.json").load().refresh_token == "r1"


def test_a_place_that_takes_no_token_is_told_before_a_person_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="cannot be written"):
        TokenStore(tmp_path / "file" / "token.json").rehearse()
    store = TokenStore(tmp_path / "state" / "token.json")
    store.rehearse()
    assert list(store.path.parent.iterdir()) == []
