"""Patch orders over real HTTP: who may place which, and what people see of them."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from nanny_ops.control.store.proxmox_tables import guests
from nanny_ops.protocol.clock import micros, now, parse_stamp, stamp
from tests.integration.control.conftest import Agent, Server
from tests.integration.control.listener import deliver, order

Enrol = Callable[..., Agent]


@pytest.fixture
def agent(enrol: Enrol) -> Agent:
    """An agent on Debian."""
    return enrol(platform="debian", platform_family="debian")


def place(client: httpx.Client, agent: Agent, **fields: Any) -> httpx.Response:
    return client.post("/api/patches", json={"agent_id": agent.id, "mode": "dry-run", **fields})


def add_guest(server: Server, agent: Agent, vmid: int, **fields: Any) -> None:
    at = micros(now())
    row = {
        "id": str(uuid.uuid4()), "team_id": "team-default", "scope": agent.id, "vmid": vmid, "kind": "lxc",
        "name": f"ct{vmid}", "node": "pve1", "status": "running", "ostype": "debian", "tags": "", "body": {},
        "reported_by": agent.id, "created_at": at, "updated_at": at, **fields,
    }  # fmt: skip
    server.in_store(lambda tx: tx.connection.execute(guests.insert().values(**row)))


@pytest.mark.rows("G0-PT-01")
def test_an_order_is_placed_and_waits_for_its_agent(operator: httpx.Client, agent: Agent) -> None:
    answer = place(operator, agent, vmid="100", exclude=["nginx"], security_only=True)
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/patches/{body['id']}"
    assert (body["status"], body["outcome"], body["target"], body["mode"]) == ("pending", None, "lxc:100", "dry-run")
    assert (body["exclude"], body["security_only"], body["package_list"]) == (["nginx"], True, None)
    lifetime = parse_stamp(body["expires_at"]) - parse_stamp(body["created_at"])
    assert lifetime == timedelta(days=1)
    assert operator.get(f"/api/patches/{body['id']}").json() == body
    waiting = agent.client.get(f"/api/agent/{agent.id}/operations", params={"state": "open"}).json()["items"]
    assert [(item["topic"], item["record"]["id"]) for item in waiting] == [("patch_operations", body["id"])]


@pytest.mark.parametrize("fields", [{"lxc_id": "lxc-100"}, {"lxc_id": "lxc/100"}, {"vmid": "100"}, {"vmid": 100}])
def test_every_spelling_of_a_guest_means_the_same(operator: httpx.Client, agent: Agent, fields: dict[str, Any]) -> None:
    body = place(operator, agent, **fields).json()
    assert (body["target"], body["lxc_id"], body["vmid"]) == ("lxc:100", "lxc-100", "100")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"lxc_id": "lxc-100", "vmid": "101"}, "vmid"),
        ({"lxc_id": "qemu/100"}, "lxc_id"),
        ({"vmid": "web"}, "vmid"),
        ({"vmid": "0"}, "vmid"),
        ({"mode": "maybe"}, "mode"),
        ({"exclude": ["a b"]}, "exclude"),
        ({"exclude": ["-y"]}, "exclude"),
        ({"only": ["a;b"]}, "only"),
        ({"only": ["nginx"], "exclude": ["nginx"]}, "only"),
        ({"script_args": "'open"}, "script_args"),
        ({"script_args": "a\0b"}, "script_args"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": 86_401}, "timeout_seconds"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        pytest.param({"expires_at": stamp(now() + timedelta(days=31))}, "expires_at", id="31 days ahead"),
        ({"exclud": ["nginx"]}, "exclud"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(operator: httpx.Client, agent: Agent, fields: dict[str, Any], named: str) -> None:
    answer = place(operator, agent, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "VALIDATION_ERROR")
    assert error["details"]["field"] == named


def test_a_virtual_machine_is_refused_while_its_agent_cannot_reach_it(
    server: Server, operator: httpx.Client, agent: Agent
) -> None:
    add_guest(server, agent, 200, kind="qemu")
    answer = place(operator, agent, vmid="200")
    error = answer.json()["error"]
    assert (answer.status_code, error["details"]["features"]) == (409, ["qemu"])
    assert "virtual machine" in error["message"]


def test_a_guest_that_is_gone_is_refused(server: Server, operator: httpx.Client, agent: Agent) -> None:
    add_guest(server, agent, 101, gone_at=micros(now()))
    assert place(operator, agent, vmid="101").status_code == 409


def test_the_script_fits_the_guest_and_not_its_host(server: Server, operator: httpx.Client, agent: Agent) -> None:
    add_guest(server, agent, 102, ostype="plan9")
    answer = place(operator, agent, vmid="102")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert "plan9" in answer.json()["error"]["message"]
    add_guest(server, agent, 103, ostype="ubuntu")
    assert place(operator, agent, vmid="103").json()["script_id"].startswith("apt-")


def test_without_a_fitting_script_one_must_be_named(operator: httpx.Client, enrol: Enrol) -> None:
    strange = enrol(platform="plan9")
    assert place(operator, strange).status_code == 400
    script = operator.post("/api/scripts", json={"name": "own", "content": "#!/bin/sh\necho '[]'\n"}).json()
    assert place(operator, strange, script_id=script["id"]).json()["script_id"] == script["id"]
    assert place(operator, strange, script_id="none-such").status_code == 404


def test_who_may_order(
    viewer: httpx.Client, stranger: httpx.Client, anonymous: httpx.Client, enrol: Enrol, agent: Agent
) -> None:
    assert place(viewer, agent).status_code == 403
    assert place(stranger, agent).status_code == 404
    assert place(anonymous, agent).status_code == 401
    assert place(enrol().client, agent).status_code == 403
    assert place(agent.client, agent).status_code == 403


def test_a_revoked_agent_takes_no_orders(operator: httpx.Client, agent: Agent) -> None:
    operator.post(f"/api/agents/{agent.id}/revoke").raise_for_status()
    assert place(operator, agent).status_code == 409


def test_the_same_key_gives_the_same_order(operator: httpx.Client, admin: httpx.Client, agent: Agent) -> None:
    asked = {"agent_id": agent.id, "mode": "apply"}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = operator.post("/api/patches", json=asked, headers=key)
    again = operator.post("/api/patches", json=asked, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert operator.post("/api/patches", json={**asked, "mode": "dry-run"}, headers=key).status_code == 409
    assert admin.post("/api/patches", json=asked, headers=key).status_code == 201  # a key belongs to its person
    assert operator.get("/api/patches", params={"agent_id": agent.id}).json()["total"] == 2


def test_what_placing_answers_is_what_is_shown_afterwards(operator: httpx.Client, agent: Agent) -> None:
    body = {"agent_id": agent.id, "mode": "dry-run", "only": ["nginx"]}
    placed = operator.post("/api/patches", json=body)
    assert placed.status_code == 201
    assert placed.headers["content-type"] == "application/json"
    shown = operator.get(placed.headers["location"]).json()
    assert {**placed.json(), "package_list": None} == {**shown, "package_list": None}
    refused = operator.post("/api/patches", json=body, headers={"Idempotency-Key": "k" * 256})
    assert refused.status_code == 422
    assert operator.post("/api/patches", content=b"{").status_code == 400


@pytest.mark.parametrize("header", [None, "Bearer nop_guessed"])
def test_an_order_needs_somebody_who_orders(server: Server, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    assert httpx.post(f"{server.url}/api/patches", json={}, headers=headers, timeout=20).status_code == 401


def test_lists_are_filtered_and_paged(
    operator: httpx.Client, viewer: httpx.Client, stranger: httpx.Client, agent: Agent
) -> None:
    placed = [order(operator, agent, vmid=str(vmid), mode=mode) for vmid in (100, 101) for mode in ("dry-run", "apply")]
    deliver(agent, placed[0]["id"])
    mine = {"agent_id": agent.id}

    def found(**query: Any) -> list[str]:
        return [row["id"] for row in viewer.get("/api/patches", params={**mine, **query}).json()["items"]]

    newest_first = [row["id"] for row in reversed(placed)]
    assert found() == newest_first
    assert found(status="completed", outcome="nothing_to_do") == [placed[0]["id"]]
    assert found(vmid="lxc-101", mode="apply") == [placed[3]["id"]]
    page = viewer.get("/api/patches", params={**mine, "limit": 2, "offset": 1})
    assert [row["id"] for row in page.json()["items"]] == newest_first[1:3]
    assert page.headers["x-total-count"] == "4"
    assert 'rel="next"' in page.headers["link"]
    assert 'rel="prev"' in page.headers["link"]
    assert stranger.get("/api/patches", params=mine).json()["items"] == []
    assert viewer.get("/api/patches", params={"status": "lost"}).status_code == 422
    assert agent.client.get("/api/patches").status_code == 403


def test_an_order_is_for_its_team_only(operator: httpx.Client, stranger: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    assert stranger.get(f"/api/patches/{placed['id']}").status_code == 404
    assert stranger.post(f"/api/patches/{placed['id']}/cancel").status_code == 404
    assert operator.get("/api/patches/none-such").status_code == 404


def test_cancelling_is_a_state_first(operator: httpx.Client, viewer: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)
    assert viewer.post(f"/api/patches/{placed['id']}/cancel").status_code == 403
    for _ in range(2):
        answer = operator.post(f"/api/patches/{placed['id']}/cancel")
        assert (answer.status_code, answer.json()["status"], answer.json()["outcome"]) == (
            200,
            "cancelled",
            "cancelled",
        )
    ack = agent.client.post(f"/api/operations/{placed['id']}/ack", json={"state": "running"}).json()
    assert (ack["status"], ack["proceed"]) == ("cancelled", False)
    done = order(operator, agent)
    deliver(agent, done["id"])
    assert operator.post(f"/api/patches/{done['id']}/cancel").status_code == 409
