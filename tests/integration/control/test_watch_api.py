"""Live streams of operations over real HTTP: all of it, resumed anywhere, read slowly, kept from others, ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.control.conftest import Agent, Server, enrol_by, make_server, sign_in
from tests.integration.control.listener import Event, Listener, deliver, eventually, order

Enrol = Callable[..., Agent]
STEPS = [
    {"name": "preflight", "outcome": "ok", "reason": "It runs.", "started_at": "2026-01-01T00:00:00Z"},
    {"name": "script", "outcome": "ok", "reason": "Done.", "started_at": "2026-01-01T00:00:01Z"},
]


@dataclass
class Reader:
    """Someone who watches one thing."""

    server: Server
    token: str
    path: str

    def open(self, last_id: str = "", receive_buffer: int = 0) -> Listener:
        return Listener(self.server, self.token, last_id, receive_buffer, self.path)

    def rest(self, last_id: str = "", seconds: float = 20) -> list[Event]:
        """Return all events behind an id, up to the end."""
        with self.open(last_id) as stream:
            return list(until_end(stream, seconds))


def until_end(stream: Listener, seconds: float = 20) -> Iterator[Event]:
    while True:
        event = stream.next(seconds)
        yield event
        if event.name in ("end", "closed"):
            return


def reader(server: Server, client: httpx.Client, path: str) -> Reader:
    return Reader(server, client.headers["authorization"].removeprefix("Bearer "), path)


def printed(events: list[Event], stream: str = "stdout") -> bytes:
    """Return an output as it was told; each piece must begin where the one before ended."""
    found = b""
    for event in events:
        if event.name == "output" and event.data["stream"] == stream:
            assert event.data["offset"] == len(found)
            found += event.data["text"].encode()
    return found


def told(events: list[Event]) -> list[str]:
    """Return what happened but for outputs, as words."""
    return [
        event.data["status"] if event.name == "status" else f"{event.data['name']} {event.data['outcome']}"
        for event in events
        if event.name in ("status", "step")
    ]


def begin(agent: Agent, operation_id: str) -> None:
    for state in ("delivered", "running"):
        agent.client.post(f"/api/operations/{operation_id}/ack", json={"state": state}).raise_for_status()


def prints(agent: Agent, operation_id: str, offset: int, text: str, stream: str = "stdout") -> None:
    said = {"stream": stream, "offset": offset, "text": text}
    agent.client.post(f"/api/operations/{operation_id}/output", json=said).raise_for_status()


def steps(agent: Agent, operation_id: str, *found: dict[str, Any]) -> httpx.Response:
    return agent.client.post(f"/api/operations/{operation_id}/steps", json={"steps": list(found)})


def finished(operator: httpx.Client, agent: Agent, stdout: bytes = b"one\ntwo\n") -> str:
    """Place an order and have it carried out; return its id."""
    placed: str = order(operator, agent, mode="apply")["id"]
    begin(agent, placed)
    deliver(agent, placed, stdout, b"beware\n", report={"steps": STEPS}).raise_for_status()
    return placed


def test_all_that_happens_is_told_as_it_happens(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agent = enrol(platform="debian")
    placed = order(operator, agent, mode="apply")["id"]
    watching = reader(server, operator, f"/api/patches/{placed}/stream")
    with watching.open() as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        found = [stream.next()]
        assert found[0].data["status"] == "pending"
        begin(agent, placed)
        found += [stream.next(), stream.next()]
        assert steps(agent, placed, STEPS[0], {**STEPS[1], "outcome": "running"}).status_code == 204
        found += [stream.next(), stream.next()]
        prints(agent, placed, 0, "Get:1 http://u:pa")
        prints(agent, placed, 17, "ss@mirror/ x\nSetting")
        found.append(stream.next())
        prints(agent, placed, 0, "beware\n", "stderr")
        found.append(stream.next())
        output = b"Get:1 http://u:pass@mirror/ x\nSetting up\nEnd"
        deliver(agent, placed, output, b"beware\n", report={"steps": STEPS}).raise_for_status()
        found += until_end(stream)
    assert told(found) == [
        "pending", "delivered", "running", "preflight ok", "script running", "script ok", "completed",
    ]  # fmt: skip
    assert printed(found) == b"Get:1 http://u:****@mirror/ x\nSetting up\nEnd"
    assert printed(found, "stderr") == b"beware\n"
    assert (found[-1].name, found[-1].data["summary"]) == ("end", {"nothing_to_do": 1})
    with watching.open(found[-1].id) as stream:
        assert stream.status == 204
    again = watching.rest()
    assert printed(again) == printed(found)
    assert told(again) == told(found)


def test_a_reader_that_was_cut_off_anywhere_misses_nothing_and_reads_nothing_twice(
    server: Server, enrol: Enrol, operator: httpx.Client
) -> None:
    placed = finished(operator, enrol(platform="debian"), "".join(f"line {n} \u00e9\n" for n in range(4000)).encode())
    watching = reader(server, operator, f"/api/patches/{placed}/stream")
    whole = [(event.name, event.data) for event in watching.rest()]
    assert len(whole) > 10
    with watching.open() as stream:
        ids = [event.id for event in until_end(stream)]
    for place, last in enumerate(ids[:-1], 1):
        assert [(event.name, event.data) for event in watching.rest(last)] == whole[place:]
    assert [(event.name, event.data) for event in watching.rest("nonsense")] == whole


def test_a_stream_goes_on_behind_its_id_after_the_control_plane_was_killed(tmp_path: Path) -> None:
    server = make_server(tmp_path / "data")
    server.start()
    try:
        with sign_in(server, "operator") as operator:
            agent = enrol_by(server, operator, "pve1", platform="debian")
            placed = order(operator, agent, mode="apply")["id"]
            watching = reader(server, operator, f"/api/patches/{placed}/stream")
            begin(agent, placed)
            prints(agent, placed, 0, "one\n")
            with watching.open() as stream:
                found = [stream.next() for _ in range(4)]
                server.kill()
                with pytest.raises((EOFError, OSError)):
                    stream.next()
            server.start()
            prints(agent, placed, 4, "two\n")
            with watching.open(found[-1].id) as stream:
                found.append(stream.next())
                deliver(agent, placed, b"one\ntwo\nthree\n").raise_for_status()
                found += until_end(stream)
            assert printed(found) == b"one\ntwo\nthree\n"
            assert told(found) == ["pending", "delivered", "running", "completed"]
            agent.client.close()
    finally:
        server.stop()


def test_a_reader_that_does_not_read_costs_no_memory_and_misses_nothing(
    server: Server, enrol: Enrol, operator: httpx.Client
) -> None:
    output = ("x" * 79 + "\n").encode() * (4 * 1024 * 1024 // 80)
    placed = finished(operator, enrol(platform="debian"), output)
    watching = reader(server, operator, f"/api/patches/{placed}/stream")
    assert printed(watching.rest()) == output
    before = _resident(server)
    slow = [watching.open(receive_buffer=4096) for _ in range(12)]
    try:
        time.sleep(2)
        assert _resident(server) - before < 24 * 1024 * 1024  # all they have not read would be 48 MiB
        assert printed(watching.rest()) == output
        assert printed(list(until_end(slow[0], 60))) == output
    finally:
        for stream in slow:
            stream.close()


def test_others_are_not_told(
    server: Server,
    enrol: Enrol,
    operator: httpx.Client,
    viewer: httpx.Client,
    stranger: httpx.Client,
    anonymous: httpx.Client,
) -> None:
    agent = enrol(platform="debian")
    placed = finished(operator, agent)
    path = f"/api/patches/{placed}/stream"
    codes = [one.get(path).status_code for one in (stranger, anonymous, agent.client)]
    assert codes == [404, 401, 403]
    assert operator.get("/api/reboots/patch-1/stream").status_code == 404
    assert operator.get(f"/api/reboots/{placed}/stream").status_code == 404
    seen = reader(server, viewer, path).rest()
    assert told(seen)[-1] == "completed"
    assert [event for event in seen if event.name == "output"] == []
    other = enrol(platform="debian")
    assert steps(other, placed, STEPS[0]).status_code == 403
    assert steps(agent, placed, STEPS[0]).status_code == 409


def test_a_revoked_token_ends_its_stream(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    placed = order(operator, enrol(platform="debian"))["id"]
    issued = operator.post("/api/tokens", json={"name": "watch", "scopes": ["read"]}).json()
    with Listener(server, issued["token"], path=f"/api/patches/{placed}/stream") as stream:
        assert stream.next().data["status"] == "pending"
        operator.post(f"/api/tokens/{issued['id']}/revoke").raise_for_status()
        last = stream.next(15)
        assert (last.name, last.id) == ("closed", "")
        with pytest.raises(EOFError):
            stream.next()


def test_a_person_has_a_bounded_number_of_streams(server: Server, enrol: Enrol, admin: httpx.Client) -> None:
    placed = order(admin, enrol(platform="debian"))["id"]
    watching = reader(server, admin, f"/api/patches/{placed}/stream")
    opened = [watching.open() for _ in range(20)]
    try:
        assert [stream.status for stream in opened] == [200] * 20
        refused = admin.get(f"/api/patches/{placed}/stream")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    finally:
        for stream in opened:
            stream.close()

    def is_let_in() -> bool:
        with watching.open() as stream:
            return stream.status == 200

    assert eventually(is_let_in)


def test_a_batch_and_a_reboot_are_followed(server: Server, enrol: Enrol, operator: httpx.Client) -> None:
    agents = [enrol(platform="debian") for _ in range(2)]
    asked = {"order": {"mode": "apply"}, "select": {"kinds": ["host"], "agents": [one.id for one in agents]}}
    batch = operator.post("/api/patch-batches", json=asked).json()
    orders = {one["agent_id"]: one["operation_id"] for one in batch["targets"]}
    assert len(orders) == 2
    with reader(server, operator, f"/api/patch-batches/{batch['id']}/stream").open() as stream:
        found = [stream.next() for _ in orders]
        for number, agent in enumerate(agents):
            begin(agent, orders[agent.id])
            prints(agent, orders[agent.id], 0, f"I am {number}\n")
        for number, agent in enumerate(agents):
            deliver(agent, orders[agent.id], f"I am {number}\n".encode()).raise_for_status()
        found += until_end(stream)
    for number, agent in enumerate(agents):
        mine = [event for event in found[:-1] if event.data["operation_id"] == orders[agent.id]]
        assert told(mine) == ["pending", "delivered", "running", "completed"]
        assert printed(mine) == f"I am {number}\n".encode()
    assert found[-1].data == {"id": batch["id"], "summary": {"nothing_to_do": 2}}


def test_a_cancelled_order_is_told_until_its_agent_has_said_how_it_left_the_target(
    server: Server, enrol: Enrol, operator: httpx.Client
) -> None:
    agent = enrol(platform="debian")
    placed = order(operator, agent, mode="apply")["id"]
    begin(agent, placed)
    with reader(server, operator, f"/api/patches/{placed}/stream").open() as stream:
        found = [stream.next() for _ in range(3)]
        operator.post(f"/api/patches/{placed}/cancel").raise_for_status()
        found.append(stream.next())
        assert stream.is_silent()
        said = {
            "outcome": "cancelled",
            "reason": "The order was cancelled. Snapshot nanny-1 is kept.",
            "success": False,
        }
        deliver(agent, placed, **said).raise_for_status()
        found += until_end(stream)
    reasons = [event.data["reason"] for event in found if event.name == "status"]
    assert told(found)[-2:] == ["cancelled", "cancelled"]
    assert reasons[-2:] == ["Cancelled by operator@example.com.", said["reason"]]


def test_the_command_shows_it_and_leaves_it_alone_on_ctrl_c(
    server: Server, enrol: Enrol, operator: httpx.Client, tmp_path: Path
) -> None:
    agent = enrol(platform="debian")
    placed = order(operator, agent, mode="apply")["id"]
    begin(agent, placed)
    prints(agent, placed, 0, "Setting up bash (5.2) ...\n")
    token = operator.headers["authorization"].removeprefix("Bearer ")
    env = {"PATH": os.defpath, "HOME": str(tmp_path), "NANNY_URL": server.url, "NANNY_TOKEN": token}
    # Whatever started these tests may have them ignore an interrupt, and a child would inherit that.
    words = ["env", "--default-signal=INT", Path(sys.executable).parent / "nanny-ops", "patch", "watch", placed]
    with (tmp_path / "said").open("wb") as said:
        left = subprocess.Popen(words, env=env, stderr=said, stdout=subprocess.DEVNULL)
        try:
            assert eventually(lambda: b"Setting up bash" in (tmp_path / "said").read_bytes(), 60)
            left.send_signal(signal.SIGINT)
            assert left.wait(30) == 130
        finally:
            left.kill()
            left.wait(10)
    assert f"nanny-ops patch cancel {placed}" in (tmp_path / "said").read_text()
    assert operator.get(f"/api/patches/{placed}").json()["status"] == "running"
    deliver(agent, placed, b"Setting up bash (5.2) ...\n", report={"steps": STEPS}).raise_for_status()
    done = subprocess.run([*words, "--json"], env=env, capture_output=True, check=True, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines[-2:]] == ["status", "end"]
    assert lines[-1]["operation"]["status"] == "completed"


def _resident(server: Server) -> int:
    """Return the bytes of memory that the control plane's process holds."""
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")
