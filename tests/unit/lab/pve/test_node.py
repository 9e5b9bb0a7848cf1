"""Calls about the cluster, nodes, tasks and privileges."""

import json

import pytest

from tests.unit.lab.pve.pretended import ADMIN, AUDITOR, LIMITED, POWERLESS, asking


def test_a_token_without_privileges_sees_nodes_without_figures() -> None:
    asked = asking()
    assert asked.get("/nodes/pve1/lxc", POWERLESS) == []
    assert all("mem" not in row for row in asked.get("/nodes", POWERLESS))
    resources = asked.get("/cluster/resources", POWERLESS)
    assert {row["type"] for row in resources} == {"node"}
    assert asked.refusal("GET", "/cluster/status", POWERLESS) == (403, "Permission check failed (/, Sys.Audit)")


def test_a_limited_token_sees_its_guest_only() -> None:
    asked = asking()
    rows = asked.get("/cluster/resources?type=vm", LIMITED)
    assert [row["vmid"] for row in rows] == [101]
    refusal = asked.refusal("GET", "/nodes/pve1/status", LIMITED)
    assert refusal == (403, "Permission check failed (/nodes/pve1, Sys.Audit)")


@pytest.mark.parametrize(("kind", "types"), [("vm", {"lxc", "qemu"}), ("node", {"node"}), ("storage", {"storage"})])
def test_resources_by_type(kind: str, types: set[str]) -> None:
    assert {row["type"] for row in asking().get(f"/cluster/resources?type={kind}", AUDITOR)} == types


def test_tasks_are_listed_newest_first_and_paged() -> None:
    asked = asking()
    for path in ("101/status/stop", "101/status/start", "105/status/start"):
        asked.task(f"/nodes/pve1/lxc/{path}")
    body = json.loads(asked.reply("GET", "/nodes/pve1/tasks?limit=2").body)
    assert body["total"] == 3
    assert [row["type"] for row in body["data"]] == ["vzstart", "vzstart"]
    assert [row["id"] for row in asked.get("/nodes/pve1/tasks?errors=1")] == ["105"]
    assert len(asked.get("/nodes/pve1/tasks?vmid=101")) == 2
    assert asked.get("/nodes/pve1/tasks", POWERLESS) == []


def test_a_foreign_task_needs_a_privilege() -> None:
    asked = asking()
    upid = json.loads(asked.reply("POST", "/nodes/pve1/lxc/103/status/start", ADMIN).body)["data"]
    path = f"/nodes/pve1/tasks/{upid}"
    assert asked.get(f"{path}/status", AUDITOR)["user"] == "root@pam"
    assert asked.get(f"{path}/log", AUDITOR) == [{"n": 1, "t": "TASK OK"}]
    assert asked.refusal("GET", f"{path}/status", POWERLESS) == (
        403,
        "Permission check failed (/nodes/pve1, Sys.Audit)",
    )
    assert asked.refusal("GET", f"/nodes/pve2/tasks/{upid}/status")[0] == 400


def test_permissions_at_one_path() -> None:
    assert asking().get("/access/permissions?path=/vms/101", LIMITED) == {
        "/vms/101": {"VM.Audit": 1, "VM.PowerMgmt": 1}
    }


def test_an_auditor_of_9_sees_the_guest_agent() -> None:
    assert "VM.GuestAgent.Audit" in asking("9.2").get("/access/permissions", AUDITOR)["/"]
    assert "VM.GuestAgent.Audit" not in asking("8.4").get("/access/permissions", AUDITOR)["/"]


def test_a_nodes_certificates_are_those_that_were_issued() -> None:
    asked = asking()
    asked.api.certificates["pve1"] = [{"filename": "pve-root-ca.pem"}]
    assert asked.get("/nodes/pve1/certificates/info") == [{"filename": "pve-root-ca.pem"}]
    assert asked.get("/nodes/pve2/certificates/info") == []
