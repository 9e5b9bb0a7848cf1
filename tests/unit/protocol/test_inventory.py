"""A whole reading in one report: what is not known is None, and never 0 or empty."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nanny_ops.protocol.inventory import InventoryReport

REPORT = {"at": "2026-11-22T02:00:00Z", "node": "pve1"}
READ = TypeAdapter(InventoryReport).validate_python


def test_a_report_says_nothing_of_what_it_leaves_out() -> None:
    report = READ(REPORT)
    assert (report.cluster, report.guests, report.lxc, report.usage) == (None, None, [], [])
    assert (report.jobs, report.ha, report.ceph) == (None, None, None)


def test_usage_that_is_unknown_is_not_zero() -> None:
    usage = READ(REPORT | {"usage": [{"vmid": 104, "kind": "lxc", "node": "pve2", "status": "unknown"}]}).usage[0]
    assert (usage.cpu, usage.mem, usage.netin) == (None, None, None)


def test_no_snapshots_are_not_unknown_snapshots() -> None:
    guest = {"name": "w", "lxc_id": "lxc/1", "status": "running", "vmid": 101, "node": "pve1"}
    report = READ(REPORT | {"lxc": [guest, guest | {"snapshots": []}]})
    assert [one.snapshots for one in report.lxc] == [None, []]


@pytest.mark.parametrize(
    "part",
    [
        {"facts": [{"section": "guests", "state": "fine"}]},
        {"usage": [{"vmid": 104, "kind": "lxc", "node": "pve2", "status": "running", "mem": -1}]},
        {"usage": [{"vmid": 104, "kind": "lxc", "node": "pve2", "status": "running", "netin": 2**63}]},
        {"tasks": [{"upid": "", "node": "pve1", "kind": "vzdump", "start": 1}]},
    ],
)
def test_what_cannot_be_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        READ(REPORT | part)
