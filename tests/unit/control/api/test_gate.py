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
