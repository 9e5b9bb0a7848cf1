"""How agents look to themselves and to people, and what revoking does."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from nanny_ops.control.store import agent as agents
from nanny_ops.protocol.clock import micros, parse_stamp
from tests.integration.control.conftest import Agent, Server
from tests.integration.control.guide import METRICS, NODE

FIELDS = {"hostname": "prod-web-01", "platform": "ubuntu", "version": "1.0.0", "kernel_version": "5.15.0-56-generic"}


@pytest.mark.rows("G0-AG-01", "G0-ER-01")
def test_status_has_every_field_of_the_guide(enrol: Callable[..., Agent], viewer: httpx.Client) -> None:
    agent = enrol(**FIELDS)
    expected = {**FIELDS, "agent_id": agent.id, "status": "active", "last_seen": None, "health_status": "unknown"}
    expected |= {"duplicate_identity": False, "duplicate_identity_since": None}  # beside the guide
    for client in (agent.client, viewer):
        answer = client.get(f"/api/agent/{agent.id}")
        assert (answer.status_code, answer.json()) == (200, expected)


@pytest.mark.rows("G0-AG-01")
def test_status_follows_what_the_agent_says(enrol: Callable[..., Agent], viewer: httpx.Client) -> None:
    agent = enrol(**FIELDS)
    agent.client.post("/api/agent", json={**METRICS, "agent_id": agent.id, "version": "2.0.0", "platform": "debian"})
    found = viewer.get(f"/api/agent/{agent.id}").json()
    assert (found["version"], found["platform"], found["health_status"]) == ("2.0.0", "debian", "healthy")
    assert abs(datetime.now(UTC) - parse_stamp(found["last_seen"])) < timedelta(minutes=1)


@pytest.mark.rows("G0-AG-02")
@pytest.mark.parametrize(("silence", "health"), [(60, "healthy"), (400, "stale"), (1000, "offline")])
def test_health_follows_silence(
    server: Server, enrol: Callable[..., Agent], viewer: httpx.Client, silence: int, health: str
) -> None:
    agent = enrol(**FIELDS)
    heard = micros(datetime.now(UTC) - timedelta(seconds=silence))
    server.in_store(lambda tx: agents.change(tx, agent.id, last_seen=heard))
    assert viewer.get(f"/api/agent/{agent.id}").json()["health_status"] == health


@pytest.mark.rows("G0-AU-09", "G0-ER-01", "G0-ER-02")
def test_who_may_not_see_an_agent(
    enrol: Callable[..., Agent], stranger: httpx.Client, anonymous: httpx.Client, viewer: httpx.Client
) -> None:
    agent, other = enrol(), enrol()
    answers = [client.get(f"/api/agent/{agent.id}") for client in (anonymous, other.client, stranger)]
    answers.append(viewer.get("/api/agent/agent-none"))
    assert [answer.status_code for answer in answers] == [401, 403, 404, 404]
    assert [answer.json()["error"] for answer in answers] == ["unauthorized", "forbidden", "not_found", "not_found"]


def test_people_list_agents_in_pages(enrol: Callable[..., Agent], viewer: httpx.Client, stranger: httpx.Client) -> None:
    mine = {enrol().id for _ in range(3)}
    found: list[str] = []
    while True:
        page = viewer.get("/api/agents", params={"limit": 2, "offset": len(found)})
        assert page.headers["x-total-count"] == str(page.json()["total"])
        if not page.json()["items"]:
            break
        found += [item["agent_id"] for item in page.json()["items"]]
    assert mine <= set(found)
    assert len(found) == len(set(found))
    assert stranger.get("/api/agents").json()["items"] == []


def test_an_agents_policy_is_shown_and_asked(
    enrol: Callable[..., Agent], operator: httpx.Client, stranger: httpx.Client
) -> None:
    agent = enrol(**FIELDS)
    address = f"/api/agents/{agent.id}"
    assert operator.get(address).json()["policy"] is None
    told = {"file": "/etc/p.toml", "operations": ["patch"], "modes": ["dry-run"], "threshold": 2}
    at = datetime.now(UTC).isoformat()
    reading = {**METRICS, "agent_id": agent.id, "timestamp": at, "policy": told}
    agent.client.post("/api/agent", json=reading).raise_for_status()
    shown = operator.get(address).json()
    assert shown["agent_id"] == agent.id
    assert shown["policy"].items() >= told.items()
    assert shown["policy"]["targets"] is None
    assert stranger.get(address).status_code == 404
    refused = operator.post("/api/patches", json={"agent_id": agent.id, "mode": "apply"})
    assert refused.status_code == 409
    assert "does not allow the mode apply (/etc/p.toml)" in refused.text
    assert operator.post("/api/patches", json={"agent_id": agent.id, "mode": "dry-run"}).status_code == 201


def test_a_list_is_for_people(enrol: Callable[..., Agent], anonymous: httpx.Client, viewer: httpx.Client) -> None:
    assert enrol().client.get("/api/agents").status_code == 403
    refused = anonymous.get("/api/agents")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "AUTH_FAILED")
    assert viewer.get("/api/agents", params={"limit": 501}).status_code == 422


@pytest.mark.rows("G0-AG-02", "G0-AU-09")
def test_a_revoked_agent_is_out_at_once(enrol: Callable[..., Agent], operator: httpx.Client) -> None:
    agent = enrol(**FIELDS)
    reading = {**METRICS, "agent_id": agent.id}
    assert agent.client.post("/api/agent", json=reading).status_code == 200
    answer = operator.post(f"/api/agents/{agent.id}/revoke")
    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    refresh = {"action": "refresh", "refresh_token": agent.tokens["refresh_token"]}
    refused = [
        agent.client.post("/api/agent", json=reading),
        agent.client.get(f"/api/agent/{agent.id}"),
        agent.client.post("/api/proxmox/node", json=NODE),
        agent.client.get(f"/api/agent/{agent.id}/operations"),
        agent.client.get("/api/realtime"),
        httpx.post(f"{agent.client.base_url}/api/auth", json=refresh),
    ]
    assert {(each.status_code, each.json()["error"]) for each in refused} == {(403, "agent_revoked")}
    assert operator.get(f"/api/agent/{agent.id}").json()["status"] == "revoked"
    assert operator.post(f"/api/agents/{agent.id}/revoke").status_code == 200


def test_revoking_closes_the_stream(enrol: Callable[..., Agent], operator: httpx.Client) -> None:
    agent = enrol()
    with agent.client.stream("GET", "/api/realtime") as stream:
        lines = stream.iter_lines()
        client_id = next(line for line in lines if line.startswith("data:")).split('"')[3]
        subscribed = {"clientId": client_id, "subscriptions": ["patch_operations"]}
        assert agent.client.post("/api/realtime", json=subscribed).status_code == 204
        operator.post(f"/api/agents/{agent.id}/revoke")
        assert [line for line in lines if line.startswith("data:")] == []  # and it ends


def test_not_everybody_may_revoke(
    enrol: Callable[..., Agent], viewer: httpx.Client, stranger: httpx.Client, operator: httpx.Client
) -> None:
    agent = enrol()
    address = f"/api/agents/{agent.id}/revoke"
    assert [client.post(address).status_code for client in (viewer, stranger, agent.client)] == [403, 404, 403]
    assert operator.post(f"/api/agents/agent-{uuid.uuid4()}/revoke").status_code == 404
    assert agent.client.get(f"/api/agent/{agent.id}").status_code == 200
