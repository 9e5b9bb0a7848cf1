"""Proxmox reports over HTTP, and what people look up in them."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.integration.control.conftest import Agent
from tests.integration.control.guide import CLUSTER, LXC, NODE, QEMU

KINDS = {"cluster": CLUSTER, "node": NODE, "lxc": LXC, "qemu": QEMU}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def agent(enrol: Callable[..., Agent]) -> Agent:
    return enrol()


@pytest.fixture
def cluster() -> str:
    """A cluster's name that no other test uses."""
    return f"lab-{uuid.uuid4().hex[:8]}"


def tell(agent: Agent, kind: str, **fields: Any) -> httpx.Response:
    answer = agent.client.post(f"/api/proxmox/{kind}", json={**KINDS[kind], **fields})
    assert answer.status_code == 200, answer.text
    return answer


def items(person: httpx.Client, what: str, **asked: Any) -> list[dict[str, Any]]:
    answer = person.get(f"/api/proxmox/{what}", params={"limit": 500, **asked})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    assert answer.headers["x-total-count"] == str(answer.json()["total"])
    return found


def of(agent: Agent, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in found if item["agent_id"] == agent.id]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        pytest.param("cluster", "clusters", marks=pytest.mark.rows("G0-PX-01", "G0-PX-05", "G0-ER-01")),
        pytest.param("node", "nodes", marks=pytest.mark.rows("G0-PX-02", "G0-PX-05")),
        pytest.param("lxc", "guests", marks=pytest.mark.rows("G0-PX-03", "G0-PX-05")),
        pytest.param("qemu", "guests", marks=pytest.mark.rows("G0-PX-04", "G0-PX-05")),
    ],
)
def test_every_field_is_kept_and_twice_is_once(agent: Agent, viewer: httpx.Client, kind: str, what: str) -> None:
    named = {"cluster_name": f"lab-{agent.id}"} if kind == "cluster" else {}
    for _ in range(2):
        answer = tell(agent, kind, **named, further={"a": [1, None]})
        assert answer.json()["success"] is True
        assert answer.json()["message"]
    found = of(agent, items(viewer, what))
    assert len(found) == 1
    shown = viewer.get(f"/api/proxmox/{what}/{found[0]['id']}").json()
    assert shown["reported"] == {**KINDS[kind], **named, "further": {"a": [1, None]}}
    assert {key: shown[key] for key in found[0] if key != "freshness_seconds"} == {
        key: value for key, value in found[0].items() if key != "freshness_seconds"
    }


@pytest.mark.rows("G0-PX-01")
def test_a_cluster_without_quorum_is_taken(agent: Agent, viewer: httpx.Client, cluster: str) -> None:
    tell(agent, "cluster", cluster_name=cluster, quorate=0)
    assert [found["quorate"] for found in items(viewer, "clusters", name=cluster)] == [0]


@pytest.mark.rows("G0-PX-05")
def test_a_guest_may_come_before_its_node_and_cluster(agent: Agent, viewer: httpx.Client, cluster: str) -> None:
    for kind in ("qemu", "lxc", "node"):
        tell(agent, kind)
    before = {item["id"] for item in of(agent, items(viewer, "guests"))}
    tell(agent, "cluster", cluster_name=cluster)
    guests = items(viewer, "guests", cluster=cluster)
    assert {item["id"] for item in guests} == before
    assert {item["cluster_name"] for item in guests} == {cluster}
    assert [item["name"] for item in items(viewer, "nodes", cluster=cluster)] == ["pve-node-01"]


def test_a_migrated_guest_moves_and_a_destroyed_one_is_gone(
    enrol: Callable[..., Agent], viewer: httpx.Client, cluster: str
) -> None:
    one, two = enrol(), enrol()
    for agent in (one, two):
        tell(agent, "cluster", cluster_name=cluster)
    tell(one, "lxc", vmid=100)
    tell(one, "lxc", vmid=101)
    tell(two, "lxc", vmid=100, node="pve-node-02")
    found = items(viewer, "guests", cluster=cluster, vmid=100)
    assert [(item["node"], item["agent_id"], bool(item["moved_at"])) for item in found] == [
        ("pve-node-02", two.id, True)
    ]
    tell(two, "cluster", cluster_name=cluster, guests=[100])
    assert [item["vmid"] for item in items(viewer, "guests", cluster=cluster)] == [100]
    assert [item["vmid"] for item in items(viewer, "guests", cluster=cluster, gone=True)] == [101]
    tell(one, "lxc", vmid=101)
    assert items(viewer, "guests", cluster=cluster, gone=True) == []


def test_a_node_enrolled_anew_is_not_there_twice(
    enrol: Callable[..., Agent], viewer: httpx.Client, operator: httpx.Client
) -> None:
    name, old = f"pve-{uuid.uuid4().hex[:8]}", enrol()
    tell(old, "node", name=name)
    tell(old, "lxc", node=name)
    operator.post(f"/api/agents/{old.id}/revoke")
    assert [item["stale"] for item in items(viewer, "guests", node=name)] == [True]
    new = enrol()
    tell(new, "lxc", node=name)
    tell(new, "node", name=name)
    assert [(item["agent_id"], item["stale"]) for item in items(viewer, "guests", node=name)] == [(new.id, False)]
    assert [item["agent_id"] for item in items(viewer, "nodes", name=name)] == [new.id]


def test_filters_and_pages(agent: Agent, viewer: httpx.Client, cluster: str) -> None:
    tell(agent, "cluster", cluster_name=cluster)
    for vmid in (100, 101, 102):
        tell(agent, "lxc", vmid=vmid, name=f"web-{vmid}", tags="prod;web")
    tell(agent, "qemu", status="stopped")

    def vmids(**asked: Any) -> list[int]:
        return [item["vmid"] for item in items(viewer, "guests", cluster=cluster, **asked)]

    assert vmids() == [100, 101, 102, 200]
    assert vmids(kind="qemu") == vmids(status="stopped") == vmids(tag="database") == vmids(name="PROD") == [200]
    assert vmids(tag="web", vmid=101) == [101]
    assert vmids(limit=2, offset=1) == [101, 102]
    assert vmids(node="pve-node-01", name="web-", limit=1) == [100]


@pytest.mark.rows("G0-PX-01", "G0-PX-02", "G0-PX-03", "G0-PX-04", "G0-ER-01", "G0-ER-02")
@pytest.mark.parametrize(
    ("kind", "fields", "path"),
    [
        ("cluster", {"quorate": 2}, "quorate"),
        ("cluster", {"cluster_name": ""}, "cluster_name"),
        ("cluster", {"cluster_name": "a\0b"}, "cluster_name"),
        ("cluster", {"guests": [0]}, "guests.0"),
        ("node", {"node_id": -1}, "node_id"),
        ("node", {"ip": None}, "ip"),
        ("lxc", {"vmid": 10**12}, "vmid"),
        ("lxc", {"status": ""}, "status"),
        ("lxc", {"cpu_cores": -1}, "cpu_cores"),
        ("qemu", {"vmid": "x"}, "vmid"),
        ("qemu", {"memory_mb": 1.5}, "memory_mb"),
    ],
)
def test_a_wrong_field_is_named(agent: Agent, kind: str, fields: dict[str, Any], path: str) -> None:
    answer = agent.client.post(f"/api/proxmox/{kind}", json={**KINDS[kind], **fields})
    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert answer.json()["details"]["field"] == path


@pytest.mark.rows("G0-ER-01", "G0-ER-02")
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: b"",
        lambda whole: whole[:20],
        lambda whole: b"[]",
        lambda whole: whole[:-1] + b', "x": NaN}',
        lambda whole: whole[:-1] + b', "x": [{"y": -1e999}]}',
        lambda whole: whole[:-1] + b', "x": ' + b"9" * 5000 + b"}",
        lambda whole: whole[:-1] + b', "x": "\xff"}',
        lambda whole: whole[:-1] + b', "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=["nothing", "half", "list", "nan", "infinite", "huge", "not-utf8", "deep"],
)
def test_bad_input_is_never_our_fault(agent: Agent, kind: str, spoil: Callable[[bytes], bytes]) -> None:
    body = spoil(json.dumps(KINDS[kind]).encode())
    answer = agent.client.post(f"/api/proxmox/{kind}", content=body, headers=JSON)
    assert answer.status_code == 400
    assert {"error", "error_description", "timestamp"} <= answer.json().keys()


@pytest.mark.rows("G0-AU-09", "G0-ER-01")
@pytest.mark.parametrize("kind", list(KINDS))
def test_reports_are_for_agents(anonymous: httpx.Client, operator: httpx.Client, kind: str) -> None:
    answers = [client.post(f"/api/proxmox/{kind}", json=KINDS[kind]) for client in (anonymous, operator)]
    assert [answer.status_code for answer in answers] == [401, 403]
    assert [answer.json()["error"] for answer in answers] == ["unauthorized", "forbidden"]


@pytest.mark.rows("G0-ER-01")
@pytest.mark.parametrize("what", ["clusters", "nodes", "guests"])
def test_look_ups_are_for_people_of_the_team(
    agent: Agent, viewer: httpx.Client, stranger: httpx.Client, anonymous: httpx.Client, cluster: str, what: str
) -> None:
    tell(agent, "cluster", cluster_name=cluster)
    tell(agent, "node")
    tell(agent, "lxc")
    mine = items(viewer, what)[0]["id"]
    assert items(stranger, what) == []
    refused = [
        stranger.get(f"/api/proxmox/{what}/{mine}"),
        viewer.get(f"/api/proxmox/{what}/none"),
        anonymous.get(f"/api/proxmox/{what}"),
        viewer.get(f"/api/proxmox/{what}", params={"limit": 0}),
    ]
    assert [answer.status_code for answer in refused] == [404, 404, 401, 422]
    assert [answer.json()["error"]["code"] for answer in refused] == [
        "DB_RECORD_NOT_FOUND",
        "DB_RECORD_NOT_FOUND",
        "AUTH_FAILED",
        "VALIDATION_ERROR",
    ]
    assert agent.client.get(f"/api/proxmox/{what}").status_code == 403
