"""Ceph, and every figure as one list."""

from nanny_ops.lab.pve.state.ceph import Ceph
from tests.unit.lab.pve.pretended import asking


def test_ceph_is_absent_or_tells_its_health() -> None:
    asked = asking()
    assert asked.refusal("GET", "/cluster/ceph/status") == (500, "binary not installed: /usr/bin/ceph-mon")
    asked.api.cluster.ceph = Ceph(health="HEALTH_WARN", checks={"OSD_DOWN": "1 osds down"}, osds_up=2)
    found = asked.get("/nodes/pve1/ceph/status")
    assert found["health"]["checks"]["OSD_DOWN"]["summary"]["message"] == "1 osds down"
    assert found["osdmap"]["num_up_osds"] == 2


def test_a_guest_that_does_not_run_has_few_figures() -> None:
    rows = asking().get("/cluster/metrics/export")["data"]
    stopped = {row["metric"] for row in rows if row["id"] == "lxc/103"}
    assert stopped == {"cpu_max", "disk_total", "mem_total", "uptime"}
    assert {row["type"] for row in rows if row["metric"] == "net_in"} == {"derive"}
