"""The command at the machine: what it says, and how it ends."""

import argparse
import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import nanny_ops
from nanny_ops.agent import lock
from nanny_ops.agent.app import World
from nanny_ops.agent.enrollment import TokenStore
from nanny_ops.agent.settings import Settings, load
from nanny_ops.agent.spool import Spool
from nanny_ops.cli import node, node_status
from nanny_ops.errors import (
    AccessDenied,
    AgentRevoked,
    DiskFull,
    ExpiredToken,
    IdentityRefused,
    NannyError,
    NotRegistered,
    SettingsError,
    Unreachable,
)
from nanny_ops.protocol.clock import now, stamp
from nanny_ops.protocol.enrollment import TokenFile
from nanny_ops.protocol.signature import encode, key_id
from tests.fakes.hands import FakeHands

STATUS = {
    "agent_id": "agent-1",
    "hostname": "h",
    "status": "active",
    "last_seen": None,
    "version": "1",
    "platform": "debian",
    "kernel_version": "6",
    "health_status": "healthy",
}
Answer = tuple[int, dict[str, Any]]
NOWHERE = Path("/nonexistent/agent.toml")


class Server(ThreadingHTTPServer):
    """A real server on a free port whose answers a test sets."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[dict[str, Any]], Answer]] = {}
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.tokens: list[str | None] = []
        self.hang = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _reply(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.server.seen.append((self.path, body))
        self.server.tokens.append(self.headers.get("Authorization"))
        status, answer = self.server.answers.get(self.path, lambda _body: (404, {"error": "not_found"}))(body)
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = _reply  # noqa: N815

    def log_message(self, *_values: Any) -> None:
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.answers["/health"] = lambda _body: (200, {"status": "healthy"})
    made.answers["/api/agent/agent-1"] = lambda _body: (200, STATUS)
    yield made
    made.hang.set()
    made.shutdown()
    thread.join()
    made.server_close()


class Machine:
    """A machine with a state directory, on which commands are run."""

    def __init__(self, tmp_path: Path, url: str) -> None:
        self.home, self.hands = tmp_path / "state", FakeHands(tmp_path)
        self.settings: Settings = load({"url": url, "state_dir": str(self.home)}, {}, tmp_path / "none.toml")
        self.store = TokenStore(self.settings.token_path)

    def run(self, command: str, **options: Any) -> int:
        async def no_sleep(_seconds: float) -> None:
            return None

        world = World(hands=self.hands, sleep=no_sleep, random=lambda: 0.5)
        given = argparse.Namespace(**{"force": False, "name": "", "json": False, "helper_config": None, **options})
        return node.COMMANDS[command][0](self.settings, world, given)

    def register(self) -> None:
        later = stamp(now() + timedelta(hours=1))
        self.store.save(
            TokenFile(access_token="a", refresh_token="r", token_type="Bearer", expires_at=later, agent_id="agent-1")
        )


@pytest.fixture
def machine(tmp_path: Path, server: Server) -> Machine:
    return Machine(tmp_path, server.url)


def device_flow(server: Server, *refusals: str, **further: Any) -> None:
    waiting = list(refusals)

    def answer(body: dict[str, Any]) -> Answer:
        if body["action"] == "device-auth-start":
            uri = "https://nanny.example/device"
            return 200, {"device_code": "dc", "user_code": "ABCDEFGH", "verification_uri": uri, "expires_in": 60}
        if waiting:
            return 400, {"error": waiting.pop(0), "error_description": "", "timestamp": ""}
        granted = {"access_token": "a1", "refresh_token": "r1", "token_type": "Bearer"}
        return 200, {**granted, "expires_in": 3600, "agent_id": "agent-1", **further}

    server.answers["/api/auth"] = answer


@pytest.mark.rows("G0-AU-08")
def test_register_shows_the_code_and_keeps_the_identity(machine: Machine, server: Server, capsys: Any) -> None:
    device_flow(server, "authorization_pending")
    assert machine.run("register", name="rack 4") == 0
    shown = capsys.readouterr().out
    assert "https://nanny.example/device" in shown
    assert "ABCDEFGH" in shown
    assert "agent-1" in shown
    assert machine.store.load().agent_id == "agent-1"
    assert machine.settings.token_path.stat().st_mode & 0o777 == 0o600
    start, poll = server.seen[0][1], server.seen[-1][1]
    assert (start["hostname"], start["name"], start["all_ips"]) == ("node-1", "rack 4", ["192.0.2.7"])
    expected = {
        "device_code": "dc",
        "hostname": "node-1",
        "platform_family": "debian",
        "version": nanny_ops.__version__,
    }
    assert expected.items() <= poll.items()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with an enrolment token, as provisioning lays it down."""
    file = tmp_path / "enrol"
    file.write_text("nsk_secret\n")
    return file


def test_register_with_a_token_asks_nobody(machine: Machine, server: Server, token_file: Path, capsys: Any) -> None:
    machine.settings = load({"enrollment_token_file": str(token_file)}, {"NANNYAPI_URL": server.url}, NOWHERE)
    machine.settings = replace(machine.settings, token_path=machine.store.path)
    lost = [503]

    def answer(_body: dict[str, Any]) -> Answer:
        if lost:
            return lost.pop(), {"error": "unavailable"}
        granted = {"access_token": "a1", "refresh_token": "r1", "token_type": "Bearer"}
        return 200, {**granted, "expires_in": 3600, "agent_id": "agent-1"}

    server.answers["/api/auth"] = answer
    assert machine.run("register") == 0
    assert machine.store.load().agent_id == "agent-1"
    first, second = (body for _, body in server.seen)
    assert (first["action"], first["hostname"]) == ("register-with-token", "node-1")
    assert len(first["attempt"]) == 32
    assert first == second
    assert set(server.tokens) == {"Bearer nsk_secret"}
    said = capsys.readouterr()
    assert "nsk_secret" not in said.out + said.err


def test_an_agent_with_an_enrolment_token_registers_by_itself_and_once(
    machine: Machine, server: Server, token_file: Path, capsys: Any
) -> None:
    machine.settings = replace(machine.settings, enrollment_token_file=str(token_file))
    granted = {"access_token": "a1", "refresh_token": "r1", "token_type": "Bearer", "expires_in": 3600}
    server.answers["/api/auth"] = lambda _body: (200, {**granted, "agent_id": "agent-1"})
    world = World(hands=machine.hands)
    for _ in range(2):
        node._obtain_unasked(machine.settings, world)
        assert machine.store.load().agent_id == "agent-1"
    assert [body["action"] for _, body in server.seen] == ["register-with-token"]
    assert capsys.readouterr().out == ""


def test_without_a_token_nobody_is_asked(machine: Machine, server: Server) -> None:
    node._obtain_unasked(machine.settings, World(hands=machine.hands))
    assert server.seen == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_accepted_is_said(machine: Machine, server: Server, status: int) -> None:
    machine.settings = replace(machine.settings, enrollment_token="nsk_old")
    server.answers["/api/auth"] = lambda _body: (status, {"error": "x", "error_description": "It is used up."})
    with pytest.raises(AccessDenied, match="used up") as wrong:
        machine.run("register")
    assert node.exit_code(wrong.value) == 6


def test_the_token_file_has_a_short_flag_where_it_serves(token_file: Path) -> None:
    parsed = node.build_parser().parse_args(["register", "--token-file", str(token_file)])
    assert parsed.enrollment_token_file == str(token_file)
    static = node.build_parser().parse_args(["run", "--token-file", str(token_file)])
    assert (static.token_file, static.enrollment_token_file) == (str(token_file), None)


def test_register_denied_leaves_nothing(machine: Machine, server: Server) -> None:
    device_flow(server, "access_denied")
    with pytest.raises(AccessDenied):
        machine.run("register")
    with pytest.raises(NotRegistered):
        machine.store.load()


def test_register_twice_needs_force(machine: Machine, server: Server) -> None:
    machine.register()
    device_flow(server)
    with pytest.raises(NannyError, match=r"agent-1.*--force"):
        machine.run("register")
    assert server.seen == []
    assert machine.run("register", force=True) == 0
    assert machine.store.load().refresh_token == "r1"


def status(machine: Machine, capsys: Any) -> tuple[int, dict[str, Any]]:
    code = machine.run("status", json=True)
    return code, json.loads(capsys.readouterr().out)


def test_status_tells_everything_and_writes_nothing(machine: Machine, server: Server, capsys: Any) -> None:
    machine.register()
    Spool(machine.home / "spool.db", cap=5).close()
    before = {one.name: one.stat().st_mtime_ns for one in machine.home.iterdir()}
    code, found = status(machine, capsys)
    assert code == 0
    assert (found["control_plane"], found["agent_id"], found["health"]) == (server.url, "agent-1", "healthy")
    assert found["token_expires_at"] == machine.store.load().expires_at
    assert found["spool"] == {"open_orders": 0, "undelivered_results": 0, "undeliverable": 0, "readings": 0}
    assert found["daemon_pid"] is None
    assert found["trusted_keys"] is None
    assert {one.name: one.stat().st_mtime_ns for one in machine.home.iterdir()} == before
    assert {path for path, _ in server.seen} == {"/health", "/api/agent/agent-1"}


def test_registering_pins_the_keys_and_status_names_them(machine: Machine, server: Server, capsys: Any) -> None:
    for number, origin in ((1, "control-plane"), (2, "offline")):
        raw = bytes([number]) * 32
        told = {"public_key": encode(raw), "key_id": key_id(raw), "origin": origin}
        device_flow(server, signing_keys=[told])
        assert machine.run("register", force=number > 1) == 0
        capsys.readouterr()
        assert status(machine, capsys)[1]["trusted_keys"] == [key_id(raw)]
    assert (machine.home / "trusted_keys.json").stat().st_mode & 0o777 == 0o600
    (machine.home / "trusted_keys.json").write_text("[")
    assert status(machine, capsys)[1]["trusted_keys"] == []


def test_status_sees_a_running_daemon_and_prints_a_table(machine: Machine, capsys: Any) -> None:
    machine.register()
    with lock.hold(machine.home):
        assert machine.run("status") == 0
    shown = capsys.readouterr().out
    assert "healthy" in shown
    assert "process" in shown


def test_status_of_a_revoked_agent(machine: Machine, server: Server, capsys: Any) -> None:
    machine.register()
    server.answers["/api/agent/agent-1"] = lambda _body: (403, {"error": "agent_revoked"})
    code, found = status(machine, capsys)
    assert (code, found["health"]) == (4, "agent_revoked")


def test_status_with_an_expired_token_renews_nothing(machine: Machine, server: Server, capsys: Any) -> None:
    machine.register()
    before = machine.settings.token_path.read_bytes()
    server.answers["/api/agent/agent-1"] = lambda _body: (401, {"error": "token_expired"})
    code, found = status(machine, capsys)
    assert (code, found["health"]) == (0, "unknown")
    assert "expired" in found["reason"]
    assert machine.settings.token_path.read_bytes() == before
    assert "/api/auth" not in {path for path, _ in server.seen}


def test_status_without_a_control_plane_or_an_identity(tmp_path: Path, capsys: Any) -> None:
    machine = Machine(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(NotRegistered):
        machine.run("status")
    machine.register()
    code, found = status(machine, capsys)
    assert (code, found["health"]) == (5, "unreachable")


def test_status_does_not_wait_for_a_control_plane_that_hangs(machine: Machine, server: Server) -> None:
    machine.register()

    def hang(_body: dict[str, Any]) -> Answer:
        server.hang.wait(20)
        return 200, {}

    server.answers["/health"] = hang
    asked = node_status.ask(machine.settings, World(hands=machine.hands), machine.store.load(), deadline=0.2)
    found = asyncio.run(asked)
    assert (found["exit_code"], found["health"]) == (5, "unreachable")
    assert node_status.STATUS_DEADLINE <= 5


def test_collect_prints_one_reading_and_sends_nothing(machine: Machine, server: Server, capsys: Any) -> None:
    assert machine.run("collect") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"][0]["body"]["hostname"] == "node-1"
    assert found["proxmox"] == []
    assert server.seen == []


def test_unregister_removes_the_identity_and_may_be_repeated(machine: Machine, capsys: Any) -> None:
    machine.register()
    assert machine.run("unregister") == 0
    assert "agent revoke agent-1" in capsys.readouterr().out
    assert machine.run("unregister") == 0
    assert "nothing to remove" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (SettingsError(), 2),
        (NotRegistered(), 3),
        (AgentRevoked(), 4),
        (IdentityRefused(), 4),
        (Unreachable(), 5),
        (AccessDenied(), 6),
        (ExpiredToken(), 6),
        (DiskFull(), 1),
    ],
)
def test_each_end_has_its_code(wrong: NannyError, code: int) -> None:
    assert node.exit_code(wrong) == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "--metric-interval", "3"], "--metrics-interval"),
        (["status", "--url", "http://nanny.example"], "loopback"),
        (["stats"], "status"),
        ([], "COMMAND"),
        (["status", "--url"], "expected one argument"),
    ],
)
def test_a_slip_on_the_command_line_is_explained(arguments: list[str], said: str, capsys: Any) -> None:
    assert node.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_version_and_help(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        node.main(["--version"])
    assert ended.value.code == 0
    assert nanny_ops.__version__ in capsys.readouterr().out
    with pytest.raises(SystemExit):
        node.main(["run", "--help"])
    shown = capsys.readouterr().out
    assert "--metrics-interval" in shown
    assert "--pve-token-file" in shown
    assert "--pve-token " not in shown
