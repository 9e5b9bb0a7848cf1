"""A control plane as people start it, in a process of its own, and clients that speak to it over HTTP."""

import contextlib
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.control.app import open_database, prepare
from nanny_ops.control.services import user as users
from nanny_ops.control.settings import Settings, load
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import memberships
from nanny_ops.control.store.tables import teams as team_table
from nanny_ops.protocol.clock import micros, now

PASSWORD = "correct horse battery staple"
ROLES = ("admin", "operator", "viewer")
#: Signs in with a role in another team: must see nothing of the default team.
STRANGER = "stranger"
#: Seconds until it is ready: three on a quiet core, many more where others keep all cores busy.
START = 60
STOP = 30


@dataclass
class Server:
    """``nanny-ops serve`` on a port of the system's choice; the address stays over a restart."""

    data_dir: Path
    env: dict[str, str] = field(default_factory=dict)
    port: int = 0
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """The address to talk to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        """Where the process writes what it has to say."""
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    @property
    def pid(self) -> int:
        """The number of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def settings(self) -> Settings:
        """What the process is told."""
        return load({"NANNY_DATA_DIR": str(self.data_dir), **self.env}, {})

    def start(self) -> None:
        """Start and wait until it is ready."""
        program = Path(sys.executable).parent / "nanny-ops"
        env = {key: value for key, value in os.environ.items() if not key.startswith("NANNY_")}
        env |= {"NANNY_DATA_DIR": str(self.data_dir), "NANNY_RATE_LIMITS": "off", **self.env}
        with self.log_file.open("ab") as log:
            began = log.tell()
            self._process = subprocess.Popen([program, "serve", "--port", str(self.port)], env=env, stderr=log)
        deadline = time.monotonic() + START
        while not self._is_ready(began):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the control plane did not start: {self.log_file.read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as a service manager does."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP)
            self._process = None

    def log(self) -> str:
        """Return all it has said."""
        return self.log_file.read_text(errors="replace")

    def in_store(self, run: Callable[[Tx], Any]) -> Any:
        """Run a function in the store from outside, as the command line does."""
        database = open_database(self.settings)
        try:
            return database.write_now(run)
        finally:
            database.close()

    def _is_ready(self, began: int) -> bool:
        found = re.search(rb"listens on 127\.0\.0\.1 port (\d+)", self.log_file.read_bytes()[began:])
        if found is None:
            return False
        self.port = int(found.group(1))
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        return False


def make_server(data_dir: Path, **env: str) -> Server:
    """Fill a data directory with one person per role and one of another team; nothing runs yet."""
    server = Server(data_dir, env)
    database = open_database(server.settings)
    try:
        prepare(database)
        database.write_now(_people)
    finally:
        database.close()
    return server


def _people(tx: Tx) -> None:
    hashed = users.hash_password(PASSWORD)
    for role in ROLES:
        users.add(tx, email(role), role, hashed, now())
    stranger = users.add(tx, email(STRANGER), "operator", hashed, now())
    tx.connection.execute(team_table.insert().values(id="team-other", name="other", created_at=micros(now())))
    tx.connection.execute(memberships.delete().where(memberships.c.user_id == stranger.id))
    teams.join(tx, stranger.id, "team-other", "operator")


def email(role: str) -> str:
    """Return the address with which the person of a role signs in."""
    return f"{role}@example.com"


def sign_in(server: Server, role: str) -> httpx.Client:
    """Return a client that is signed in as the person of a role; close it after use."""
    answer = httpx.post(f"{server.url}/api/auth/login", json={"email": email(role), "password": PASSWORD}, timeout=10)
    answer.raise_for_status()
    return client_of(server, answer.json()["access_token"])


def client_of(server: Server, token: str) -> httpx.Client:
    """Return a client that carries a token; close it after use."""
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)


@dataclass(frozen=True)
class Agent:
    """An enrolled agent: a client that speaks for it, its id, and the whole answer to its registration."""

    client: httpx.Client
    id: str
    tokens: dict[str, Any]


def enrol_by(server: Server, person: httpx.Client, hostname: str, **fields: Any) -> Agent:
    """Take an agent through the device flow; ``fields`` go into the register request."""
    with httpx.Client(base_url=server.url, timeout=20) as http:
        started = http.post("/api/auth", json={"action": "device-auth-start", "hostname": hostname}).json()
        allow = {"action": "authorize", "user_code": started["user_code"]}
        person.post("/api/auth", json=allow).raise_for_status()
        claim = {"action": "register", "device_code": started["device_code"], "hostname": hostname, **fields}
        answer = http.post("/api/auth", json=claim)
        answer.raise_for_status()
    tokens = answer.json()
    return Agent(client_of(server, tokens["access_token"]), tokens["agent_id"], tokens)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One control plane for all tests of this process; tests keep apart by enrolling agents of their own."""
    running = make_server(tmp_path_factory.mktemp("control") / "data")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def admin(server: Server) -> Iterator[httpx.Client]:
    """A client signed in as admin of the installation."""
    with sign_in(server, "admin") as client:
        yield client


@pytest.fixture(scope="session")
def operator(server: Server) -> Iterator[httpx.Client]:
    """A client signed in as operator of the default team."""
    with sign_in(server, "operator") as client:
        yield client


@pytest.fixture(scope="session")
def viewer(server: Server) -> Iterator[httpx.Client]:
    """A client signed in as viewer of the default team."""
    with sign_in(server, "viewer") as client:
        yield client


@pytest.fixture(scope="session")
def stranger(server: Server) -> Iterator[httpx.Client]:
    """A client signed in as operator of another team."""
    with sign_in(server, STRANGER) as client:
        yield client


@pytest.fixture(scope="session")
def anonymous(server: Server) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


@pytest.fixture
def enrol(server: Server, operator: httpx.Client) -> Iterator[Callable[..., Agent]]:
    """A function that enrols a fresh agent: ``enrol(hostname="pve1", platform="debian")``."""
    made: list[Agent] = []

    def one(hostname: str = "", **fields: Any) -> Agent:
        made.append(enrol_by(server, operator, hostname or f"host-{uuid.uuid4().hex[:8]}", **fields))
        return made[-1]

    yield one
    for agent in made:
        agent.client.close()
