"""Which guests still have an old package, asked in one request, after results came in over HTTP."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.integration.control.conftest import Agent
from tests.integration.control.guide import LXC


@pytest.fixture
def package() -> str:
    """A package's name that no other test uses."""
    return f"lib-{uuid.uuid4().hex[:8]}"


def finish(agent: Agent, operator: httpx.Client, mode: str, *packages: dict[str, Any], vmid: int = 100) -> None:
    order = operator.post("/api/patches", json={"agent_id": agent.id, "mode": mode, "vmid": str(vmid)})
    assert order.status_code == 201, order.text
    metadata = {"operation_id": order.json()["id"], "success": True, "package_list": list(packages)}
    parts = {
        "metadata": (None, json.dumps(metadata), "application/json"),
        "stdout": ("stdout.txt", b"done\n", "text/plain"),
        "stderr": ("stderr.txt", b"", "text/plain"),
    }
    answer = agent.client.post(f"/api/patches/{order.json()['id']}/results", files=parts)
    assert answer.status_code == 200, answer.text


def find(person: httpx.Client, **asked: Any) -> list[dict[str, Any]]:
    answer = person.get("/api/packages", params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    assert answer.headers["x-total-count"] == str(answer.json()["total"])
    return found


def test_which_guests_still_have_an_old_version(
    enrol: Callable[..., Agent], operator: httpx.Client, viewer: httpx.Client, stranger: httpx.Client, package: str
) -> None:
    agent = enrol(hostname="pve1", platform="debian", platform_family="debian")
    agent.client.post("/api/proxmox/lxc", json={**LXC, "vmid": 100, "name": "web1"})
    agent.client.post("/api/proxmox/lxc", json={**LXC, "vmid": 101, "name": "web2"})
    change = {"name": package, "version": "3.0.15-1", "old_version": "3.0.9-1", "action": "upgrade", "security": True}
    finish(agent, operator, "dry-run", change, vmid=100)
    finish(agent, operator, "dry-run", change, vmid=101)
    finish(agent, operator, "apply", change, vmid=101)
    found = find(viewer, name=package, below="3.0.15-1")
    assert [(row["guest_name"], row["installed"], row["hostname"]) for row in found] == [("web1", "3.0.9-1", "pve1")]
    assert [row["vmid"] for row in find(viewer, name=package)] == [100, 101]
    assert [row["vmid"] for row in find(viewer, name=package, pending=True, security=True)] == [100]
    assert [row["vmid"] for row in find(viewer, name=package, target="lxc:101")] == [101]
    assert find(viewer, name=package, agent_id="agent-none") == []
    assert len(find(viewer, name=package, limit=1, offset=1)) == 1
    assert find(stranger, name=package) == []


@pytest.mark.rows("G0-ER-01")
@pytest.mark.parametrize(
    "asked", [{"name": "openssl", "below": "not a version"}, {}, {"name": "a", "pending": "maybe"}]
)
def test_a_bad_question_is_refused(viewer: httpx.Client, asked: dict[str, str]) -> None:
    answer = viewer.get("/api/packages", params=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


def test_the_question_is_for_people(enrol: Callable[..., Agent], anonymous: httpx.Client) -> None:
    assert enrol().client.get("/api/packages", params={"name": "a"}).status_code == 403
    assert anonymous.get("/api/packages", params={"name": "a"}).status_code == 401
