"""Packages, updates and services of nodes."""

import pytest

from nanny_ops.lab.pve.state import software
from nanny_ops.lab.pve.state.software import Update
from tests.unit.lab.pve.pretended import ADMIN, AUDITOR, asking


@pytest.mark.rows("PVE-14")
def test_pending_updates_need_more_than_auditing() -> None:
    asked = asking()
    assert asked.refusal("GET", "/nodes/pve1/apt/update", AUDITOR) == (
        403,
        "Permission check failed (/nodes/pve1, Sys.Modify)",
    )
    asked.api.cluster.nodes["pve1"].updates = (Update("pve-manager", "all", "admin", "8.4.20", "8.4.21", "Proxmox"),)
    assert [row["Package"] for row in asked.get("/nodes/pve1/apt/update")] == ["pve-manager"]
    assert len(asked.get("/nodes/pve2/apt/update")) == len(software.updates("8.4"))


@pytest.mark.rows("PVE-20")
def test_fetching_the_lists_ends_well_even_without_a_mirror() -> None:
    asked = asking()
    assert asked.task("/nodes/pve1/apt/update") == "OK"


def test_a_stopped_service_is_told_to_be_dead_until_it_is_started() -> None:
    asked = asking()
    assert asked.task("/nodes/pve1/services/cron/stop", ADMIN) == "OK"
    assert asked.get("/nodes/pve1/services/cron/state")["state"] == "dead"
    assert asked.task("/nodes/pve1/services/cron/restart", ADMIN) == "OK"
    assert asked.get("/nodes/pve1/services/cron/state")["state"] == "running"


@pytest.mark.rows("PVE-06")
def test_without_pvedaemon_only_what_needs_no_root_is_answered() -> None:
    asked = asking()
    asked.api.cluster.nodes["pve1"].stopped.add("pvedaemon")
    assert asked.reply("GET", "/version").status == asked.reply("GET", "/cluster/resources").status == 200
    assert asked.refusal("GET", "/nodes/pve1/lxc") == (595, "Connection refused")


@pytest.mark.parametrize("release", ["8.4", "9.2"])
def test_versions_name_the_manager(release: str) -> None:
    rows = {row["Package"]: row for row in asking(release).get("/nodes/pve1/apt/versions")}
    assert rows["pve-manager"]["ManagerVersion"].startswith(release)
    assert rows["ceph-fuse"]["CurrentState"] == "NotInstalled"
