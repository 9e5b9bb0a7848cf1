"""While starting or draining every address but health says 503, with the seconds to wait."""

from pathlib import Path

import httpx
import pytest

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
