"""What ``pvecm`` and ``pveversion`` print."""

import datetime
from typing import Any

import pytest

from nanny_ops.lab import pvecm
from nanny_ops.lab.command_line import Refused

NOW = datetime.datetime(2026, 11, 21, 21, 13, 15, tzinfo=datetime.UTC)


def rows(*, online: int = 2, quorate: int = 1) -> list[dict[str, Any]]:
    """Two nodes, pve1 answering."""
    found: list[dict[str, Any]] = [{"type": "cluster", "name": "rigcluster", "quorate": quorate, "version": 2}]
    for number in (2, 1):
        node = {"type": "node", "name": f"pve{number}", "nodeid": number, "ip": f"10.88.0.1{number}"}
        found.append(node | {"online": int(number <= online), "local": int(number == 1)})
    return found


@pytest.mark.rows("PVE-35")
def test_status_with_quorum() -> None:
    text, code = pvecm.status(rows(), 2, NOW)
    assert code == 0
    assert "Date:             Sat Nov 21 21:13:15 2026\n" in text
    assert "Quorate:          Yes\n" in text
    assert text.endswith("0x00000001          1 10.88.0.11 (local)\n0x00000002          1 10.88.0.12\n")


@pytest.mark.rows("PVE-35")
def test_status_without_quorum_ends_with_2() -> None:
    text, code = pvecm.status(rows(online=1, quorate=0), 2, NOW)
    assert code == 2
    assert "Quorum:           2 Activity blocked\n" in text
    assert "Total votes:      1\n" in text


@pytest.mark.rows("PVE-35")
def test_a_standalone_node_has_no_cluster() -> None:
    with pytest.raises(Refused, match=r"corosync\.conf") as refused:
        pvecm.status([{"type": "node", "name": "pve3", "nodeid": 0, "local": 1}], 0, NOW)
    assert refused.value.code == 2


def test_nodes() -> None:
    assert pvecm.nodes(rows()).splitlines()[-2:] == ["         1          1 pve1 (local)", "         2          1 pve2"]


def test_version() -> None:
    told = {"pveversion": "pve-manager/8.4.21/2606ac850d46da29", "current-kernel": {"release": "6.8.12-15-pve"}}
    assert pvecm.version(told) == "pve-manager/8.4.21/2606ac850d46da29 (running kernel: 6.8.12-15-pve)\n"
