"""Readings over HTTP: taken as they came, refused with the field's path, shown to people of the team."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nanny_ops.protocol.clock import stamp
from tests.integration.control.conftest import Agent
from tests.integration.control.guide import BLOCK_DEVICE, FILESYSTEM, METRICS

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def agent(enrol: Callable[..., Agent]) -> Agent:
    return enrol(hostname="pve1", platform="debian")


def send(agent: Agent, **fields: Any) -> httpx.Response:
    return agent.client.post("/api/agent", json={**METRICS, "agent_id": agent.id, **fields})


def latest(person: httpx.Client, agent: Agent) -> dict[str, Any]:
    answer = person.get(f"/api/agent/{agent.id}/metrics/latest")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.rows("G0-ME-01", "G0-ME-02", "G0-ME-03", "G0-ER-01")
def test_every_field_comes_back_as_it_was_sent(agent: Agent, viewer: httpx.Client) -> None:
    answer = send(agent)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert answer.json()["message"]
    assert latest(viewer, agent)["reading"] == {**METRICS, "agent_id": agent.id}


@pytest.mark.rows("G0-ME-03")
def test_unknown_fields_are_kept(agent: Agent, viewer: httpx.Client) -> None:
    further = {"gpu": {"temperature": 61.5}, "filesystem_info": [{**FILESYSTEM, "inodes": 7}]}
    assert send(agent, **further).status_code == 200
    found = latest(viewer, agent)["reading"]
    assert {key: found[key] for key in further} == further


@pytest.mark.rows("G0-ME-01", "G0-ME-02", "G0-ME-03")
@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"cpu_usage": 100.5}, "cpu_usage"),
        ({"cpu_usage": "high"}, "cpu_usage"),
        ({"memory_total": -1}, "memory_total"),
        ({"memory_total": 2**63}, "memory_total"),
        ({"memory_total": 1.5}, "memory_total"),
        ({"process_count": True}, "process_count"),
        ({"hostname": None}, "hostname"),
        ({"hostname": "x" * 256}, "hostname"),
        ({"all_ips": ["192.0.2.1", 7]}, "all_ips.1"),
        ({"filesystem_info": {}}, "filesystem_info"),
        ({"filesystem_info": [FILESYSTEM, {**FILESYSTEM, "total": "big"}]}, "filesystem_info.1.total"),
        ({"block_devices": [{key: BLOCK_DEVICE[key] for key in ("size", "type")}]}, "block_devices.0.name"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": stamp(datetime.now(UTC) + timedelta(hours=1))}, "timestamp"),
        ({"timestamp": "0000-00-00T00:00:00Z"}, "timestamp"),
    ],
)
def test_a_wrong_field_is_named(agent: Agent, fields: dict[str, Any], path: str) -> None:
    answer = send(agent, **fields)
    assert answer.status_code == 400
    said = answer.json()
    assert said["error"] == "validation_error"
    assert said["error_description"].startswith(f"{path}: ")
    assert said["details"]["field"] == path


@pytest.mark.rows("G0-ME-01", "G0-ME-02")
@pytest.mark.parametrize("missing", ["agent_id", "timestamp", "hostname", "cpu_usage", "memory_total", "disk_free"])
def test_a_missing_field_is_named(agent: Agent, missing: str) -> None:
    body = {key: value for key, value in {**METRICS, "agent_id": agent.id}.items() if key != missing}
    answer = agent.client.post("/api/agent", json=body)
    assert answer.status_code == 400
    assert answer.json()["details"]["field"] == missing


def raw_bodies() -> Iterator[tuple[str, bytes]]:
    whole = json.dumps({**METRICS, "agent_id": "agent-1"})
    yield "nothing", b""
    yield "not UTF-8", whole.replace("pve1", "\xff").encode("latin-1")
    yield "half", whole[:100].encode()
    yield "a list", b"[]"
    yield "null", b"null"
    yield "NaN", whole.replace("45.2", "NaN").encode()
    yield "NaN where nobody looks", (whole[:-1] + ', "x": {"y": NaN}}').encode()
    yield "infinite", whole.replace("45.2", "Infinity").encode()
    yield "infinite by its exponent", whole.replace("50176.0", "1e999").encode()
    yield "a huge number", whole.replace("67108864000", "9" * 5000).encode()
    yield "deep nesting", (whole[:-1] + ', "x": ' + "[" * 50_000 + "]" * 50_000 + "}").encode()
    yield "half a surrogate", whole.replace("pve1", "\\ud800").encode()


@pytest.mark.rows("G0-ME-03", "G0-ER-01", "G0-ER-02", "R4")
@pytest.mark.parametrize(
    ("what", "body"), list(raw_bodies()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_bad_input_is_never_our_fault(agent: Agent, what: str, body: bytes) -> None:
    answer = agent.client.post("/api/agent", content=body, headers=JSON)
    assert answer.status_code == 400, what
    said = answer.json()
    assert {"error", "error_description", "timestamp"} <= said.keys()
    assert said["timestamp"].endswith("Z")


@pytest.mark.rows("G0-ER-02")
def test_a_body_beyond_the_cap_is_refused(agent: Agent) -> None:
    assert send(agent, note="x" * 1024 * 1024).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 65536

    answer = agent.client.post("/api/agent", content=pieces(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


@pytest.mark.parametrize("complete", [True, False])
def test_a_body_with_an_action_is_no_reading_of_the_guide(agent: Agent, complete: bool) -> None:
    body = {"action": "weigh", **({**METRICS, "agent_id": agent.id} if complete else {})}
    answer = agent.client.post("/api/agent", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "unknown_action")


def test_the_word_action_alone_is_no_dialect(agent: Agent) -> None:
    assert send(agent, note={"action": 1}, location='"action"', platform="NaN").status_code == 200


@pytest.mark.rows("G0-AU-09", "G0-ER-01", "G0-ER-02")
@pytest.mark.parametrize(
    ("header", "error"),
    [
        (None, "unauthorized"),
        ("Basic abc", "invalid_token"),
        ("Bearer", "invalid_token"),
        ("Bearer a b", "invalid_token"),
        ("Bearer abc", "invalid_token"),
        ("Bearer \xe9", "invalid_token"),
    ],
)
def test_without_a_good_token_nothing_is_taken(anonymous: httpx.Client, header: str | None, error: str) -> None:
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    answer = anonymous.post("/api/agent", json=METRICS, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.rows("G0-AU-09", "G0-ER-01")
def test_a_person_and_a_foreign_agent_may_not_send(
    agent: Agent, enrol: Callable[..., Agent], operator: httpx.Client
) -> None:
    as_person = operator.post("/api/agent", json={**METRICS, "agent_id": agent.id})
    as_other = enrol().client.post("/api/agent", json={**METRICS, "agent_id": agent.id})
    assert (as_person.status_code, as_other.status_code) == (403, 403)
    assert as_person.json()["error"] == as_other.json()["error"] == "forbidden"


def test_the_same_reading_twice_is_one(agent: Agent, viewer: httpx.Client) -> None:
    assert [send(agent, cpu_usage=value).status_code for value in (1.0, 2.0)] == [200, 200]
    history = viewer.get(f"/api/agent/{agent.id}/metrics").json()
    assert (history["total"], history["items"][0]["reading"]["cpu_usage"]) == (1, 1.0)


@pytest.mark.rows("G0-ME-01")
def test_history_has_pages_and_ends(agent: Agent, viewer: httpx.Client) -> None:
    for minute in range(5):
        send(agent, timestamp=f"2026-01-31T02:0{minute}:00Z", cpu_usage=float(minute))
    address = f"/api/agent/{agent.id}/metrics"
    page = viewer.get(address, params={"limit": 2, "offset": 1})
    assert [item["at"] for item in page.json()["items"]] == ["2026-01-31T02:03:00.000Z", "2026-01-31T02:02:00.000Z"]
    assert page.headers["x-total-count"] == "5"
    ends = {"since": "2026-01-31T02:01:00Z", "until": "2026-01-31T02:03:00Z"}
    assert [item["reading"]["cpu_usage"] for item in viewer.get(address, params=ends).json()["items"]] == [2.0, 1.0]
    assert viewer.get(address, params={"since": "yesterday"}).status_code == 400
    assert viewer.get(address, params={"limit": 0}).status_code == 400


def test_another_team_sees_no_readings(agent: Agent, stranger: httpx.Client, viewer: httpx.Client) -> None:
    send(agent)
    for address in (f"/api/agent/{agent.id}/metrics", f"/api/agent/{agent.id}/metrics/latest"):
        assert stranger.get(address).status_code == 404
        assert agent.client.get(address).status_code == 403
        assert viewer.get(address.replace(agent.id, "agent-none")).status_code == 404


def test_an_agent_without_readings_has_no_newest(agent: Agent, viewer: httpx.Client) -> None:
    assert viewer.get(f"/api/agent/{agent.id}/metrics/latest").status_code == 404


def test_an_answer_has_its_id_and_the_interfaces_version(agent: Agent) -> None:
    one, two = send(agent), send(agent)
    assert one.headers["x-request-id"] != two.headers["x-request-id"]
    assert one.headers["x-api-version"]
    assert one.headers["content-type"] == "application/json"
