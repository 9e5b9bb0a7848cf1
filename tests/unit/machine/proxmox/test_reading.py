"""From recorded answers of Proxmox VE 8.4 and 9.2 to the bodies of the reports."""

import copy
import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from nanny_ops.errors import ProxmoxError, ProxmoxForbidden, ProxmoxGone, ProxmoxUnreachable
from nanny_ops.machine.proxmox.reading import BUDGET, read
from nanny_ops.protocol.guest import GuestFacts
from nanny_ops.protocol.node import NodeFacts
from nanny_ops.protocol.proxmox import ClusterReport, LxcReport, NodeReport, QemuReport

GOLDEN = Path(__file__).parents[3] / "golden" / "proxmox"


def named(record, beside):
    """Return the fields of a record without those that come from the facts beside the guide's."""
    return {field.name for field in fields(record)} - {field.name for field in fields(beside)}


class Recorded:
    """Answers by path; an answer that is an exception is raised."""

    def __init__(self, version: str = "8.4", **changes) -> None:
        self.answers = json.loads((GOLDEN / version / "api.json").read_text())
        self.asked: list[str] = []

    def get(self, path, /, **parameters):
        key = path + ("?" + "&".join(f"{name}={value}" for name, value in parameters.items()) if parameters else "")
        self.asked.append(key)
        answer = self.answers[key]
        if isinstance(answer, Exception):
            raise answer
        return copy.deepcopy(answer)


@pytest.mark.parametrize("version", ["8.4", "9.2"])
def test_the_recorded_installation(version):
    expected = json.loads((GOLDEN / version / "reading.json").read_text())
    assert asdict(read(Recorded(version))) == expected


@pytest.mark.rows("G0-PX-01", "G0-PX-02", "G0-PX-03", "G0-PX-04")
@pytest.mark.parametrize("version", ["8.4", "9.2"])
def test_the_bodies_hold_every_field_of_the_wire(version):
    found = read(Recorded(version))
    for body in found.nodes:
        assert set(body) >= named(NodeReport, NodeFacts) - {"guests"}
        NodeReport(**body)
    for body in found.lxc:
        assert set(body) == named(LxcReport, GuestFacts)
        LxcReport(**body)
    for body in found.qemu:
        known = named(QemuReport, GuestFacts)
        assert set(body) >= known
        QemuReport(**{key: value for key, value in body.items() if key in known})
    if found.cluster is not None:
        ClusterReport(**found.cluster)


def test_a_cluster_names_all_its_guests_and_the_node_only_its_own():
    found = read(Recorded())
    assert found.cluster is not None
    assert 104 in found.cluster["guests"]
    assert 104 not in {body["vmid"] for body in found.lxc}
    assert "guests" not in found.nodes[0]


def test_outside_a_cluster_the_node_names_them():
    found = read(Recorded("9.2"))
    assert found.cluster is None
    assert found.nodes[0]["guests"] == [301, 302, 303, 305, 306, 400]


def test_the_clusters_name_is_its_authoritys_fingerprint():
    assert read(Recorded()).cluster["cluster_id"] == "pve-cd840439d785e67d"


@pytest.mark.parametrize("answer", [[], ProxmoxForbidden("no.")])
def test_without_its_authority_a_cluster_is_known_by_name_and_that_is_said(answer):
    api = Recorded()
    api.answers["nodes/pve1/certificates/info"] = answer
    found = read(api)
    assert found.cluster["cluster_id"] == "cluster1"
    assert any("by its name" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "permissions",
    [
        {},
        {"/": {"VM.Audit": 0}},
        {"/": {"VM.Audit": 1}, "/vms": {"VM.Console": 1}},
        {"/": {"VM.Audit": 1}, "/vms": {"VM.Audit": 1}, "/vms/105": {}},
        {"/vms/101": {"VM.Audit": 1}},
        ProxmoxForbidden("no."),
    ],
)
def test_a_list_that_may_be_incomplete_is_never_sent_as_complete(permissions):
    api = Recorded()
    api.answers["access/permissions"] = permissions
    found = read(api)
    assert "guests" not in found.cluster
    assert found.problems


def test_a_guest_whose_configuration_cannot_be_read_is_still_reported():
    api = Recorded()
    api.answers["nodes/pve1/lxc/101/config"] = ProxmoxForbidden("lacks VM.Audit.")
    found = read(api)
    body = next(body for body in found.lxc if body["vmid"] == 101)
    assert (body["name"], body["status"], body["memory_mb"], body["tags"]) == ("web1", "running", 512, "prod;web")
    assert "rootfs" not in body
    LxcReport(**body)
    assert found.problems == ["Guest 101: lacks VM.Audit."]


def test_a_guest_that_leaves_meanwhile_is_left_out():
    api = Recorded()
    api.answers["nodes/pve1/qemu/203/config"] = ProxmoxGone()
    found = read(api)
    assert 203 not in {body["vmid"] for body in found.qemu}
    assert len(found.problems) == 1


def test_without_the_nodes_status_its_version_comes_from_the_open_call():
    api = Recorded()
    api.answers["nodes/pve1/status"] = ProxmoxForbidden("no.")
    found = read(api)
    assert found.nodes[0]["pve_version"] == "pve-manager/8.4.21/2606ac850d46da29"
    assert found.problems == ["no."]


@pytest.mark.parametrize(
    "path",
    ["cluster/status", "cluster/resources?type=vm", "access/permissions", "nodes/pve1/lxc/103/config"],
)
def test_a_dead_api_is_an_error_and_not_an_empty_cluster(path):
    api = Recorded()
    api.answers[path] = ProxmoxUnreachable()
    with pytest.raises(ProxmoxUnreachable):
        read(api)


def test_no_quorum_is_reported_as_it_is():
    api = Recorded()
    api.answers["cluster/status"] = [
        {**entry, "quorate": 0} if entry["type"] == "cluster" else entry for entry in api.answers["cluster/status"]
    ]
    assert read(api).cluster["quorate"] == 0


def test_an_answer_without_a_local_node_is_an_error():
    api = Recorded()
    api.answers["cluster/status"] = []
    with pytest.raises(ProxmoxError):
        read(api)


def test_a_slow_api_does_not_hold_the_reading():
    api = Recorded()
    times = iter([0.0, 1.0] + [BUDGET + 1] * 100)
    found = read(api, tick=lambda: next(times))
    assert sum(key.endswith("/config") for key in api.asked) == 1
    assert len(found.lxc) == 6
    assert len(found.problems) == 8
