"""The agents' stream over real HTTP: greeting, subscription, every field, replay, slow listeners, shutdown."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from nanny_ops.control.store import event as events
from nanny_ops.control.store.database import Tx
from nanny_ops.protocol.clock import micros, now
from nanny_ops.protocol.realtime import HEARTBEAT
from tests.integration.control.conftest import Agent, Server, enrol_by, make_server, sign_in
from tests.integration.control.listener import Listener, deliver, eventually, listening, order

Enrol = Callable[..., Agent]


@pytest.mark.rows("G0-RT-01")
def test_a_stream_begins_with_its_client_id(server: Server) -> None:
    with Listener(server) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        event = stream.next()
        assert (event.name, event.id, list(event.data)) == ("connect", "", ["clientId"])
        assert stream.fields == ["event", "retry", "data"]
        assert stream.is_silent()


@pytest.mark.rows("G0-RT-02", "G0-ER-01")
def test_a_subscription_is_204_without_a_body(server: Server, enrol: Enrol) -> None:
    agent = enrol()
    with Listener(server) as stream:
        answer = stream.subscribe(agent)
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.rows("G0-RT-02")
def test_a_wrong_subscription_is_refused(
    server: Server, enrol: Enrol, operator: httpx.Client, anonymous: httpx.Client
) -> None:
    agent, other = enrol(), enrol()
    with Listener(server, token=agent.tokens["access_token"]) as stream:
        said = {"clientId": stream.client_id(), "subscriptions": ["patch_operations"]}
        answers = {
            "foreign principal": other.client.post("/api/realtime", json=said),
            "a person": operator.post("/api/realtime", json=said),
            "nobody": anonymous.post("/api/realtime", json=said),
            "unknown client": agent.client.post("/api/realtime", json={**said, "clientId": "nobody"}),
            "unknown channel": agent.client.post("/api/realtime", json={**said, "subscriptions": ["weather"]}),
            "no client": agent.client.post("/api/realtime", json={"subscriptions": []}),
            "right": agent.client.post("/api/realtime", json=said),
        }
    found = {name: (answer.status_code, answer.content and answer.json()["error"]) for name, answer in answers.items()}
    assert found == {
        "foreign principal": (403, "forbidden"),
        "a person": (403, "forbidden"),
        "nobody": (401, "unauthorized"),
        "unknown client": (404, "not_found"),
        "unknown channel": (400, "unknown_channel"),
        "no client": (400, "validation_error"),
        "right": (204, b""),
    }


def test_a_bound_stream_cannot_be_taken_over(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent, thief = enrol(), enrol(platform="debian")
    with Listener(server) as stream:
        name = stream.client_id()
        said = {"clientId": name, "subscriptions": ["patch_operations"]}
        assert agent.client.post("/api/realtime", json=said).status_code == 204
        assert thief.client.post("/api/realtime", json=said).status_code == 403
        order(operator, thief)
        assert stream.is_silent()


def test_a_stream_opened_with_a_bad_token_is_refused(server: Server) -> None:
    with Listener(server, token="nonsense") as stream:
        assert stream.status == 401


@pytest.mark.rows("G0-RT-03")
def test_an_investigation_arrives_with_every_field(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol()
    with listening(server, agent) as stream:
        asked = {"agent_id": agent.id, "issue": "PostgreSQL is slow", "priority": "high"}
        made = operator.post("/api/investigations", json=asked).json()
        event = stream.next()
    assert (event.name, event.data["action"]) == ("record", "create")
    assert event.id.isdigit()
    assert event.data["record"] == {
        "id": made["id"],
        "agent_id": agent.id,
        "user_prompt": "PostgreSQL is slow",
        "status": "pending",
        "priority": "high",
        "created_at": made["created_at"],
    }


@pytest.mark.rows("G0-RT-04", "G0-PT-01", "G0-PT-02")
def test_a_patch_order_arrives_with_every_field(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian", platform_family="debian")
    with listening(server, agent) as stream:
        placed = order(operator, agent, script_args="--verbose", lxc_id="lxc/100")
        event = stream.next()
    record = event.data["record"]
    assert (event.name, event.data["action"]) == ("record", "create")
    script_id = record["script_id"]
    guide = {
        "id": placed["id"],
        "agent_id": agent.id,
        "mode": "dry-run",
        "script_id": script_id,
        "script_url": f"/api/patches/{script_id}/script",
        "script_args": "--verbose",
        "lxc_id": "lxc-100",
        "vmid": "100",
    }
    assert {name: record[name] for name in guide} == guide
    assert all(isinstance(record[name], str) for name in guide)


@pytest.mark.rows("G0-PT-02")
def test_an_order_for_the_host_names_no_guest(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian")
    with listening(server, agent) as stream:
        order(operator, agent)
        record = stream.next().data["record"]
    assert (record["lxc_id"], record["vmid"], record["script_args"]) == ("", "", "")


@pytest.mark.rows("G0-RT-05")
def test_one_stream_carries_several_channels(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent, other = enrol(platform="debian"), enrol(platform="debian")
    with listening(server, agent) as stream:
        placed = order(operator, agent)
        order(operator, other)
        asked = {"agent_id": agent.id, "issue": "The disk is almost full"}
        made = operator.post("/api/investigations", json=asked).json()
        got = [stream.next(), stream.next()]
        assert [event.data["record"]["id"] for event in got] == [placed["id"], made["id"]]
        assert stream.is_silent()


@pytest.mark.rows("G0-RT-05")
def test_only_subscribed_channels_arrive(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian")
    with Listener(server) as stream:
        assert stream.subscribe(agent, ["investigations"]).status_code == 204
        order(operator, agent)
        operator.post("/api/investigations", json={"agent_id": agent.id, "issue": "The disk is almost full"})
        assert "user_prompt" in stream.next().data["record"]


@pytest.mark.rows("G0-RT-05", "G0-RT-06")
def test_open_orders_are_told_to_a_new_stream(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian")
    first, ended = order(operator, agent), order(operator, agent)
    assert deliver(agent, ended["id"]).status_code == 200
    with listening(server, agent) as stream:
        event = stream.next()
        assert (event.id, event.data["action"], event.data["record"]["id"]) == ("", "create", first["id"])
        assert stream.is_silent()


@pytest.mark.rows("G0-RT-05", "G0-RT-06")
def test_a_listener_that_comes_back_misses_nothing(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian")
    placed = []
    with listening(server, agent) as stream:
        placed.append(order(operator, agent)["id"])
        last = stream.next().id
    placed += [order(operator, agent)["id"] for _ in range(3)]
    with listening(server, agent, last_id=last) as stream:
        placed.append(order(operator, agent)["id"])
        got = [stream.next() for _ in range(4)]
        assert stream.is_silent()
    assert [event.data["record"]["id"] for event in got] == placed[1:]
    numbers = [int(event.id) for event in got]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > int(last)


@pytest.mark.rows("G0-RT-06")
def test_an_id_is_the_place_in_the_log(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian")
    with listening(server, agent) as stream:
        order(operator, agent)
        event = stream.next()
    logged = server.in_store(lambda tx: events.after(tx, 0, 100_000, subject=agent.id))
    assert [str(one.seq) for one in logged] == [event.id]


@pytest.mark.rows("G0-RT-06")
def test_past_retention_there_is_one_notice_and_what_is_open(
    server: Server, enrol: Enrol, operator: httpx.Client
) -> None:
    agent = enrol(platform="debian")
    with listening(server, agent) as stream:
        still_open = [order(operator, agent)["id"] for _ in range(2)]
        last = stream.next().id
    server.in_store(lambda tx: events.forget(tx, micros(now()) + 1))
    still_open.append(order(operator, agent)["id"])
    with listening(server, agent, last_id=last) as stream:
        gap, *told = [stream.next() for _ in range(4)]
        assert (gap.name, gap.id, gap.data["last_seen"]) == ("gap", "", int(last))
        assert [(one.name, one.data["action"], one.data["record"]["id"]) for one in told] == [
            ("record", "create", operation) for operation in still_open
        ]
        assert [one.id for one in told] == ["", "", str(gap.data["resumes_after"])]
        later = order(operator, agent)
        live = stream.next()
        assert live.data["record"]["id"] == later["id"]
    for seen, expected in ((told[-1].id, [later["id"]]), (live.id, [])):
        with listening(server, agent, last_id=seen) as stream:
            assert [stream.next().data["record"]["id"] for _ in expected] == expected
            assert stream.is_silent()


@pytest.mark.rows("G0-RT-06")
def test_a_gap_with_nothing_open_is_one_notice(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent, other = enrol(platform="debian"), enrol(platform="debian")
    order(operator, other)
    ahead = str(server.in_store(events.last_seq) + 1000)  # as after the return of an older database
    with listening(server, agent, last_id=ahead) as stream:
        gap = stream.next()
        assert (gap.name, gap.id) == ("gap", str(gap.data["resumes_after"]))
        assert stream.is_silent()
    with listening(server, agent, last_id=gap.id) as stream:
        assert stream.is_silent()


def test_a_later_state_is_an_update(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian")
    with listening(server, agent) as stream:
        placed = order(operator, agent)
        stream.next()
        assert operator.post(f"/api/patches/{placed['id']}/cancel").status_code == 200
        event = stream.next()
    assert (event.data["action"], event.data["record"]["status"]) == ("update", "cancelled")


@pytest.mark.rows("G0-RT-07", "G0-RL-04")
def test_the_newest_stream_of_an_agent_wins(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian")
    with listening(server, agent) as old, listening(server, agent) as new:
        old.drain(5)
        placed = order(operator, agent)
        assert new.next().data["record"]["id"] == placed["id"]


@pytest.mark.rows("G0-RT-07")
def test_two_machines_with_one_identity_are_told_apart(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent, lonely = enrol(hostname="cloned"), enrol(hostname="lonely")

    def shown(one: Agent) -> tuple[bool, bool]:
        listed = {item["agent_id"]: item for item in operator.get("/api/agents", params={"limit": 500}).json()["items"]}
        told = operator.get(f"/api/agent/{one.id}").json()
        assert listed[one.id]["duplicate_identity_since"] == told["duplicate_identity_since"]
        assert told["duplicate_identity"] == (told["duplicate_identity_since"] is not None)
        return listed[one.id]["duplicate_identity"], told["duplicate_identity"]

    with listening(server, lonely), listening(server, agent) as first:
        with listening(server, agent) as second:
            first.drain(5)
            assert shown(agent) == (False, False), "one replacement is a line that broke"
            with listening(server, agent):
                second.drain(5)
                assert shown(agent) == (True, True)
                assert shown(lonely) == (False, False)
        told = server.in_store(lambda tx: events.after(tx, 0, 100_000, subject=agent.id))
        assert [(one.topic, one.kind) for one in told] == [("agents", "duplicate_identity")]
        assert server.log().count(agent.id) == 1
    assert operator.post(f"/api/agents/{agent.id}/revoke").json()["duplicate_identity"] is False
    assert shown(agent) == (False, False)


@pytest.mark.rows("G0-RT-07", "G0-AU-07")
def test_a_copied_token_file_is_told(enrol: Enrol, operator: httpx.Client, anonymous: httpx.Client) -> None:
    agent = enrol()

    def refresh(token: str) -> httpx.Response:
        return anonymous.post("/api/auth", json={"action": "refresh", "refresh_token": token})

    second = refresh(agent.tokens["refresh_token"]).json()["refresh_token"]
    assert refresh(second).status_code == 200
    assert operator.get(f"/api/agent/{agent.id}").json()["duplicate_identity"] is False
    assert refresh(agent.tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert operator.get(f"/api/agent/{agent.id}").json()["duplicate_identity"] is True


@pytest.mark.rows("G0-RT-07")
def test_an_agent_that_comes_back_by_itself_is_no_duplicate(
    server: Server, enrol: Enrol, operator: httpx.Client
) -> None:
    agent = enrol()
    for _ in range(4):
        with listening(server, agent):
            pass
        assert eventually(lambda: "nanny_streams_open 0.0" in httpx.get(f"{server.url}/metrics").text)
    assert operator.get(f"/api/agent/{agent.id}").json()["duplicate_identity"] is False


def test_revoking_an_agent_ends_its_stream(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol()
    with listening(server, agent) as stream:
        assert operator.post(f"/api/agents/{agent.id}/revoke").status_code == 200
        stream.drain(5)


@pytest.mark.rows("G0-RT-05", "F10")
def test_a_listener_that_does_not_read_is_closed_and_disturbs_nobody(
    server: Server, enrol: Enrol, operator: httpx.Client
) -> None:
    slow, quick = enrol(platform="debian"), enrol(platform="debian")
    with listening(server, slow, receive_buffer=4096) as stuck, listening(server, quick) as stream:
        written = server.in_store(lambda tx: _flood(tx, slow.id))
        placed = order(operator, quick)  # its commit wakes the server, which finds the flood too
        assert stream.next(20).data["record"]["id"] == placed["id"]
        time.sleep(1)
        assert stuck.drain(20) < written


def _flood(tx: Tx, agent_id: str) -> int:
    """Log more than sockets and the stream's own queue can hold; return its bytes."""
    payload = {"action": "update", "record": {"id": "none", "note": "x" * 8000}}
    for _ in range(3000):
        events.log(
            tx,
            team_id="team-default",
            topic="patch_operations",
            subject=agent_id,
            kind="update",
            payload=payload,
            at=micros(now()),
        )
    return 3000 * 8000


@pytest.mark.rows("G0-RT-05")
def test_a_restart_ends_streams_at_once_and_loses_nothing(tmp_path: Path) -> None:
    server = make_server(tmp_path / "data")
    server.start()
    try:
        with sign_in(server, "operator") as operator:
            agent = enrol_by(server, operator, "pve1", platform="debian")
            with listening(server, agent) as stream, Listener(server):
                order(operator, agent)
                last = stream.next().id
                began = time.monotonic()
                server.stop()
                assert time.monotonic() - began < 2
                stream.drain(5)
            server.start()
            missed = order(operator, agent)
            server.kill()
            server.start()
            with listening(server, agent, last_id=last) as stream:
                assert stream.next().data["record"]["id"] == missed["id"]
                assert stream.is_silent()
            agent.client.close()
    finally:
        server.stop()


@pytest.mark.rows("G0-ER-01")
def test_too_many_streams_that_nobody_claims_are_429(tmp_path: Path) -> None:
    server = make_server(tmp_path / "data")
    server.start()
    streams = []
    try:
        streams = [Listener(server) for _ in range(101)]
        assert [stream.status for stream in streams] == [200] * 100 + [429]
        assert int(streams[-1].headers["retry-after"]) > 0
    finally:
        for stream in streams:
            stream.close()
        server.stop()


@pytest.mark.rows("G0-RT-07")
def test_an_idle_stream_is_kept_warm(server: Server, enrol: Enrol) -> None:
    with listening(server, enrol()) as stream:
        assert stream.is_silent(HEARTBEAT + 2)
        assert stream.comments == 1
