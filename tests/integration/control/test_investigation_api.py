"""Investigations over real HTTP: created by people and agents, declined, never sent back to who made them."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.integration.control.conftest import Agent, Server
from tests.integration.control.listener import listening

Enrol = Callable[..., Agent]
ISSUE = "PostgreSQL performance degradation"


def create(client: httpx.Client, agent: Agent, **fields: Any) -> httpx.Response:
    return client.post("/api/investigations", json={"agent_id": agent.id, "issue": ISSUE, **fields})


@pytest.mark.rows("G0-IV-01", "G0-IV-04")
@pytest.mark.parametrize("who", ["operator", "agent"])
def test_people_and_agents_may_ask(operator: httpx.Client, enrol: Enrol, who: str) -> None:
    agent = enrol()
    client = operator if who == "operator" else agent.client
    answer = create(client, agent, priority="high")
    body = answer.json()
    assert answer.status_code == 201
    assert body["id"].startswith("inv-")
    assert (body["agent_id"], body["issue"], body["user_prompt"]) == (agent.id, ISSUE, ISSUE)
    assert (body["status"], body["priority"], body["resolution"]) == ("pending", "high", None)
    assert body["created_at"].endswith("Z")
    for reader in (operator, agent.client):
        seen = reader.get(f"/api/investigations/{body['id']}")
        assert (seen.status_code, seen.json()) == (200, body)
        assert {"status", "updated_at", "resolution"} <= seen.json().keys()


@pytest.mark.rows("G0-IV-01")
def test_who_may_ask_for_what(
    operator: httpx.Client, viewer: httpx.Client, stranger: httpx.Client, anonymous: httpx.Client, enrol: Enrol
) -> None:
    agent, sibling = enrol(), enrol()
    assert create(viewer, agent).status_code == 403
    assert create(stranger, agent).status_code == 404
    assert create(anonymous, agent).status_code == 401
    assert create(sibling.client, agent).status_code == 403
    made = create(operator, agent).json()
    assert viewer.get(f"/api/investigations/{made['id']}").status_code == 200
    assert stranger.get(f"/api/investigations/{made['id']}").status_code == 404
    assert sibling.client.get(f"/api/investigations/{made['id']}").status_code == 403
    assert agent.client.get("/api/investigations/inv-none").status_code == 404


@pytest.mark.rows("G0-IV-01", "G0-ER-01", "G0-ER-02")
@pytest.mark.parametrize(
    ("fields", "named"),
    [({"issue": "too short"}, "issue"), ({"issue": "x" * 2001}, "issue"), ({"priority": "urgent"}, "priority")],
)
def test_a_wrong_field_is_named(operator: httpx.Client, enrol: Enrol, fields: dict[str, str], named: str) -> None:
    agent = enrol()
    person, itself = create(operator, agent, **fields), create(agent.client, agent, **fields)
    assert (person.status_code, person.json()["error"]["details"]["field"]) == (422, named)
    assert (itself.status_code, itself.json()["error"], itself.json()["details"]["field"]) == (
        400,
        "validation_error",
        named,
    )


@pytest.mark.rows("G0-IV-01", "G0-ER-01")
def test_a_model_turn_needs_a_model(operator: httpx.Client, enrol: Enrol) -> None:
    agent, sibling = enrol(), enrol()
    made = create(agent.client, agent).json()["id"]
    messages = [{"role": "user", "content": "System: Debian 12"}]

    def turn(client: httpx.Client, **fields: Any) -> httpx.Response:
        model = "tensorzero::function_name::diagnose_and_heal"
        return client.post("/api/investigations", json={"model": model, "messages": messages, **fields})

    unconfigured = turn(agent.client, investigation_id=made)
    assert (unconfigured.status_code, unconfigured.json()["error"]) == (503, "not_configured")
    assert "retry-after" in unconfigured.headers
    assert turn(sibling.client, investigation_id=made).status_code == 403
    assert turn(agent.client, investigation_id="inv-none").status_code == 404
    assert turn(agent.client).status_code == 400
    assert turn(agent.client, investigation_id="").status_code == 400
    assert turn(operator, investigation_id=made).status_code == 503
    agent.client.post(f"/api/investigations/{made}/report", json={"reason": "no"}).raise_for_status()
    assert turn(agent.client, investigation_id=made).status_code == 409


@pytest.mark.rows("G0-IV-06")
def test_an_agent_that_cannot_look_says_so(server: Server, operator: httpx.Client, enrol: Enrol) -> None:
    agent, sibling = enrol(), enrol()
    made = create(operator, agent).json()["id"]
    report = {"status": "failed", "outcome": "unsupported", "reason": "This agent cannot investigate."}
    assert sibling.client.post(f"/api/investigations/{made}/report", json=report).status_code == 403
    for said in (report, report, {**report, "outcome": "agent_error", "reason": "other"}):
        answer = agent.client.post(f"/api/investigations/{made}/report", json=said)
        assert (answer.status_code, answer.json()["status"]) == (200, "failed")
        assert (answer.json()["outcome"], answer.json()["reason"]) == ("unsupported", "This agent cannot investigate.")
    assert operator.get(f"/api/investigations/{made}").json()["status"] == "failed"
    with listening(server, agent) as stream:
        assert stream.is_silent()


def test_what_an_agent_asks_for_itself_is_not_sent_back(server: Server, enrol: Enrol) -> None:
    agent = enrol()
    with listening(server, agent) as stream:
        made = create(agent.client, agent).json()["id"]
        agent.client.post(f"/api/investigations/{made}/report", json={"reason": "done"}).raise_for_status()
        assert create(agent.client, agent).status_code == 201
        assert stream.is_silent()
    with listening(server, agent) as stream:
        assert stream.is_silent()
    assert agent.client.get(f"/api/agent/{agent.id}/operations").json()["items"] == []


def test_lists_are_filtered(operator: httpx.Client, viewer: httpx.Client, stranger: httpx.Client, enrol: Enrol) -> None:
    agent = enrol()
    made = [create(operator, agent).json()["id"] for _ in range(3)]
    agent.client.post(f"/api/investigations/{made[0]}/report", json={}).raise_for_status()
    answer = viewer.get("/api/investigations", params={"agent_id": agent.id})
    assert [row["id"] for row in answer.json()["items"]] == made[::-1]
    assert answer.headers["x-total-count"] == "3"
    failed = viewer.get("/api/investigations", params={"agent_id": agent.id, "status": "failed"}).json()
    assert [row["id"] for row in failed["items"]] == made[:1]
    assert stranger.get("/api/investigations", params={"agent_id": agent.id}).json()["total"] == 0
