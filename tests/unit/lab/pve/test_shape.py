"""The keys and types of answers beside those of recorded ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.lab.pve.pretended import asking

RECORDED = json.loads((Path(__file__).parents[3] / "recorded/pve-shapes.json").read_text())
#: Keys that the recorded installation had by its own configuration, or that tell of its particular hardware.
OWN = {"pool", "serial", "vendor", "family"}
TYPES = {bool: "bool", int: "number", float: "number", str: "text", list: "list", dict: "object", type(None): "null"}


def row(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    return next(found for found in rows if all(found.get(key) == value for key, value in wanted.items()))


def answers(release: str) -> dict[str, dict[str, Any]]:
    asked = asking(release)
    resources = asked.get("/cluster/resources")
    status = asked.get("/cluster/status")
    lxc, qemu = asked.get("/nodes/pve1/lxc"), asked.get("/nodes/pve1/qemu")
    return {
        "version": asked.get("/version"),
        "cluster/status cluster": row(status, type="cluster"),
        "cluster/status node": row(status, type="node"),
        "cluster/resources lxc": row(resources, vmid=101),
        "cluster/resources qemu": row(resources, vmid=203),
        **{f"cluster/resources {kind}": row(resources, type=kind) for kind in ("node", "storage")},
        f"cluster/resources {'sdn' if release == '8.4' else 'network'}": resources_of_networks(resources),
        "nodes": asked.get("/nodes")[0],
        "nodes/status": asked.get("/nodes/pve1/status"),
        "lxc running": row(lxc, vmid=101),
        "lxc stopped": row(lxc, vmid=103),
        "lxc current running": asked.get("/nodes/pve1/lxc/101/status/current"),
        "qemu running": row(qemu, vmid=203),
        "qemu current running": asked.get("/nodes/pve1/qemu/203/status/current"),
        "lxc config": asked.get("/nodes/pve1/lxc/101/config"),
    }


def resources_of_networks(resources: list[dict[str, Any]]) -> dict[str, Any]:
    return next(found for found in resources if found["type"] in {"sdn", "network"})


@pytest.mark.parametrize("release", ["8.4", "9.2"])
def test_the_keys_and_types_are_the_recorded_ones(release: str) -> None:
    wrong: dict[str, Any] = {}
    for name, answer in answers(release).items():
        recorded = {key: kind for key, kind in RECORDED[release].get(name, {}).items() if key not in OWN}
        found = {key: TYPES[type(value)] for key, value in answer.items() if key not in OWN}
        # The recorded guests differ in what is optional: tags, a template, a clipboard, a second network.
        if recorded:
            optional = {"tags", "template", "clipboard", "agent"}
            different = {key for key in recorded.keys() ^ found.keys() if key not in optional}
            different |= {key for key in recorded.keys() & found.keys() if recorded[key] != found[key]}
            if different:
                wrong[name] = sorted(different)
    assert wrong == {}


def test_a_standalone_node_has_no_cluster_row() -> None:
    rows = asking("9.2", nodes=1).get("/cluster/status")
    assert [(found["type"], found["nodeid"]) for found in rows] == [("node", 0)]


def test_a_node_that_is_away_is_offline_and_its_guests_stay() -> None:
    asked = asking()
    asked.api.cluster.set_online("pve2", online=False)
    resources = asked.get("/cluster/resources")
    assert row(resources, id="node/pve2")["status"] == "offline"
    assert "mem" not in row(resources, id="node/pve2")
    assert row(resources, vmid=104)["node"] == "pve2"
    assert row(asked.get("/cluster/status"), type="cluster")["quorate"] == 0
