"""While starting or draining every address but health says 503, with the seconds to wait."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from nanny_ops.control.api.gate import BODY_CAP
from nanny_ops.control.app import create_app
from nanny_ops.control.settings import Settings


@pytest.mark.rows("G0-HL-01")
@pytest.mark.parametrize("phase", ["starting", "draining"])
async def test_requests_wait_outside(tmp_path: Path, phase: str) -> None:
    app = create_app(Settings(data_dir=tmp_path))
    app.state.control.phase = phase
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        health = await client.get("/health")
        refused = await client.get("/api/auth/me")
    for answer in (health, refused):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
    assert health.json()["status"] == phase
    assert refused.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    app.state.control.database.close()


async def test_a_hot_endpoint_is_called_directly_and_its_refusals_are_rendered(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path))
    app.state.control.phase = "ready"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        refused = await client.post("/api/agent", json={})
        other_method = await client.get("/api/agent")
        counted = await client.get("/metrics")
    assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")
    assert refused.headers["x-request-id"] == refused.json()["trace_id"]
    assert refused.headers["x-api-version"]
    assert other_method.status_code == 405
    assert 'nanny_http_requests_total{method="POST",status="401"} 1.0' in counted.text
    app.state.control.database.close()


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/api/auth", "application/json"),
        ("/api/auth/login", "application/json"),
        ("/api/auth/token", "application/x-www-form-urlencoded"),
        ("/api/auth/token", "multipart/form-data; boundary=b"),
    ],
)
async def test_strangers_cannot_fill_the_memory(tmp_path: Path, address: str, kind: str, announced: bool) -> None:
    piece, taken = b"a" * 1024 * 1024, 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        if "boundary" in kind:
            yield b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n'
        for _ in range(40):
            taken += len(piece)
            yield piece

    headers = {"content-type": kind} | ({"content-length": str(40 * len(piece))} if announced else {})
    app = create_app(Settings(data_dir=tmp_path))
    app.state.control.phase = "ready"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        refused = await client.post(address, content=endless(), headers=headers)
    app.state.control.database.close()
    assert refused.status_code == (413 if announced or "json" in kind else refused.status_code)
    assert refused.status_code in {400, 413}  # the framework refuses a field of a form that is too long by itself
    assert taken <= BODY_CAP + len(piece)


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
async def test_a_body_that_does_not_come_is_given_up(tmp_path: Path, kind: str) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    app = create_app(Settings(data_dir=tmp_path))
    app.state.control.phase = "ready"
    app.user_middleware[0].kwargs["patience"] = 0.05
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        refused = await client.post("/api/auth/login", content=stuck(), headers={"content-type": kind})
    app.state.control.database.close()
    assert (refused.status_code, refused.json()["error"]["code"]) == (408, "REQUEST_TIMEOUT")
