"""How well hosts and guests are kept, asked over HTTP after a dry run's result came in."""

from collections.abc import Callable

import httpx

from tests.integration.control.conftest import Agent
from tests.integration.control.guide import LXC
from tests.integration.control.test_package_api import finish


def test_a_dry_run_is_seen_by_its_team_and_by_nobody_else(
    enrol: Callable[..., Agent], operator: httpx.Client, viewer: httpx.Client, stranger: httpx.Client
) -> None:
    agent = enrol(hostname="kept1", platform="debian", platform_family="debian")
    for vmid, name in ((100, "kept-web1"), (101, "kept-web2")):
        assert agent.client.post("/api/proxmox/lxc", json={**LXC, "vmid": vmid, "name": name}).status_code == 200
    change = {"name": "libkept", "version": "2", "old_version": "1", "action": "upgrade", "security": True}
    finish(agent, operator, "dry-run", change)
    rows = {row["name"]: row for row in viewer.get("/api/upkeep", params={"limit": 500}).json()["items"]}
    assert (rows["kept-web1"]["state"], rows["kept-web1"]["security"]) == ("pending", 1)
    assert (rows["kept-web2"]["state"], rows["kept1"]["state"]) == ("unknown", "unknown")
    waiting = viewer.get("/api/upkeep", params={"state": "pending", "security": "true"}).json()["items"]
    assert "kept-web1" in {row["name"] for row in waiting}
    assert "kept-web1" not in {row["name"] for row in stranger.get("/api/upkeep").json()["items"]}
    assert viewer.get("/api/upkeep", params={"state": "fine"}).status_code == 422
