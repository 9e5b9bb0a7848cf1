"""Faults: which requests they hit, and what of an answer is left."""

import gzip
import json

import pytest

from nanny_ops.lab.pve import fault
from nanny_ops.lab.pve.fault import Fault, Faults, Refuse, Slow, on
from nanny_ops.lab.pve.server import Reply, Request

BODY = json.dumps({"data": [{"vmid": 101}]}).encode()


class Node:
    """Answers everything, and remembers what it was really asked to do."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.done: list[str] = []

    def ask(self, target: str, method: str = "GET", node: str = "pve1") -> Reply:
        return self.faults.around(node, self._answer)(Request(method, f"/api2/json{target}", {}, b""))

    def _answer(self, request: Request) -> Reply:
        self.done.append(f"{request.method} {request.target}")
        return Reply(200, "OK", BODY)


@pytest.fixture
def node() -> Node:
    return Node()


def test_without_faults_answers_stay_as_they_are(node: Node) -> None:
    assert node.ask("/version") == Reply(200, "OK", BODY)


def test_a_refused_order_is_not_carried_out(node: Node) -> None:
    node.faults.add(Fault(Refuse(403, "Permission check failed (/, Sys.Audit)"), on("/nodes/pve1/status")))
    reply = node.ask("/nodes/pve1/status?x=1")
    assert (reply.status, reply.reason) == (403, "Permission check failed (/, Sys.Audit)")
    assert json.loads(reply.body)["data"] is None
    assert node.done == []
    assert node.ask("/nodes/pve1/status/more").status == 200


def test_delays_add_up(node: Node) -> None:
    node.faults.add(Fault(Slow(0.25), on(".*")), Fault(Refuse(596, "Broken pipe", 5), on("/version")))
    assert node.ask("/version").delay == 5.25
    assert node.ask("/nodes").delay == 0.25


def test_a_fault_that_happens_twice_happens_twice(node: Node) -> None:
    node.faults.add(Fault(Refuse(595, "No route to host"), on(".*"), left=2))
    assert [node.ask("/version").status for _ in range(3)] == [595, 595, 200]


def test_cleared_faults_are_over(node: Node) -> None:
    node.faults.add(Fault(Refuse(595, "No route to host"), on(".*")))
    node.faults.clear()
    assert node.ask("/version").status == 200


def test_broken_bodies(node: Node) -> None:
    node.faults.add(Fault(fault.packed, on("/packed")), Fault(fault.half_json, on("/half")), Fault(fault.cut, on("/c")))
    packed = node.ask("/packed")
    assert gzip.decompress(packed.body) == BODY
    assert ("Content-Encoding", "gzip") in packed.headers
    half = node.ask("/half")
    with pytest.raises(json.JSONDecodeError):
        json.loads(half.body)
    assert half.withheld == 0
    cut = node.ask("/c")
    assert (cut.body, 0 < cut.withheld < len(BODY)) == (BODY, True)


def test_a_dead_port_answers_nothing(node: Node) -> None:
    node.faults.add(Fault(fault.dead, fault.at("pve2")))
    assert node.ask("/version", node="pve2").withheld > len(BODY)
    assert node.ask("/nodes/pve2/lxc").withheld == 0
