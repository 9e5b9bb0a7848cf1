"""Samples that Prometheus takes, whatever things are called."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from nanny_ops.control.services.exposition import HELP, exposition
from nanny_ops.control.services.fleet import Fleet


def cluster(key: str, name: str, status: str = "quorate") -> dict[str, Any]:
    told = {"nodes": 1, "quorate": 1, "version": 7, "freshness_seconds": 3}
    return {"id": key, "cluster_id": key, "cluster_name": name, "status": status, **told}


def guest(home: str | None, vmid: int = 100, **fields: Any) -> dict[str, Any]:
    told = {"id": f"g-{home}-{vmid}", "cluster": home, "cluster_name": "lab", "agent_id": "agent-1", "node": "pve1"}
    told |= {"vmid": vmid, "kind": "lxc", "name": "web", "status": "running", "template": False, "tags": ["b", "a"]}
    return {**told, "lock": "", "usage": {"cpu": 0.5, "netin": 7}, "freshness_seconds": 3, **fields}


def samples(fleet: Fleet) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(exposition(fleet).decode()):
        for sample in family.samples:
            key = (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items())))
            assert key not in found, "a sample that comes twice spoils the page"
            found[key] = sample.value
    return found


def test_two_clusters_of_one_name_are_told_apart() -> None:
    bodies = {"g-c1-100": {"backup": {"covered": False}}}
    fleet = Fleet([cluster("c1", "lab"), cluster("c2", "lab")], [], [guest("c1"), guest("c2")], [], bodies)
    found = samples(fleet)
    assert found["pve_not_backed_up_total", "cluster=lab (c1)", "id=cluster/lab"] == 1
    assert ("pve_up", "cluster=lab (c1)", "id=cluster/lab") in found
    assert found["pve_up", "cluster=lab (c1)", "id=lxc/100"] == 1
    assert found["pve_up", "cluster=lab (c2)", "id=lxc/100"] == 1


def test_what_is_unknown_is_not_up_and_has_no_readings() -> None:
    found = samples(Fleet([cluster("c1", "lab")], [], [guest("c1", status="unknown")], [], {}))
    assert found["pve_up", "cluster=lab", "id=lxc/100"] == 0
    assert found["nanny_pve_unknown", "cluster=lab", "id=lxc/100"] == 1
    assert not [key for key in found if key[0] == "pve_cpu_usage_ratio"]


def test_names_may_hold_anything() -> None:
    odd = 'a"b\\c\nd'
    found = samples(Fleet([cluster("c1", "lab")], [], [guest("c1", name=odd, lock="backup")], [], {}))
    assert [key for key in found if f"name={odd}" in key]
    assert found["pve_lock_state", "cluster=lab", "id=lxc/100", "state=backup"] == 1


def test_slower_facts() -> None:
    job = {"id": "100-0", "target": "pve2", "last_sync": 5, "next_sync": 9, "fail_count": 2}
    body = {"onboot": True, "ha_state": "started", "backup": {"covered": False}, "replication": [job]}
    found = samples(Fleet([cluster("c1", "lab")], [], [guest("c1")], [], {"g-c1-100": body}))
    assert found["pve_replication_failed_syncs", "cluster=lab", "id=100-0"] == 2
    assert found["pve_not_backed_up_total", "cluster=lab", "id=cluster/lab"] == 1
    assert found["pve_ha_state", "cluster=lab", "id=lxc/100", "state=started"] == 1


def test_no_name_without_a_meaning() -> None:
    assert all(HELP.values())
    assert exposition(Fleet([], [], [], [], {})) == b""


def test_a_node_that_rests_is_named() -> None:
    told = {"cluster": "c1", "cluster_name": "lab", "agent_id": "a", "pve_version": "", "usage": None}
    told |= {"status": "online", "freshness_seconds": 3}
    nodes = [{**told, "id": name, "name": name} for name in ("pve1", "pve2")]
    said = exposition(Fleet([cluster("c1", "lab")], nodes, [], [], {}), {("c1", "pve2"), ("c2", "pve1")}).decode()
    rests = [line for line in said.splitlines() if line.startswith("nanny_node_resting{")]
    assert rests == ['nanny_node_resting{id="node/pve2",cluster="lab"} 1']
