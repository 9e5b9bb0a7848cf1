"""Reports keep Proxmox's habit of 0 and 1, and refuse guests that cannot be."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.proxmox import ClusterReport, LxcReport, NodeReport, QemuReport

CLUSTER = {"cluster_name": "home", "cluster_id": "c1", "nodes": 3, "quorate": 0, "version": 7}
LXC = {"name": "web", "lxc_id": "lxc/100", "status": "running", "vmid": 100, "node": "pve1"}


def test_a_cluster_without_quorum_is_still_a_report() -> None:
    report = TypeAdapter(ClusterReport).validate_python(CLUSTER)
    assert (report.quorate, report.guests) == (0, None)


def test_an_empty_list_of_guests_is_not_a_missing_one() -> None:
    assert TypeAdapter(ClusterReport).validate_python(CLUSTER | {"guests": []}).guests == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ClusterReport, CLUSTER | {"quorate": 2}),
        (LxcReport, LXC | {"vmid": 0}),
        (LxcReport, LXC | {"vmid": 1_000_000_000}),
        (LxcReport, LXC | {"name": ""}),
        (QemuReport, {"name": "db", "qemu_id": "qemu/200", "status": "", "vmid": 200, "node": "pve1"}),
        (NodeReport, {"name": "pve1", "node_id": -1, "ip": "", "online": 1, "local": 1, "pve_version": ""}),
    ],
)
def test_what_cannot_be_is_refused(kind: type, body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(body)


def test_a_guest_needs_no_more_than_its_place() -> None:
    report = TypeAdapter(LxcReport).validate_python(LXC)
    assert (report.cpu_cores, report.unprivileged, report.tags) == (None, False, "")
