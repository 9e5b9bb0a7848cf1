"""Proxmox: one report per cycle, of what has changed since the last that arrived; the guide's four where need be."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from nanny_ops.agent.collectors.proxmox import GUIDE, KEPT, PART, Proxmox, parts
from nanny_ops.agent.spool import Reading
from nanny_ops.machine.verbs import ProxmoxAccess, ProxmoxReading, ReadProxmox
from nanny_ops.protocol.inventory import BODIES
from tests.fakes.control_plane import FakeControlPlane, make_equipment, refuse
from tests.fakes.hands import FakeHands

ACCESS = ProxmoxAccess(url="https://192.0.2.1:8006", token="root@pam!x=secret")
VALUES: dict[str, Any] = {
    "node": "pve1",
    "cluster": {"cluster_name": "c"},
    "nodes": [{"name": "pve1"}],
    "lxc": [{"vmid": 100}, {"vmid": 101}],
    "qemu": [{"vmid": 200, "scsi0": "disk"}],
    "usage": [{"vmid": 100, "status": "running"}],
    "node_usage": [{"node": "pve1", "status": "online"}],
}


class Machine(FakeHands):
    """Answers readings with growing serials and remembers the orders."""

    def __init__(self, directory: Path, **changes: Any) -> None:
        super().__init__(directory)
        self.orders: list[ReadProxmox] = []
        self.changes = changes
        self.answers[ReadProxmox] = self.read

    def read(self, order: ReadProxmox) -> ProxmoxReading:
        self.orders.append(order)
        given = {"serial": len(self.orders), "node_name": "pve1", "values": VALUES} | self.changes
        return ProxmoxReading(**given)


def run(machine: FakeHands, control: FakeControlPlane, cycles: int = 1, access: ProxmoxAccess | None = ACCESS) -> Any:
    async def go() -> list[list[Reading]]:
        equipment = make_equipment(control, machine, proxmox=access)
        collector = Proxmox(equipment)
        try:
            return [await collector.deliver(await collector.collect()) for _ in range(cycles)]
        finally:
            await equipment.client.close()

    return asyncio.run(go())


class Inventory:
    """Answers reports as planned, and the last plan for ever."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers) or [httpx.Response(200, json={"reports_cluster": True})]
        self.bodies: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/api/proxmox/inventory":
            return None
        self.bodies.append(json.loads(request.content))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def control_with(*answers: httpx.Response) -> tuple[FakeControlPlane, Inventory]:
    control, inventory = FakeControlPlane(), Inventory(*answers)
    control.rules.append(inventory)
    return control, inventory


def test_a_cycle_is_one_report_and_the_next_tells_what_has_changed_since(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    control, inventory = control_with()
    assert run(machine, control, 3) == [[], [], []]
    assert [one.acknowledged for one in machine.orders] == [0, 1, 2]
    assert inventory.bodies[0] == {"at": "2026-01-01T12:00:00.000Z", **VALUES}


def test_the_answer_says_what_the_next_report_is_about(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    elected = {"reports_cluster": True, "speaks_for": ["pve2"]}
    control, _ = control_with(
        httpx.Response(200, json={"reports_cluster": False}),
        httpx.Response(200, json=elected),
        httpx.Response(200, json={"reports_cluster": False, "resend": True}),
    )
    run(machine, control, 3)
    assert [(one.reports_cluster, one.speaks_for) for one in machine.orders] == [
        (True, []),
        (False, []),
        (True, ["pve2"]),
        (False, []),
    ]
    assert [one.acknowledged for one in machine.orders] == [0, 1, 2, 0]


def test_nodes_that_are_named_for_the_first_time_are_told_at_once_and_only_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    control, inventory = control_with(httpx.Response(200, json={"reports_cluster": True, "speaks_for": ["pve2"]}))
    assert run(machine, control, 1) == [[]]
    assert ([one.speaks_for for one in machine.orders], len(inventory.bodies)) == ([[], ["pve2"]], 2)
    machine.orders.clear()
    run(machine, control, 2)
    assert [one.speaks_for for one in machine.orders] == [[], ["pve2"], ["pve2"]]


def test_while_the_control_plane_is_away_usage_is_kept_and_the_rest_told_anew(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    control, _ = control_with(*[refuse(503)] * 6, httpx.Response(200, json={"reports_cluster": True}))
    first, second, third = run(machine, control, 3)
    assert [(one.path, one.subject) for one in first + second] == [
        ("/api/proxmox/inventory", "inventory/1"),
        ("/api/proxmox/inventory", "inventory/2"),
    ]
    assert set(json.loads(first[0].body)) == {"at", "node", "usage", "node_usage"}
    assert third == []
    assert [one.acknowledged for one in machine.orders] == [0, 0, 0]
    assert KEPT * 300 >= 86_400


@pytest.mark.parametrize("status", [404, 405])
def test_a_control_plane_that_knows_only_the_guide_gets_one_report_per_object(tmp_path: Path, status: int) -> None:
    machine = Machine(tmp_path)
    control, inventory = control_with(refuse(status))
    cycles = run(machine, control, GUIDE + 1)
    assert [(one.path, one.subject) for one in cycles[0]] == [
        ("/api/proxmox/cluster", "cluster/c"),
        ("/api/proxmox/node", "node/pve1"),
        ("/api/proxmox/lxc", "lxc/100"),
        ("/api/proxmox/lxc", "lxc/101"),
        ("/api/proxmox/qemu", "qemu/200"),
    ]
    assert json.loads(cycles[0][-1].body) == {"vmid": 200, "scsi0": "disk"}
    assert all(len(one) == 5 for one in cycles)
    assert {one.acknowledged for one in machine.orders} == {0}
    assert len(inventory.bodies) == 2


def test_a_refused_report_is_not_repeated_for_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    control, inventory = control_with(refuse(400))
    assert run(Machine(tmp_path), control) == [[]]
    assert len(inventory.bodies) == 1
    assert "inventory_refused" in caplog.text


def test_a_large_reading_is_split_into_reports_that_stand_by_themselves() -> None:
    guests = [{"vmid": vmid, "rootfs": "x" * 1000} for vmid in range(1, 1200)]
    found = list(parts({**VALUES, "lxc": guests}, "now"))
    assert len(found) == 3
    assert all(len(msgspec.json.encode(one)) < PART + 10_000 for one in found)
    assert [set(one) >= {"at", "node"} for one in found] == [True] * 3
    assert ["cluster" in one for one in found] == [True, False, False]
    told = [one["vmid"] for part in found for one in msgspec.json.decode(msgspec.json.encode(part)).get("lxc", [])]
    assert told == [one["vmid"] for one in guests]


def test_reading_alone_sends_nothing(tmp_path: Path) -> None:
    async def go() -> list[Reading]:
        equipment = make_equipment(control, Machine(tmp_path), proxmox=ACCESS)
        try:
            return await Proxmox(equipment).collect()
        finally:
            await equipment.client.close()

    control, inventory = control_with()
    assert [one.path for one in asyncio.run(go())] == ["/api/proxmox/inventory"]
    assert inventory.bodies == []


def test_without_access_nothing_is_asked(tmp_path: Path) -> None:
    assert run(FakeHands(tmp_path), FakeControlPlane(), access=None) == [[]]


def test_what_could_not_be_read_is_logged_once_and_without_the_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control, _ = control_with()
    with caplog.at_level(logging.DEBUG):
        run(Machine(tmp_path, problems=["storage 'nfs' did not answer"]), control, 2)
    assert caplog.text.count("did not answer") == 1
    assert "secret" not in caplog.text
    assert "secret" not in repr(ACCESS)


def test_a_report_has_no_more_bodies_than_are_taken() -> None:
    guests = [{"vmid": vmid} for vmid in range(100, 1101)]
    found = list(parts({**VALUES, "lxc": guests}, "now"))
    counts = [len(part.get("lxc", ())) for part in found]
    assert (max(counts), sum(counts)) == (BODIES, 1001)
