"""Proxmox: one report per object, in an order that can be sent; nothing where there is none."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.agent.collectors.proxmox import Proxmox
from nanny_ops.agent.spool import Reading
from nanny_ops.machine.verbs import ProxmoxAccess, ProxmoxReading, ReadProxmox
from tests.fakes.control_plane import FakeControlPlane, make_equipment
from tests.fakes.hands import FakeHands

ACCESS = ProxmoxAccess(url="https://192.0.2.1:8006", token="root@pam!x=secret")


def collect(hands: FakeHands, access: ProxmoxAccess | None) -> list[Reading]:
    async def go() -> list[Reading]:
        equipment = make_equipment(FakeControlPlane(), hands, proxmox=access)
        try:
            return await Proxmox(equipment).collect()
        finally:
            await equipment.client.close()

    return asyncio.run(go())


def reading(**values: Any) -> ProxmoxReading:
    given = {
        "node_name": "pve1",
        "cluster": {"cluster_name": "c"},
        "nodes": [{"name": "pve1"}],
        "lxc": [{"vmid": 100}, {"vmid": 101}],
        "qemu": [{"vmid": 200, "scsi0": "disk"}],
    }
    return ProxmoxReading(**{**given, **values})


def test_reports_come_cluster_first_each_with_its_subject(tmp_path: Path) -> None:
    hands = FakeHands(tmp_path)
    hands.answers[ReadProxmox] = reading()
    found = collect(hands, ACCESS)
    assert [(one.path, one.subject) for one in found] == [
        ("/api/proxmox/cluster", "cluster/c"),
        ("/api/proxmox/node", "node/pve1"),
        ("/api/proxmox/lxc", "lxc/100"),
        ("/api/proxmox/lxc", "lxc/101"),
        ("/api/proxmox/qemu", "qemu/200"),
    ]
    assert json.loads(found[-1].body) == {"vmid": 200, "scsi0": "disk"}


def test_a_node_on_its_own_has_no_cluster(tmp_path: Path) -> None:
    hands = FakeHands(tmp_path)
    hands.answers[ReadProxmox] = reading(cluster=None)
    assert collect(hands, ACCESS)[0].path == "/api/proxmox/node"


def test_without_access_nothing_is_asked(tmp_path: Path) -> None:
    assert collect(FakeHands(tmp_path), None) == []


def test_what_could_not_be_read_is_logged_without_the_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hands = FakeHands(tmp_path)
    hands.answers[ReadProxmox] = reading(problems=["storage 'nfs' did not answer"])
    with caplog.at_level(logging.DEBUG):
        collect(hands, ACCESS)
    assert "did not answer" in caplog.text
    assert "secret" not in caplog.text
    assert "secret" not in repr(ACCESS)
