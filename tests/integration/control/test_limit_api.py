"""Limits over HTTP: the guide's numbers and headers, what passes in spite of them, and the switch."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nanny_ops.protocol.clock import stamp
from tests.integration.control.conftest import PASSWORD, Agent, Server, email, enrol_by, make_server, sign_in
from tests.integration.control.guide import CLUSTER, LXC, METRICS, NODE, QEMU
from tests.integration.control.listener import Listener

NAMES = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
GUESTS = {"cluster": CLUSTER, "node": NODE, "lxc": LXC, "qemu": QEMU}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane as people start it, with its limits."""
    server = make_server(tmp_path_factory.mktemp("limited") / "data", NANNY_RATE_LIMITS="on")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def person(limited: Server) -> Iterator[httpx.Client]:
    with sign_in(limited, "operator") as client:
        yield client


@pytest.fixture
def agent(limited: Server, person: httpx.Client) -> Iterator[Agent]:
    made = enrol_by(limited, person, "pve1", platform="debian")
    yield made
    made.client.close()


def ago(seconds: float) -> str:
    return stamp(datetime.now(UTC) - timedelta(seconds=seconds))


def send(agent: Agent, timestamp: str) -> httpx.Response:
    return agent.client.post("/api/agent", json={**METRICS, "agent_id": agent.id, "timestamp": timestamp})


def report(agent: Agent, kind: str, **fields: Any) -> httpx.Response:
    return agent.client.post(f"/api/proxmox/{kind}", json={**GUESTS[kind], **fields})


def told(answer: httpx.Response) -> tuple[int, int, int]:
    """Return the three numbers of the guide's headers: limit, remaining, seconds until the reset."""
    limit, remaining, reset = (int(answer.headers[name]) for name in NAMES)
    return limit, remaining, reset - math.floor(time.time())


@pytest.mark.rows("G0-RL-01", "G0-RL-05", "G0-ER-01")
def test_the_third_fresh_reading_of_a_minute_is_refused(agent: Agent) -> None:
    answers = [send(agent, ago(age)) for age in (2, 1, 0)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [told(answer)[:2] for answer in answers] == [(2, 1), (2, 0), (2, 0)]
    assert all(50 <= told(answer)[2] <= 61 for answer in answers)
    refused = answers[-1]
    assert refused.json()["error"] == "rate_limited"
    assert 55 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.rows("G0-RL-01", "G0-RL-05")
def test_an_outage_is_made_up_at_sixty_a_minute(agent: Agent, person: httpx.Client) -> None:
    answers = [send(agent, ago(61 + 30 * number)) for number in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert [told(answer)[:2] for answer in answers] == [(60, left) for left in range(59, -1, -1)] + [(60, 0)]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 54
    assert send(agent, ago(0)).status_code == 200, "the backlog takes nothing from what is fresh"
    assert person.get(f"/api/agent/{agent.id}/metrics").json()["total"] == 61


@pytest.mark.rows("G0-RL-01")
def test_one_agent_takes_nothing_from_another(limited: Server, person: httpx.Client, agent: Agent) -> None:
    other = enrol_by(limited, person, "pve2")
    with other.client:
        assert [send(agent, ago(0)).status_code for _ in range(3)] == [200, 200, 429]
        assert send(other, ago(0)).status_code == 200


@pytest.mark.rows("G0-RL-02", "G0-RL-05")
@pytest.mark.parametrize("kind", sorted(GUESTS))
def test_an_unchanged_object_is_told_once_in_five_minutes(agent: Agent, kind: str) -> None:
    first, again = report(agent, kind), report(agent, kind)
    assert (first.status_code, again.status_code) == (200, 429)
    assert [told(answer)[:2] for answer in (first, again)] == [(1, 0), (1, 0)]
    assert 260 <= told(again)[2] <= 271
    assert 260 <= int(again.headers["retry-after"]) <= 270


@pytest.mark.rows("G0-RL-02")
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("cluster", {"quorate": 0}),
        ("node", {"online": 0}),
        ("lxc", {"status": "stopped"}),
        ("lxc", {"node": "pve-node-02"}),
        ("qemu", {"uptime": 172_801}),
        ("qemu", {"scsi7": "local-lvm:vm-200-disk-7,size=8G"}),
    ],
)
def test_a_changed_body_always_passes(agent: Agent, kind: str, change: dict[str, Any]) -> None:
    for _ in range(3):
        answers = [report(agent, kind), report(agent, kind, **change)]
        assert [answer.status_code for answer in answers] == [200, 200]
    assert report(agent, kind, **change).status_code == 429


@pytest.mark.rows("G0-RL-02")
def test_a_list_of_guests_that_says_something_new_passes(agent: Agent, person: httpx.Client) -> None:
    cluster = {"cluster_id": agent.id, "cluster_name": "of its own"}
    assert [report(agent, "cluster", **cluster, guests=[100]).status_code for _ in range(2)] == [200, 429]
    assert report(agent, "lxc").status_code == 200
    assert report(agent, "cluster", **cluster, guests=[100]).status_code == 429
    assert report(agent, "cluster", **cluster, guests=[]).status_code == 200
    gone = person.get("/api/proxmox/guests", params={"cluster": "of its own", "gone": "true"}).json()
    assert gone["total"] == 1
    assert report(agent, "lxc").status_code == 200, "it is back"


@pytest.mark.rows("G0-RL-02")
def test_the_first_report_of_each_object_passes(agent: Agent) -> None:
    answers = [report(agent, "lxc", vmid=vmid, lxc_id=f"lxc/{vmid}") for vmid in range(101, 141)]
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.rows("G0-RL-03")
def test_investigations_are_not_limited(agent: Agent, person: httpx.Client) -> None:
    asked = {"agent_id": agent.id, "issue": "The disk is almost full"}
    answers = [agent.client.post("/api/investigations", json=asked) for _ in range(40)]
    answers += [person.post("/api/investigations", json=asked) for _ in range(40)]
    assert {answer.status_code for answer in answers} == {201}
    assert not any(name in answer.headers for answer in answers for name in NAMES)


def test_limits_come_after_the_token_and_the_body(agent: Agent, person: httpx.Client) -> None:
    with httpx.Client(base_url=agent.client.base_url) as nobody:
        refused = [nobody.post("/api/agent", json=METRICS) for _ in range(5)]
    refused += [person.post("/api/agent", json={**METRICS, "agent_id": agent.id}) for _ in range(5)]
    refused += [send(agent, "yesterday") for _ in range(5)]
    assert [answer.status_code for answer in refused] == [401] * 5 + [403] * 5 + [400] * 5
    assert not any(name in answer.headers for answer in refused for name in NAMES)
    assert told(send(agent, ago(0)))[:2] == (2, 1)


@pytest.mark.rows("G0-RL-05")
def test_signing_in_tells_how_often(limited: Server) -> None:
    bad = {"email": "nobody@example.com", "password": "wrong"}
    answers = [httpx.post(f"{limited.url}/api/auth/login", json=bad) for _ in range(6)]
    codes = [answer.status_code for answer in answers]
    assert codes == sorted(codes)
    assert {401, 429} >= set(codes)
    assert codes[-1] == 429
    assert all(told(answer)[0] == 5 for answer in answers)
    assert told(answers[-1])[1] == 0
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


@pytest.mark.rows("G0-RL-05")
def test_device_codes_tell_how_often(limited: Server) -> None:
    answer = httpx.post(f"{limited.url}/api/auth", json={"action": "device-auth-start"})
    limit, remaining, reset = told(answer)
    assert (answer.status_code, limit) == (200, 30)
    assert 0 <= remaining < 30
    assert 0 <= reset <= 61


@pytest.mark.rows("G0-RL-05")
def test_an_address_that_holds_too_many_streams_is_told(limited: Server) -> None:
    streams = [Listener(limited) for _ in range(101)]
    try:
        last = streams[-1]
        assert last.status == 429
        assert (last.headers["x-ratelimit-limit"], last.headers["x-ratelimit-remaining"]) == ("100", "0")
        assert int(last.headers["x-ratelimit-reset"]) > time.time()
    finally:
        for stream in streams:
            stream.close()


@pytest.mark.rows("G0-RL-05")
def test_the_switch_turns_all_of_them_off(server: Server, operator: httpx.Client) -> None:
    agent = enrol_by(server, operator, "pve3")
    with agent.client:
        answers = [send(agent, ago(0)) for _ in range(4)] + [report(agent, "lxc") for _ in range(3)]
    said = {"email": email("viewer"), "password": PASSWORD}
    answers += [httpx.post(f"{server.url}/api/auth/login", json=said) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any(name in answer.headers for answer in answers for name in NAMES)
