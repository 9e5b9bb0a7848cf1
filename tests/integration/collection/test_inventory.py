"""ansible-inventory of a thousand guests: one request, the right groups, and who carries out orders."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.collection.conftest import Ansible
from tests.integration.control.conftest import Agent, Server, enrol_by
from tests.integration.control.guide import CLUSTER, LXC, NODE

GUESTS = 1000
#: Programs of Ansible start slowly where all cores are busy.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def fleet(admin: httpx.Client, server: Server) -> Iterator[Agent]:
    """An agent that has told of a thousand containers."""
    agent = enrol_by(server, admin, "pve50", platform="debian", platform_family="debian")
    vmids = list(range(1000, 1000 + GUESTS))
    whole = {
        "at": datetime.now(UTC).isoformat(),
        "node": "pve50",
        "cluster": {**CLUSTER, "cluster_name": "large", "cluster_id": "c-large", "nodes": 1, "guests": vmids},
        "nodes": [{**NODE, "name": "pve50"}],
        "guests": vmids,
    }
    for begin in (0, 500):
        told = [container(vmid) for vmid in vmids[begin : begin + 500]]
        agent.client.post("/api/proxmox/inventory", json={**whole, "lxc": told}).raise_for_status()
        whole = {"at": whole["at"], "node": "pve50"}
    yield agent
    agent.client.close()


def container(vmid: int) -> dict[str, Any]:
    name = "same" if vmid in {1998, 1999} else f"web{vmid}"
    return {
        **LXC,
        "name": name,
        "vmid": vmid,
        "lxc_id": f"lxc/{vmid}",
        "node": "pve50",
        "tags": "web;prod" if vmid % 2 else "db",
        "addresses": [f"10.1.{vmid // 250}.{vmid % 250}/16"],
        "template": vmid == 1000,
    }


def asked(ansible: Ansible) -> int:
    lines = httpx.get(f"{ansible.url}/metrics", timeout=30).text.splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if 'nanny_http_requests_total{method="GET"' in line)


def listed(ansible: Ansible, file: Path, **env: str) -> dict[str, Any]:
    done = ansible.program("ansible-inventory", "-i", str(file), "--list", **env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout, object_hook=plain)
    return found


def plain(found: dict[str, Any]) -> Any:
    """Return a text that came from elsewhere, which Ansible marks so that it is never taken for a template."""
    return found.get("__ansible_unsafe", found)


def test_a_thousand_guests_are_one_request(ansible: Ansible, fleet: Agent, tmp_path: Path) -> None:
    file = tmp_path / "nanny.yml"
    base = {"plugin": "nanny.ops.fleet", "cache": True, "cache_plugin": "ansible.builtin.jsonfile"}
    rules = {
        "groups": {"even": "nanny.vmid is number and nanny.vmid % 2 == 0"},
        "keyed_groups": [{"key": "nanny.kind"}],
    }
    file.write_text(json.dumps({**base, "cache_connection": str(tmp_path / "cache"), "kinds": ["lxc"], **rules}))
    before = asked(ansible)
    found = listed(ansible, file)
    assert asked(ansible) - before == 2  # one of them is the question itself
    known = found["_meta"]["hostvars"]
    assert len(known) == GUESTS - 1
    assert {"same-1998", "same-1999"} <= set(known)
    assert "web1000" not in known
    web = known["web1001"]
    assert (web["ansible_host"], web["nanny"]["agent_id"], web["nanny"]["vmid"]) == ("10.1.4.1", fleet.id, 1001)
    assert web["nanny"]["facts"]["lxc_id"] == "lxc/1001"
    assert {"nanny_lxc", "nanny_node_pve50", "nanny_cluster_large", "nanny_tag_web", "nanny_upkeep_unknown"} <= set(
        found
    )
    assert len(found["nanny_tag_web"]["hosts"]) == 500
    assert len(found["even"]["hosts"]) == 499
    assert len(found["_lxc"]["hosts"]) == GUESTS - 1
    before = asked(ansible)
    assert len(listed(ansible, file)["_meta"]["hostvars"]) == GUESTS - 1
    assert asked(ansible) - before == 1  # the question itself: the rest came from the cache


def test_containers_can_be_reached_through_their_node(ansible: Ansible, fleet: Agent, tmp_path: Path) -> None:
    file = tmp_path / "nanny.yaml"
    file.write_text('{"plugin": "nanny.ops.fleet", "connection": "proxmox_pct_remote", "facts": false}')
    known = listed(ansible, file)["_meta"]["hostvars"]
    assert known["web1001"]["ansible_connection"] == "community.proxmox.proxmox_pct_remote"
    assert (known["web1001"]["ansible_host"], known["web1001"]["proxmox_vmid"]) == ("pve50", 1001)
    assert "facts" not in known["web1001"]["nanny"]
    assert known["pve50"]["nanny"]["target"] == "host"


def test_a_wrong_token_is_told(ansible: Ansible, tmp_path: Path) -> None:
    file = tmp_path / "nanny.yml"
    file.write_text('{"plugin": "nanny.ops.fleet", "token": "nop_wrong"}')
    done = ansible.program(
        "ansible-inventory", "-i", str(file), "--list", ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true"
    )
    assert done.returncode != 0
    assert "401" in done.stderr
