"""Health, readiness, counters, and the errors of addresses that are not there."""

import httpx
import pytest

from tests.integration.control.conftest import make_server


@pytest.mark.rows("G0-HL-01")
def test_health_tells_status_and_time(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "healthy"
    assert body["timestamp"].endswith("Z")
    assert answer.headers["x-api-version"] == "2.0.0"
    assert len(answer.headers["x-request-id"]) == 32


def test_ready_asks_the_database(anonymous: httpx.Client) -> None:
    body = anonymous.get("/health/ready").json()
    assert body["ready"] is True
    assert body["checks"]["database"] == "connected"


def test_the_counters_count(anonymous: httpx.Client) -> None:
    before = anonymous.get("/metrics").text
    anonymous.get("/nothing")
    after = anonymous.get("/metrics").text
    line = 'nanny_http_requests_total{method="GET",status="404"}'
    assert line in after
    assert after != before


@pytest.mark.rows("G0-ER-01", "G0-ER-02")
def test_unknown_addresses_are_rendered_for_their_readers(anonymous: httpx.Client) -> None:
    flat = anonymous.get("/api/agent/x/y/z")
    nested = anonymous.get("/api/nothing")
    assert (flat.status_code, flat.json()["error"]) == (404, "not_found")
    assert (nested.status_code, nested.json()["error"]["code"]) == (404, "DB_RECORD_NOT_FOUND")
    assert anonymous.put("/api/realtime").json()["error"] == "method_not_allowed"


@pytest.mark.rows("G0-HL-01")
def test_an_open_stream_does_not_hold_the_shutdown_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = make_server(tmp_path_factory.mktemp("draining") / "data")
    server.start()
    with httpx.stream("GET", f"{server.url}/api/realtime", timeout=10) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: connect"
        server.stop()
        assert not [line for line in lines if line.startswith("event: record")]
