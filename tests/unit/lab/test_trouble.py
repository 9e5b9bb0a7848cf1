"""Named faults: what they are called, what they take, and what they do to a lab."""

import re
from pathlib import Path

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.lab.fleet import LabPlan
from nanny_ops.lab.lab import Lab
from nanny_ops.lab.pve.server import Reply, Request
from nanny_ops.lab.trouble import CATALOGUE, USAGE, parse
from tests.house.tree import ROOT


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab that is drawn and not open, which is enough to ask its API."""
    made = Lab(LabPlan(nodes=2, guests=0, real=0), tmp_path, cache=tmp_path)
    yield made
    made.close()


def ask(lab: Lab, path: str, node: str = "pve1", method: str = "GET") -> Reply:
    headers = {"authorization": f"PVEAPIToken={lab.token_id}={lab.token_secret}"}
    request = Request(method, f"/api2/json{path}", headers, b"")
    return lab.faults.around(node, lab.api.node(node))(request)


@pytest.mark.parametrize(
    ("text", "name", "value", "path"),
    [
        ("no-quorum", "no-quorum", "", ".*"),
        ("slow=250", "slow", "250", ".*"),
        ("slow=250@/cluster/.*", "slow", "250", "/cluster/.*"),
        ("cut@/version", "cut", "", "/version"),
        ("lock=101:backup", "lock", "101:backup", ".*"),
    ],
)
def test_a_fault_is_read(text: str, name: str, value: str, path: str) -> None:
    found = parse(text)
    assert (found.name, found.value, found.path) == (name, value, path)


@pytest.mark.parametrize("text", ["", "frob", "slow=1@/(", "node_down=pve1"])
def test_what_is_no_fault_is_refused_before_the_lab_opens(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(text)


@pytest.mark.parametrize(
    "text", ["node-down=pve9", "node-down", "slow=soon", "status=418", "lock=101:backup", "forbidden=Sys.Everything"]
)
def test_a_value_that_does_not_fit_the_lab_is_refused(lab: Lab, text: str) -> None:
    with pytest.raises(SettingsError):
        lab.cause(text)


def test_every_kind_is_documented() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| (\S*) *\| ", (ROOT / "docs/lab.md").read_text(), re.MULTILINE)
    documented = {re.split("[`=]", row[0])[1]: (row[0], row[1] == "yes") for row in rows}
    assert documented.keys() == CATALOGUE.keys()
    for name, kind in CATALOGUE.items():
        written, on_path = documented[name]
        assert set(re.findall(r"`([^`]+)`", written)) == set(kind.usage(name).split(" or "))
        assert on_path is kind.on_path
    assert "slow=MS" in USAGE


def test_a_node_without_power_takes_the_quorum_of_two_along(lab: Lab) -> None:
    lab.cause("node-down=pve2")
    assert (ask(lab, "/nodes/pve2/status").status, ask(lab, "/nodes/pve2/status").reason) == (595, "No route to host")
    assert ask(lab, "/version", node="pve2").withheld > 0
    assert not lab.cluster.quorate


@pytest.mark.rows("PVE-06")
def test_daemons_that_are_stopped(lab: Lab) -> None:
    lab.cause("pvedaemon-stopped=pve1", "pveproxy-stopped=pve2")
    assert ask(lab, "/version").status == 200
    assert (ask(lab, "/nodes/pve1/lxc").status, ask(lab, "/nodes/pve1/lxc").reason) == (595, "Connection refused")
    assert ask(lab, "/nodes/pve2/status").reason == "Connection refused"


def test_a_swallowed_port_costs_half_a_minute(lab: Lab) -> None:
    lab.cause("port-dropped=pve2")
    reply = ask(lab, "/nodes/pve2/status")
    assert (reply.status, reply.reason, reply.delay) == (595, "Connection timed out", 30)


def test_faults_on_the_way_are_limited_to_their_path(lab: Lab) -> None:
    lab.cause("slow=250@/version", "half-json@/nodes", "status=596@/cluster/.*")
    assert ask(lab, "/version").delay == 0.25
    assert ask(lab, "/cluster/resources").status == 596
    assert ask(lab, "/access/permissions").delay == 0


@pytest.mark.rows("PVE-15")
def test_a_privilege_is_taken_away(lab: Lab) -> None:
    lab.cause("forbidden=Sys.Audit")
    assert ask(lab, "/cluster/status").reason == "Permission check failed (/, Sys.Audit)"
    assert b"VM.Audit" in ask(lab, "/access/permissions").body
    lab.cause("forbidden")
    assert b"VM.Audit" not in ask(lab, "/access/permissions").body


def test_time_runs_otherwise(lab: Lab) -> None:
    before = lab.now()
    lab.cause("clock-skew=3600")
    assert lab.now() >= before + 3600
    lab.cause("expired")
    assert ask(lab, "/nodes").status == 401


def test_a_full_storage(lab: Lab) -> None:
    lab.cause("storage-full=pve1")
    nodes = lab.cluster.nodes
    assert nodes["pve1"].disk_used == nodes["pve1"].disk
    assert nodes["pve2"].disk_used < nodes["pve2"].disk


def test_without_quorum_nothing_starts(lab: Lab) -> None:
    lab.cause("no-quorum")
    assert not lab.cluster.quorate
