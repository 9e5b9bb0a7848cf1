"""What every call has in common: the header, the parameters, the node that is asked for."""

import json

import pytest

from nanny_ops.lab.pve.server import Request
from tests.unit.lab.pve.pretended import ADMIN, asking


def test_lists_come_in_changing_order() -> None:
    asked = asking()
    orders = {tuple(row["vmid"] for row in asked.get("/nodes/pve1/lxc")) for _ in range(20)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset({101, 103, 105})}


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nosuch", 501, "Method 'GET /nosuch' not implemented"),
        ("DELETE", "/version", 501, "Method 'DELETE /version' not implemented"),
        ("POST", "/nodes/pve1/lxc/101/exec", 501, "Method 'POST /nodes/pve1/lxc/101/exec' not implemented"),
        ("PATCH", "/version", 501, "method 'PATCH' not available"),
        ("GET", "/cluster/resources?type=foo", 400, "Parameter verification failed."),
        ("GET", "/nodes/pve1/lxc/101/config?frob=1", 400, "Parameter verification failed."),
        ("GET", "/nodes/pve1/lxc/abc/config", 400, "Parameter verification failed."),
        ("GET", "/nodes/pve1/tasks?limit=many", 400, "Parameter verification failed."),
    ],
)
def test_refusals_as_recorded(method: str, path: str, status: int, reason: str) -> None:
    assert asking().refusal(method, path) == (status, reason)


def test_an_unknown_node_cannot_be_looked_up() -> None:
    status, reason = asking().refusal("GET", "/nodes/pve9/lxc")
    assert status == 500
    assert reason.startswith("hostname lookup 'pve9' failed - failed to get address info for: pve9:")


def test_a_node_that_is_away_is_595_without_a_body() -> None:
    asked = asking()
    asked.api.cluster.set_online("pve2", online=False)
    reply = asked.reply("GET", "/nodes/pve2/lxc")
    assert (reply.status, reply.reason, reply.body) == (595, "No route to host", b"")


def test_a_refused_token_is_answered_late_and_empty() -> None:
    reply = asking().reply("GET", "/version", authorization="PVEAPIToken=root@pam!rig=wrong")
    assert (reply.status, reply.reason, reply.body, reply.delay) == (401, "Authentication failed!", b"", 3.0)


def test_a_trailing_slash_does_not_matter() -> None:
    assert asking().get("/version/")["release"] == "8.4"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b'{"timeout": 5}', 200),
        ("application/x-www-form-urlencoded", b"timeout=5", 200),
        ("application/json", b"{bad", 500),
        ("text/plain", b"x=1", 506),
    ],
)
def test_bodies(kind: str, body: bytes, status: int) -> None:
    reply = asking().reply("POST", "/nodes/pve1/lxc/101/status/shutdown", ADMIN, body, **{"content-type": kind})
    assert reply.status == status


def test_head_has_no_body() -> None:
    reply = asking().reply("HEAD", "/version")
    assert (reply.status, reply.reason, reply.body) == (501, "method 'HEAD' not available", b"")


def test_a_wrong_parameter_is_told_with_its_values() -> None:
    errors = json.loads(asking().reply("GET", "/cluster/resources?type=foo").body)["errors"]
    assert errors == {"type": "value 'foo' does not have a value in the enumeration 'vm, storage, node, sdn'"}


@pytest.mark.rows("PVE-08")
@pytest.mark.parametrize(
    ("path", "status"), [("/nodes/pve1/lxc/999/config", 500), ("/cluster/resources?type=foo", "400")]
)
def test_the_extjs_format_always_answers_200(path: str, status: int | str) -> None:
    headers = {"authorization": f"PVEAPIToken={ADMIN}=secret"}
    reply = asking().api.answer("pve1", Request("GET", f"/api2/extjs{path}", headers, b""))
    found = json.loads(reply.body)
    assert (reply.status, found["success"], found["status"], found["data"]) == (200, 0, status, None)
