"""A static token: known by asking, asked about once an hour, replaced by a person without a restart."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent.client import ApiClient
from nanny_ops.agent.static_token import NAME, StaticToken, ask, recall
from nanny_ops.errors import IdentityRefused, Rejected, SettingsError, Unreachable
from nanny_ops.protocol.enrollment import AgentIdentity
from tests.fakes.control_plane import NOON, URL, no_sleep, refuse


class World:
    """A setting, a control plane and a clock."""

    def __init__(self, tmp_path: Path) -> None:
        self.kept, self.now = tmp_path / "state" / NAME, NOON
        self.setting: str | Exception = "nsk_one"
        self.answer: AgentIdentity | Exception = AgentIdentity(agent_id="agent-1", expires_at="2026-02-01T00:00:00Z")
        self.asked: list[str] = []
        self.learned: list[AgentIdentity] = []
        self.token = self.start()

    def start(self) -> StaticToken:
        token = StaticToken(self.read, self.ask, self.kept, lambda: self.now)
        token.hear(self.learn)
        return token

    def read(self) -> str:
        if isinstance(self.setting, Exception):
            raise self.setting
        return self.setting

    async def ask(self, token: str) -> AgentIdentity:
        self.asked.append(token)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def learn(self, answer: AgentIdentity) -> None:
        self.learned.append(answer)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_learns_for_whom_it_speaks_and_remembers_without_the_secret(world: World) -> None:
    assert world.token.agent_id == ""
    asyncio.run(world.token.identify())
    assert (world.token.agent_id, len(world.learned)) == ("agent-1", 1)
    world.token.hear(world.learn)
    asyncio.run(world.token.access())
    assert len(world.learned) == 2
    assert b"nsk_one" not in world.kept.read_bytes()
    assert world.kept.stat().st_mode & 0o777 == 0o600
    assert world.start().agent_id == "agent-1"
    world.setting = "nsk_two"
    assert world.start().agent_id == ""
    world.kept.write_text("{")
    assert recall(world.kept, "nsk_one") is None


def test_it_is_asked_about_once_an_hour(world: World) -> None:
    async def many() -> list[str]:
        return await asyncio.gather(*(world.token.access() for _ in range(5)))

    assert asyncio.run(many()) == ["nsk_one"] * 5
    assert len(world.asked) == 1
    for minutes, asked in ((59, 1), (61, 2), (-3000, 3), (-2999, 3)):  # a clock that is set back asks once more
        world.now = NOON + timedelta(minutes=minutes)
        asyncio.run(world.token.access())
        assert len(world.asked) == asked


def test_while_nobody_answers_it_is_used_and_asked_about_each_minute(world: World) -> None:
    world.answer = Unreachable()
    for seconds, asked in ((0, 1), (59, 1), (61, 2)):
        world.now = NOON + timedelta(seconds=seconds)
        assert asyncio.run(world.token.access()) == "nsk_one"
        assert len(world.asked) == asked


def test_a_refused_token_ends_the_identity(world: World) -> None:
    world.answer = IdentityRefused("revoked")
    for step in (world.token.access, lambda: world.token.renew("nsk_one")):
        with pytest.raises(IdentityRefused):
            asyncio.run(step())


def test_a_new_token_in_the_setting_is_taken(world: World) -> None:
    asyncio.run(world.token.identify())
    mark = world.token.mark
    assert world.token.peek() is None
    world.setting = "nsk_two"
    assert world.token.peek() not in {None, mark}
    assert asyncio.run(world.token.renew("nsk_one")) == "nsk_two"
    assert asyncio.run(world.token.renew("nsk_one")) == "nsk_two"
    assert world.asked == ["nsk_one", "nsk_two"]


def test_a_token_of_another_agent_is_not_taken_in_passing(world: World) -> None:
    asyncio.run(world.token.identify())
    world.setting, world.answer = "nsk_two", AgentIdentity(agent_id="agent-2", expires_at="")
    with pytest.raises(IdentityRefused, match="another agent"):
        asyncio.run(world.token.renew("nsk_one"))
    assert world.token.peek() not in {None, world.token.mark}


def test_a_setting_that_cannot_be_read_any_more_leaves_the_token(world: World, tmp_path: Path) -> None:
    world.setting = SettingsError("gone")
    assert world.token.peek() is None
    assert asyncio.run(world.token.renew("nsk_one")) == "nsk_one"
    world.kept.unlink()
    world.kept.mkdir()  # stands for a disk that takes nothing
    asyncio.run(world.token.identify())
    assert world.token.agent_id == "agent-1"


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (refuse(401, "invalid_token"), IdentityRefused),
        (refuse(401, "token_expired"), IdentityRefused),
        (refuse(403, "agent_revoked"), IdentityRefused),
        (httpx.Response(401, text="<html>a proxy</html>"), Rejected),
        (refuse(403, "forbidden"), Rejected),
        (httpx.Response(503), Unreachable),
    ],
)
def test_only_the_control_planes_own_word_ends_an_identity(answer: httpx.Response, wrong: type[Exception]) -> None:
    seen: list[Any] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer

    client = ApiClient(URL, transport=httpx.MockTransport(reply), sleep=no_sleep, random=lambda: 0.5)
    with pytest.raises(wrong):
        asyncio.run(ask(client, "nsk_one"))
    assert {one.headers["Authorization"] for one in seen} == {"Bearer nsk_one"}
    assert {one.url.path for one in seen} == {"/api/agent-identity"}
