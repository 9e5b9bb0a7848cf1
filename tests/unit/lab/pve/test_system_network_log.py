"""A node as a machine: its journal, network, time and names."""

import gzip
import json

import pytest

from nanny_ops.lab.pve.state.pool import Pool
from tests.unit.lab.pve.pretended import AUDITOR, NOW, asking


@pytest.mark.rows("PVE-09")
def test_the_journal_is_packed_whether_one_can_read_it_or_not() -> None:
    reply = asking().reply("GET", "/nodes/pve1/journal?lastentries=5")
    assert ("Content-Encoding", "gzip") in reply.headers
    assert len(json.loads(gzip.decompress(reply.body))["data"]) == 7


@pytest.mark.rows("PVE-14")
def test_the_syslog_is_not_for_auditors() -> None:
    asked = asking()
    assert asked.refusal("GET", "/nodes/pve1/syslog", AUDITOR)[1] == "Permission check failed (/nodes/pve1, Sys.Syslog)"
    assert [row["n"] for row in asked.get("/nodes/pve1/syslog?start=10&limit=2")] == [11, 12]


def test_the_clusters_log_tells_tasks_from_both_ends() -> None:
    asked = asking()
    asked.task("/nodes/pve1/lxc/103/status/start")
    assert sum("vzstart:103" in row["msg"] for row in asked.get("/cluster/log")) == 2
    assert asked.get("/cluster/log?max=3", AUDITOR) == []


@pytest.mark.rows("PVE-11")
def test_traffic_is_told_as_text() -> None:
    assert all(isinstance(row["in"], str) for row in asking().get("/nodes/pve1/netstat"))


def test_interfaces_are_looked_up_by_name() -> None:
    asked = asking()
    assert asked.get("/nodes/pve1/network/vmbr0")["address"] == "10.88.0.11"
    assert [row["iface"] for row in asked.get("/nodes/pve1/network?type=bridge")] == ["vmbr0"]
    assert asked.refusal("GET", "/nodes/pve1/network/eth9")[0] == 400


def test_time_is_the_labs_own() -> None:
    assert asking().get("/nodes/pve1/time") == {"time": NOW, "localtime": NOW, "timezone": "Etc/UTC"}


@pytest.mark.rows("PVE-13")
def test_an_id_that_is_taken_is_a_wrong_parameter() -> None:
    asked = asking()
    asked.api.cluster.pools["p"] = Pool("p")
    assert asked.get("/cluster/nextid") == "100"
    assert asked.refusal("GET", "/cluster/nextid?vmid=101")[0] == 400


@pytest.mark.rows("PVE-35")
def test_outside_a_cluster_there_is_nothing_to_join() -> None:
    alone = asking(nodes=1)
    assert alone.refusal("GET", "/cluster/config/join")[0] == 424
    assert alone.get("/cluster/config/nodes") == []
    assert all(row["type"] == "node" for row in alone.get("/cluster/status"))
    assert len(asking().get("/cluster/config/join")["nodelist"]) == 2
