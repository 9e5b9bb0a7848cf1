"""Backup jobs, replication and high availability; with data by the schema only."""

from nanny_ops.lab.pve.state.availability import HaGroup, HaResource
from nanny_ops.lab.pve.state.job import BackupJob, Replication
from tests.unit.lab.pve.pretended import LIMITED, asking


def test_what_no_job_backs_up() -> None:
    asked = asking()
    everything = {row["vmid"] for row in asked.get("/cluster/backup-info/not-backed-up")}
    asked.api.cluster.backup_jobs["b1"] = BackupJob("b1", vmids=(101,))
    asked.api.cluster.backup_jobs["b2"] = BackupJob("b2", enabled=False)
    assert {row["vmid"] for row in asked.get("/cluster/backup-info/not-backed-up")} == everything - {101}
    assert {row["id"]: row["enabled"] for row in asked.get("/cluster/backup")} == {"b1": 1, "b2": 0}
    assert asked.get("/cluster/backup/b1")["vmid"] == "101"


def test_a_job_covers_by_guest_by_pool_or_all() -> None:
    assert BackupJob("x").covers(1, "pve1", "")
    assert not BackupJob("x", exclude=(1,)).covers(1, "pve1", "")
    assert not BackupJob("x", node="pve2").covers(1, "pve1", "")
    assert BackupJob("x", pool="production").covers(1, "pve1", "production")


def test_replication_is_told_of_guests_that_one_may_see() -> None:
    asked = asking()
    asked.api.cluster.replications["103-0"] = Replication(103, 0, "pve2", fail_count=2, error="no route")
    assert asked.get("/nodes/pve1/replication")[0]["error"] == "no route"
    assert asked.get("/cluster/replication")[0]["source"] == "pve1"
    assert asked.get("/nodes/pve1/replication", LIMITED) == []
    assert asked.get("/nodes/pve2/replication") == []


def test_the_manager_of_managed_guests() -> None:
    asked = asking()
    cluster = asked.api.cluster
    cluster.ha["ct:101"] = HaResource("ct:101", state="error")
    cluster.ha_groups["first"] = HaGroup("first", "pve1:2,pve2")
    rows = {row["id"]: row for row in asked.get("/cluster/ha/status/current")}
    assert rows["service:ct:101"]["status"] == "ct:101 (pve1, error)"
    assert {"quorum", "master", "lrm:pve1", "lrm:pve2"} <= rows.keys()
    assert [row["group"] for row in asked.get("/cluster/ha/groups")] == ["first"]
    assert next(row for row in asked.get("/cluster/resources") if row.get("vmid") == 101)["hastate"] == "error"
    assert asking("9.2").refusal("GET", "/cluster/ha/groups")[1].endswith("ha groups have been migrated to rules")
