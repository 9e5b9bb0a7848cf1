"""The agents' work plane over real HTTP: open orders, acknowledgement, leases, output while it runs."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from nanny_ops.protocol.clock import now, stamp
from tests.integration.control.conftest import Agent
from tests.integration.control.listener import deliver, eventually, order

Enrol = Callable[..., Agent]


@pytest.fixture
def agent(enrol: Enrol) -> Agent:
    """An agent on Debian."""
    return enrol(platform="debian", platform_family="debian")


def say(agent: Agent, operation_id: str, text: str, offset: int = 0, stream: str = "stdout") -> httpx.Response:
    body = {"stream": stream, "offset": offset, "text": text}
    return agent.client.post(f"/api/operations/{operation_id}/output", json=body)


def begin(agent: Agent, operation_id: str) -> None:
    agent.client.post(f"/api/operations/{operation_id}/ack", json={"state": "running"}).raise_for_status()


@pytest.mark.rows("G0-PT-01")
def test_an_order_goes_its_way(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)["id"]
    ack = f"/api/operations/{placed}/ack"
    for state, status in (("delivered", "delivered"), ("delivered", "delivered"), ("running", "running")):
        answer = agent.client.post(ack, json={"state": state}).json()
        assert answer == {
            "id": placed,
            "status": status,
            "proceed": True,
            "lease": 0,
            "lease_seconds": 0,
            "exclude": None,
        }
    assert agent.client.post(f"/api/operations/{placed}/renew").json()["proceed"]
    seen = operator.get(f"/api/patches/{placed}").json()
    assert seen["delivered_at"] <= seen["started_at"]
    deliver(agent, placed)
    for verb in ("ack", "renew"):
        answer = agent.client.post(f"/api/operations/{placed}/{verb}", json={}).json()
        assert (answer["status"], answer["proceed"]) == ("completed", False)
    assert agent.client.get(f"/api/agent/{agent.id}/operations").json() == {"items": []}


def test_a_lease_belongs_to_one_claim(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)["id"]
    ack, renew = f"/api/operations/{placed}/ack", f"/api/operations/{placed}/renew"
    given = agent.client.post(ack, json={"state": "running", "claim": "mine"}).json()
    assert given == {
        "id": placed,
        "status": "running",
        "proceed": True,
        "lease": 1,
        "lease_seconds": 120,
        "exclude": [],
    }
    assert agent.client.post(ack, json={"state": "running", "claim": "mine"}).json() == given
    for claim in ("other", ""):
        waits = agent.client.post(ack, json={"state": "running", "claim": claim})
        assert (waits.status_code, waits.json()["error"]) == (423, "lease_held")
        assert 0 < int(waits.headers["retry-after"]) <= 60
    assert agent.client.post(renew, json={"lease": 1}).json() == given
    fenced = agent.client.post(renew, json={"lease": 2})
    assert (fenced.status_code, fenced.json()["error"]) == (409, "fenced")
    for said in ({}, {"lease": 2}):
        refused = deliver(agent, placed, **said)
        assert (refused.status_code, refused.json()["error"]) == (409, "fenced")
    assert operator.get(f"/api/patches/{placed}").json()["status"] == "running"
    assert deliver(agent, placed, lease=1).status_code == 200
    assert operator.get(f"/api/patches/{placed}").json()["status"] == "completed"


def test_two_orders_for_one_target_run_one_after_the_other(operator: httpx.Client, agent: Agent) -> None:
    first, second = (order(operator, agent)["id"] for _ in range(2))
    begin(agent, first)
    waits = agent.client.post(f"/api/operations/{second}/ack", json={"state": "running", "claim": "b"})
    assert (waits.status_code, waits.json()["error"], waits.headers["retry-after"]) == (423, "target_busy", "15")
    assert operator.get(f"/api/patches/{second}").json()["status"] == "pending"
    deliver(agent, first)
    begin(agent, second)


@pytest.mark.rows("G0-ER-01", "G0-ER-02")
def test_orders_of_others_are_out_of_reach(operator: httpx.Client, enrol: Enrol, agent: Agent) -> None:
    placed, other = order(operator, agent)["id"], enrol()
    assert other.client.get(f"/api/agent/{agent.id}/operations").status_code == 403
    for verb, body in (("ack", {}), ("renew", {}), ("output", {"text": "x"})):
        foreign = other.client.post(f"/api/operations/{placed}/{verb}", json=body)
        assert (foreign.status_code, foreign.json()["error"]) == (403, "forbidden")
        unknown = agent.client.post(f"/api/operations/none/{verb}", json=body)
        assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
        assert operator.post(f"/api/operations/{placed}/{verb}", json=body).status_code == 403
    assert agent.client.post(f"/api/operations/{placed}/ack", json={"state": "done"}).status_code == 400


def test_a_run_that_has_begun_does_not_expire_half_way(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent, timeout_seconds=86_400)
    begin(agent, placed["id"])
    assert operator.get(f"/api/patches/{placed['id']}").json()["expires_at"] > placed["expires_at"]


def test_an_order_that_nobody_begins_expires(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent, expires_at=stamp(now() + timedelta(seconds=1)))["id"]
    assert eventually(lambda: operator.get(f"/api/patches/{placed}").json()["status"] == "expired", 20)
    ack = agent.client.post(f"/api/operations/{placed}/ack", json={}).json()
    assert (ack["status"], ack["proceed"]) == ("expired", False)


def test_output_can_be_followed(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)["id"]
    path = f"/api/patches/{placed}/stdout"
    assert operator.get(path).content == b""
    begin(agent, placed)
    assert say(agent, placed, "one\n").status_code == 204
    assert say(agent, placed, "one\n").status_code == 204
    assert say(agent, placed, "two\n", offset=4).status_code == 204
    assert say(agent, placed, "oops\n", stream="stderr").status_code == 204
    assert operator.get(path).content == b"one\ntwo\n"
    rest = operator.get(path, params={"offset": 4})
    assert (rest.content, rest.headers["x-operation-status"], rest.headers["x-output-size"]) == (
        b"two\n",
        "running",
        "8",
    )
    assert operator.get(path, params={"offset": 99}).content == b""
    assert operator.get(f"/api/patches/{placed}/stderr").content == b"oops\n"
    gap = say(agent, placed, "later", offset=99)
    assert (gap.status_code, gap.json()["details"]["expected"]) == (409, 8)
    deliver(agent, placed, b"one\ntwo\nthree\n")
    assert operator.get(path).content == b"one\ntwo\nthree\n"
    assert say(agent, placed, "more", offset=8).status_code == 409


def test_outputs_are_for_who_may_read_them(
    operator: httpx.Client,
    admin: httpx.Client,
    viewer: httpx.Client,
    stranger: httpx.Client,
    anonymous: httpx.Client,
    agent: Agent,
) -> None:
    placed = order(operator, agent)["id"]
    deliver(agent, placed, b"secret words")
    path = f"/api/patches/{placed}/stdout"
    answer = admin.get(path)
    assert (answer.status_code, answer.text) == (200, "secret words")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert {client.get(path).status_code for client in (viewer, agent.client)} == {403}
    assert stranger.get(path).status_code == 404
    assert anonymous.get(path).status_code == 401


def test_ranges_of_an_output(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)["id"]
    deliver(agent, placed, b"0123456789")
    path = f"/api/patches/{placed}/stdout"

    def part(wanted: str) -> tuple[int, bytes, str | None]:
        answer = operator.get(path, headers={"Range": wanted})
        return answer.status_code, answer.content, answer.headers.get("content-range")

    assert part("bytes=3-") == (206, b"3456789", "bytes 3-9/10")
    assert part("bytes=3-4") == (206, b"34", "bytes 3-4/10")
    assert part("bytes=8-99") == (206, b"89", "bytes 8-9/10")
    assert part("bytes=10-") == (416, b"", "bytes */10")
    assert part("bytes=4-3") == (200, b"0123456789", None)
    assert part("lines=1-2") == (200, b"0123456789", None)


def test_an_order_that_ended_without_output_says_so(operator: httpx.Client, agent: Agent) -> None:
    placed = order(operator, agent)["id"]
    operator.post(f"/api/patches/{placed}/cancel").raise_for_status()
    answer = operator.get(f"/api/patches/{placed}/stdout")
    assert (answer.status_code, "cancelled" in answer.text) == (404, True)
