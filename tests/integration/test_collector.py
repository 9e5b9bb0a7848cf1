"""Whole cycles over HTTPS against labs of both releases, in good health and in every trouble that was seen."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import ADMIN_TOKEN, POWERLESS_TOKEN, Lab
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.proxmox.reader import Reader
from nanny_ops.machine.proxmox.sections import DAY
from nanny_ops.machine.verbs import ProxmoxAccess, ReadProxmox
from nanny_ops.protocol.inventory import InventoryReport

#: Seconds a cycle is given, and after which a test says that it did not end in time.
GIVEN, LATE = 8.0, 20.0


@pytest.fixture(scope="module", params=["8.4", "9.2"])
def whole_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    cache = tmp_path_factory.mktemp("cache")
    plan = LabPlan(version=request.param, real=0)
    with Lab(plan, tmp_path_factory.mktemp("lab"), cache=cache, refusal_delay=0.05) as lab:
        yield lab


@pytest.fixture
def lab(whole_lab: Lab) -> Iterator[Lab]:
    yield whole_lab
    mend(whole_lab)


def mend(lab: Lab) -> None:
    lab.faults.clear()
    for node in lab.cluster.nodes.values():
        node.stopped.clear()
        node.dropped = False


class Agent:
    """One reader of one node's API."""

    def __init__(self, lab: Lab, token: str = ADMIN_TOKEN, node: int = 0) -> None:
        self.access = ProxmoxAccess(
            url=lab.nodes[node].url,
            token=f"{token}={lab.tokens[token].secret}",
            ca_file=str(lab.ca_file),
            timeout_seconds=2.0,
        )
        self.serial, self.ahead = 0, 0.0
        self.reader = Reader(Client(self.access), tick=lambda: time.monotonic() + self.ahead)

    def cycle(self, **values: Any) -> dict[str, Any]:
        began = time.monotonic()
        order = ReadProxmox(access=self.access, acknowledged=self.serial, seconds=GIVEN, **values)
        found = self.reader.read(order)
        assert time.monotonic() - began < LATE
        self.serial = found.serial
        TypeAdapter(InventoryReport).validate_python({"at": "now", **found.values})
        return found.values


def states(values: dict[str, Any]) -> dict[str, str]:
    return {one["section"]: one["state"] for one in values["facts"] if not one["object"]}


def test_a_healthy_cluster_is_told_whole(lab: Lab) -> None:
    values = Agent(lab).cycle(speaks_for=[node.name for node in lab.nodes[1:]])
    assert {one["vmid"] for one in values["lxc"] + values["qemu"]} == set(lab.cluster.guests)
    assert values["cluster"]["guests"] == sorted(lab.cluster.guests)
    assert {one["name"] for one in values["nodes"]} == {node.name for node in lab.nodes}
    assert set(states(values).values()) <= {"ok", "absent"}


def test_two_agents_of_a_cluster_tell_of_different_guests(lab: Lab) -> None:
    first, second = Agent(lab).cycle(), Agent(lab, node=1).cycle(reports_cluster=False)
    told = [{one["vmid"] for one in values["usage"]} for values in (first, second)]
    assert not told[0] & told[1]
    assert (first["guests"], second["guests"]) == (sorted(told[0]), sorted(told[1]))
    assert "cluster" not in second


def test_a_token_without_rights_tells_nothing_as_complete(lab: Lab) -> None:
    values = Agent(lab, POWERLESS_TOKEN).cycle()
    assert values["node"] == lab.nodes[0].name, "by its certificate"
    assert (states(values)["cluster"], states(values)["rights"]) == ("forbidden", "forbidden")
    assert (values.get("guests"), values.get("cluster")) == (None, None)


@pytest.mark.rows("PVE-02")
def test_a_wrong_secret_is_named_at_once(lab: Lab) -> None:
    agent = Agent(lab)
    agent.access = ProxmoxAccess(url=agent.access.url, token=f"{ADMIN_TOKEN}=wrong", ca_file=agent.access.ca_file)
    agent.reader = Reader(Client(agent.access))
    values = agent.cycle()
    assert values.keys() == {"node", "facts"}
    assert "does not accept the API token" in values["facts"][0]["reason"]


@pytest.mark.parametrize(
    ("fault", "section", "state"),
    [
        ("status=500@/nodes/[^/]+/status", "node.status", "failed"),
        ("status=596@/nodes/[^/]+/tasks", "tasks", "failed"),
        ("half-json@/cluster/resources", "resources", "failed"),
        ("cut@/cluster/resources", "resources", "failed"),
        ("gzip", "resources", "ok"),
        ("status=403@/nodes/[^/]+/services", "node.services", "forbidden"),
        ("status=500@/nodes/[^/]+/time", "node.clock", "stale"),
        ("slow=3000@/nodes/[^/]+/disks/list", "node.disks", "stale"),
        ("pvedaemon-stopped", "resources", "ok"),
        ("pvedaemon-stopped", "cluster", "failed"),
        ("pvedaemon-stopped", "guest.addresses", "stale"),
    ],
)
def test_each_trouble_has_its_state_and_the_cycle_ends(lab: Lab, fault: str, section: str, state: str) -> None:
    agent = Agent(lab)
    agent.cycle()
    agent.ahead += DAY
    lab.cause(fault)
    assert states(agent.cycle())[section] == state
    mend(lab)
    agent.ahead += DAY
    assert states(agent.cycle())[section] == "ok"


@pytest.mark.rows("PVE-06")
def test_a_node_whose_port_swallows_everything_costs_a_bounded_time(lab: Lab) -> None:
    agent, other = Agent(lab), lab.nodes[1].name
    lab.cause(f"port-dropped={other}")
    values = agent.cycle(speaks_for=[other])
    lines = {(one["section"], one["object"]): one["state"] for one in values["facts"]}
    assert lines.get(("node.status", other), states(values).get("node.status")) == "failed"
    assert {one["vmid"] for one in values["usage"]} >= set(values["guests"])
