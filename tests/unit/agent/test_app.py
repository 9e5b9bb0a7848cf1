"""The daemon as a whole: it works, it falls silent when revoked, it wakes for a new identity, it ends quietly."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.agent import lock
from nanny_ops.agent.app import World, make_client, proxmox_access, serve
from nanny_ops.agent.enrollment import TokenStore
from nanny_ops.agent.settings import Settings, load
from nanny_ops.errors import AlreadyRunning, NotRegistered, SettingsError
from nanny_ops.protocol.clock import now, stamp
from nanny_ops.protocol.enrollment import TokenFile
from tests.fakes.control_plane import URL, FakeControlPlane, no_sleep, patch_record, refuse
from tests.fakes.hands import FACTS, FakeHands


def settings(tmp_path: Path, **flags: str) -> Settings:
    return load({"url": URL, "state_dir": str(tmp_path / "state"), **flags}, {}, tmp_path / "none.toml")


def tokens(agent_id: str) -> TokenFile:
    later = stamp(now() + timedelta(hours=1))
    return TokenFile(access_token="a", refresh_token="r", token_type="Bearer", expires_at=later, agent_id=agent_id)


async def endless(_request: httpx.Request) -> AsyncIterator[bytes]:
    yield b'event: connect\ndata: {"clientId":"c-1"}\n\n'
    await asyncio.sleep(30)


class Daemon:
    """One daemon in this process, against a control plane in memory."""

    def __init__(self, tmp_path: Path) -> None:
        self.plane, self.hands = FakeControlPlane(), FakeHands(tmp_path)
        self.plane.stream = endless
        self.settings = settings(tmp_path)
        self.store = TokenStore(self.settings.token_path)
        self.store.save(tokens("agent-1"))
        self.world = World(hands=self.hands, sleep=self.sleep, random=lambda: 0.5, transport=self.plane.transport)

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0.01)

    def live(self, story: Callable[[], Any]) -> None:
        async def go() -> None:
            stop = asyncio.Event()
            task = asyncio.create_task(serve(self.settings, self.world, stop))
            try:
                async with asyncio.timeout(10):
                    await story()
            finally:
                stop.set()
                await asyncio.wait_for(task, 10)

        asyncio.run(go())

    async def until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path)


def test_it_reports_its_host_and_carries_out_what_was_open(daemon: Daemon) -> None:
    daemon.plane.add(patch_record())

    async def story() -> None:
        await daemon.until(lambda: daemon.plane.readings and daemon.plane.results)

    daemon.live(story)
    assert daemon.plane.readings[0][0] == "/api/agent"
    assert daemon.plane.results["op-1"][0]["metadata"]["outcome"] == "ok"
    assert lock.holder(daemon.settings.state_dir) is None


def test_a_revoked_agent_says_so_once_and_sends_nothing(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    daemon.plane.rules.append(lambda _request: refuse(403, "agent_revoked"))

    async def story() -> None:
        await daemon.until(lambda: "identity_refused" in caplog.text)
        sent = len(daemon.plane.requests)
        await asyncio.sleep(0.3)
        assert len(daemon.plane.requests) == sent

    with caplog.at_level(logging.INFO):
        daemon.live(story)
    assert caplog.text.count("identity_refused") == 1
    assert len(daemon.plane.requests) <= 3


def test_a_new_registration_wakes_it(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    daemon.plane.rules.append(lambda _request: refuse(403, "agent_revoked"))

    async def story() -> None:
        await daemon.until(lambda: "identity_refused" in caplog.text)
        daemon.plane.rules.clear()
        daemon.store.save(tokens("agent-2"))
        await daemon.until(lambda: daemon.plane.readings)

    with caplog.at_level(logging.INFO):
        daemon.live(story)
    assert daemon.plane.readings[0][1]["agent_id"] == "agent-2"


def test_no_secret_is_logged(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    secret = replace(tokens("agent-1"), access_token="very-secret-access", refresh_token="very-secret-refresh")
    daemon.store.save(secret)
    with caplog.at_level(logging.DEBUG, logger="nanny_ops"):
        daemon.live(lambda: daemon.until(lambda: daemon.plane.readings))
    assert "event=started" in caplog.text
    assert "very-secret" not in caplog.text


def test_two_daemons_with_one_identity_refuse(daemon: Daemon) -> None:
    async def story() -> None:
        await daemon.until(lambda: daemon.plane.readings)
        with pytest.raises(AlreadyRunning):
            await serve(daemon.settings, daemon.world, asyncio.Event())

    daemon.live(story)


def test_without_an_identity_it_does_not_begin(tmp_path: Path) -> None:
    world = World(hands=FakeHands(tmp_path), sleep=no_sleep)
    with pytest.raises(NotRegistered):
        asyncio.run(serve(settings(tmp_path), world, asyncio.Event()))


def test_it_ends_at_once_while_the_control_plane_is_away(daemon: Daemon) -> None:
    def away(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    daemon.plane.rules.append(away)
    daemon.live(lambda: daemon.until(lambda: len(daemon.plane.requests) > 8))
    with contextlib.suppress(FileNotFoundError):
        assert (daemon.settings.state_dir / "spool.db").stat().st_size > 0


def test_a_bad_authority_file_is_a_wrong_setting(tmp_path: Path) -> None:
    wrong = settings(tmp_path, url="https://nanny.example", ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(SettingsError, match="CA_FILE"):
        make_client(wrong, World(hands=FakeHands(tmp_path)))


NODE = replace(FACTS, proxmox=True)


def test_proxmox_is_read_where_there_is_a_token_and_an_address(tmp_path: Path) -> None:
    (tmp_path / "pve-root-ca.pem").touch()
    (tmp_path / "token").write_text("root@pam!x=y")
    token = {"pve_token_file": str(tmp_path / "token"), "pmxcfs_root": str(tmp_path)}
    assert proxmox_access(settings(tmp_path), FACTS) is None
    assert proxmox_access(settings(tmp_path), NODE) is None
    assert proxmox_access(settings(tmp_path, **token), FACTS) is None
    local = proxmox_access(settings(tmp_path, **token), NODE)
    assert local is not None
    assert (local.url, local.ca_file) == ("https://127.0.0.1:8006", str(tmp_path / "pve-root-ca.pem"))
    far = proxmox_access(
        settings(tmp_path, **token, pve_url="https://pve.example:8006", pve_fingerprint="ab" * 32), FACTS
    )
    assert far is not None
    assert (far.url, far.ca_file, far.fingerprint) == ("https://pve.example:8006", "", "ab" * 32)


def test_a_new_registration_under_the_same_name_wakes_it_too(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    daemon.plane.rules.append(lambda _request: refuse(403, "agent_revoked"))

    async def story() -> None:
        await daemon.until(lambda: "event=identity_refused" in caplog.text)
        daemon.plane.rules.clear()
        daemon.store.save(replace(tokens("agent-1"), refresh_token="r-new"))
        await daemon.until(lambda: daemon.plane.readings)

    with caplog.at_level(logging.INFO):
        daemon.live(story)
    assert daemon.plane.readings


def test_a_static_token_needs_no_registration_and_wakes_when_it_is_replaced(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    file = daemon.settings.state_dir / "static"
    daemon.store.remove()
    file.write_text("nsk_very-secret-one")
    daemon.settings = replace(daemon.settings, token_file=str(file))
    told = httpx.Response(200, json={"agent_id": "agent-1", "expires_at": "2027-01-01T00:00:00Z"})

    def answer(request: httpx.Request) -> httpx.Response | None:
        match len(daemon.plane.seen):
            case 1:
                raise httpx.ConnectError("nobody there")
            case 2:
                return told
        if request.headers["authorization"] != "Bearer nsk_very-secret-two":
            return refuse(401, "invalid_token")
        return told if request.url.path == "/api/agent-identity" else None

    daemon.plane.rules.append(answer)

    async def story() -> None:
        await daemon.until(lambda: "event=identity_refused" in caplog.text)
        assert not daemon.plane.readings
        file.write_text("nsk_very-secret-two")
        await daemon.until(lambda: daemon.plane.readings)

    with caplog.at_level(logging.DEBUG, logger="nanny_ops"):
        daemon.live(story)
    assert "event=identity_unknown" in caplog.text
    assert caplog.text.count("event=identity_refused") == 1
    assert "very-secret" not in caplog.text
    assert daemon.plane.readings[-1][1]["agent_id"] == "agent-1"
