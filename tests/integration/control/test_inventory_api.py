"""Whole readings of Proxmox VE over HTTP: taken in, shown with filters, sources and ages, told to Prometheus."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.control.conftest import Agent, Server, client_of
from tests.integration.control.inventory import reading

PATH = "/api/proxmox/inventory"


@pytest.fixture
def name() -> str:
    """A cluster name of this test's own."""
    return f"lab-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def agent(enrol: Callable[..., Agent], name: str) -> Agent:
    """An agent that has told of its cluster once."""
    made = enrol()
    answer = made.client.post(PATH, json=reading(name))
    assert (answer.status_code, answer.json()) == (200, {"reports_cluster": True, "speaks_for": [], "resend": False})
    return made


def listed(client: httpx.Client, noun: str, **query: str) -> list[dict[str, Any]]:
    answer = client.get(f"/api/proxmox/{noun}", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [100, 200]),
        ({"status": "running"}, [100, 200]),
        ({"status": "unknown"}, []),
        ({"kind": "qemu"}, [200]),
        ({"pool": "web"}, [100]),
        ({"lock": "backup"}, [200]),
        ({"template": "false"}, [100]),
        ({"tag": "web"}, [100]),
        ({"fact": "forbidden"}, [200]),
        ({"fact": "stale"}, []),
        ({"gone": "true"}, []),
    ],
)
def test_guests_are_found_by_what_was_told(
    agent: Agent, viewer: httpx.Client, name: str, query: dict[str, str], found: list[int]
) -> None:
    del agent
    assert [one["vmid"] for one in listed(viewer, "guests", cluster=name, **query)] == found


def test_every_part_says_how_well_it_is_known(agent: Agent, viewer: httpx.Client, name: str) -> None:
    del agent
    guest = listed(viewer, "guests", cluster=name, kind="qemu")[0]
    assert guest["trouble"] == {"forbidden": 1}
    assert (guest["usage"]["cpu"], guest["freshness_seconds"] < 60, guest["stale"]) == (0.25, True, False)
    shown = viewer.get(f"/api/proxmox/guests/{guest['id']}").json()
    by_part = {line["section"]: line for line in shown["known"]}
    assert by_part["guest.agent"]["privilege"] == "VM.GuestAgent.Audit"
    assert (by_part["guest.config"]["source"], by_part["guest.config"]["state"]) == ("pmxcfs", "ok")
    assert by_part["guest.config"]["age_seconds"] > 0
    node = listed(viewer, "nodes", cluster=name, fact="failed")[0]
    assert (node["status"], node["trouble"]) == ("online", {"failed": 1})


def test_storages_and_failed_tasks(agent: Agent, viewer: httpx.Client, name: str) -> None:
    del agent
    [storage] = listed(viewer, "storages", cluster=name, kind="dir")
    assert (storage["used_fraction"], storage["status"], storage["content"]) == (0.5, "available", ["backup", "iso"])
    assert listed(viewer, "storages", cluster=name, full="true") == []
    [task] = listed(viewer, "tasks", cluster=name, about="200")
    assert (task["status"], task["kind"]) == ("job errors", "vzdump")
    assert viewer.get(f"/api/proxmox/tasks/{task['upid']}").json()["id"] == task["id"]


def test_pages_link_to_each_other(agent: Agent, viewer: httpx.Client, name: str) -> None:
    del agent
    answer = viewer.get("/api/proxmox/guests", params={"cluster": name, "limit": "1"})
    assert answer.headers["X-Total-Count"] == "2"
    following = answer.links["next"]["url"]
    assert [one["vmid"] for one in viewer.get(following).json()["items"]] == [200]


def test_what_changes_is_listed_and_streamed_once(agent: Agent, viewer: httpx.Client, name: str) -> None:
    before = viewer.get("/api/proxmox/events").json()["total"]
    with viewer.stream("GET", "/api/proxmox/events/stream") as stream:
        lines = stream.iter_lines()
        assert "connect" in next(lines)
        body = reading(name)
        body["lxc"][0]["status"] = "stopped"
        body["usage"][0]["status"] = "stopped"
        for _ in range(2):
            agent.client.post(PATH, json=body).raise_for_status()
        told = next(json.loads(line[5:]) for line in lines if line.startswith("data:") and name in line)
    assert told["record"]["kind"] == "guest.stopped"
    found = viewer.get("/api/proxmox/events", params={"kind": "guest", "about": "lxc/100"}).json()["items"]
    mine = [one for one in found if one["cluster_name"] == name]
    assert [(one["kind"], one["object"]) for one in mine] == [("guest.stopped", "lxc/100")]
    assert viewer.get("/api/proxmox/events").json()["total"] == before + 1
    assert viewer.get("/api/proxmox/events", params={"after": str(mine[0]["seq"])}).json()["items"] == []
    resumed = viewer.stream("GET", "/api/proxmox/events/stream", headers={"Last-Event-ID": str(mine[0]["seq"] - 1)})
    with resumed as stream:
        assert "guest.stopped" in next(
            line for line in stream.iter_lines() if line.startswith("data:") and name in line
        )


def test_a_stream_that_was_away_too_long_is_told_so(agent: Agent, viewer: httpx.Client) -> None:
    del agent
    with viewer.stream("GET", "/api/proxmox/events/stream", headers={"Last-Event-ID": "999999999"}) as stream:
        lines = stream.iter_lines()
        assert "event: gap" in [next(lines) for _ in range(8)]


def test_prometheus_reads_it(server: Server, agent: Agent, operator: httpx.Client, name: str) -> None:
    del agent
    token = operator.post("/api/tokens", json={"name": "prometheus", "scopes": ["read"]}).json()["token"]
    with client_of(server, token) as prometheus:
        text = prometheus.get("/api/proxmox/metrics", params={"cluster": name}).text
        assert prometheus.get("/api/proxmox/metrics", params={"cluster": "nowhere"}).status_code == 404
    samples = {
        (sample.name, sample.labels.get("id")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["pve_up", "lxc/100"] == samples["pve_up", f"cluster/{name}"] == 1
    assert samples["pve_cpu_usage_ratio", "qemu/200"] == 0.25
    assert samples["pve_disk_size_bytes", "storage/pve-node-01/local"] == 100 << 30
    assert samples["pve_lock_state", "qemu/200"] == 1
    assert samples["pve_not_backed_up_total", f"cluster/{name}"] == 1
    assert samples["pve_network_receive_bytes_total", "lxc/100"] == 1000


def test_what_was_used_over_time(agent: Agent, viewer: httpx.Client, name: str) -> None:
    now = datetime.now(UTC)
    for minutes, received in ((3, 2000), (2, 8000)):
        body = reading(name, now - timedelta(minutes=minutes))
        body["usage"][0] |= {"netin": received}
        agent.client.post(PATH, json=body).raise_for_status()
    guest = listed(viewer, "guests", cluster=name, kind="lxc")[0]
    raw = viewer.get(f"/api/proxmox/guests/{guest['id']}/history", params={"resolution": "raw"}).json()
    assert raw["object"] == "lxc/100"
    assert next(point["netin_rate"] for point in raw["points"] if "netin_rate" in point) == 100
    slots = viewer.get(f"/api/proxmox/guests/{guest['id']}/history").json()["points"]
    assert (slots[-1]["cpu"], slots[-1]["cpu_max"], slots[-1]["mem"]) == (0.25, 0.25, 1 << 30)
    for noun in ("nodes", "storages"):
        [one] = listed(viewer, noun, cluster=name)
        assert viewer.get(f"/api/proxmox/{noun}/{one['id']}/history", params={"resolution": "1h"}).json()["points"]


@pytest.mark.parametrize(
    ("query", "status"),
    [({"resolution": "2min"}, 422), ({"since": "yesterday"}, 422), ({"since": "2030-01-01T00:00:00Z"}, 422)],
)
def test_an_impossible_stretch_of_time_is_refused(
    agent: Agent, viewer: httpx.Client, name: str, query: dict[str, str], status: int
) -> None:
    del agent
    guest = listed(viewer, "guests", cluster=name)[0]
    assert viewer.get(f"/api/proxmox/guests/{guest['id']}/history", params=query).status_code == status


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"at": "yesterday"}, "at"),
        ({"at": None}, "at"),
        ({"node": ""}, "node"),
        ({"lxc": [{"vmid": 1}]}, "lxc"),
        ({"lxc": None}, "lxc"),
        ({"guests": [-1]}, "guests"),
        ({"usage": [{"vmid": 1, "kind": "lxc", "node": "n", "status": "running", "mem": 2**70}]}, "usage"),
        ({"facts": [{"section": "x", "state": "guessed"}]}, "facts"),
        ({"facts": [{"section": "x", "state": "ok", "at": "soon"}]}, "facts"),
    ],
)
def test_a_wrong_report_is_refused_and_names_the_field(
    enrol: Callable[..., Agent], name: str, fields: dict[str, Any], named: str
) -> None:
    answer = enrol().client.post(PATH, json={**reading(name), **fields})
    assert answer.status_code == 400, answer.text
    assert named in answer.text


def test_too_large_a_report_is_refused(enrol: Callable[..., Agent], name: str) -> None:
    assert enrol().client.post(PATH, json={**reading(name), "pad": "x" * (9 << 20)}).status_code == 413


def test_a_persons_token_reports_nothing(operator: httpx.Client, name: str) -> None:
    assert operator.post(PATH, json=reading(name)).status_code == 403


def test_a_thousand_guests_in_one_report(enrol: Callable[..., Agent], viewer: httpx.Client, name: str) -> None:
    body = reading(name)
    guest, usage = body["lxc"][0], body["usage"][0]
    numbers = range(1000, 1500)
    body["lxc"] = [{**guest, "vmid": vmid, "lxc_id": f"lxc/{vmid}"} for vmid in numbers]
    body["usage"] = [{**usage, "vmid": vmid} for vmid in range(1000, 2000)]
    body["guests"] = body["cluster"]["guests"] = [200, *numbers]
    agent = enrol()
    assert agent.client.post(PATH, json=body).status_code == 200
    answer = viewer.get("/api/proxmox/guests", params={"cluster": name, "limit": "1"})
    assert answer.json()["total"] == 501
