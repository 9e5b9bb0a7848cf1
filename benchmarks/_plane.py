"""A control plane on a temporary data directory, and agents enrolled in it by the device flow."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

BIN = Path(sys.executable).parent
EMAIL = "bench@example.com"
#: Seconds a process has to become ready, and to end.
START = 30
END = 20


@dataclass(frozen=True)
class Plane:
    """A running control plane."""

    url: str
    pid: int
    password: str


@dataclass(frozen=True)
class Enrolled:
    """An agent's identity; ``answer`` is the whole token answer."""

    agent_id: str
    token: str
    answer: dict[str, Any]


@contextlib.contextmanager
def control_plane() -> Iterator[Plane]:
    """Run ``nanny-ops serve`` with one admin and without request limits, and end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="nanny-bench-") as home:
        password = secrets.token_urlsafe(24)
        environ = {"NANNY_DATA_DIR": home, "NANNY_RATE_LIMITS": "off", "NANNY_LOG_LEVEL": "warning"}
        add = [BIN / "nanny-ops", "user", "add", "--email", EMAIL, "--role", "admin", "--password-stdin"]
        subprocess.run(
            add,
            input=password + "\n",
            text=True,
            env=os.environ | environ,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=START,
        )
        port = free_port()
        with process([str(BIN / "nanny-ops"), "serve", "--port", str(port)], environ, Path(home) / "log") as pid:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url)
            yield Plane(url, pid, password)


@contextlib.contextmanager
def process(argv: list[str], environ: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run a program with its output in ``log``; on the way out ask it to end, then insist. Shows the log on failure."""
    with log.open("wb") as output:
        child = subprocess.Popen(argv, env=os.environ | environ, stdout=output, stderr=subprocess.STDOUT)
    finished = False
    try:
        yield child.pid
        finished = child.poll() is None
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(END)
        if not finished:
            sys.stderr.write(log.read_text()[-4000:])
    if not finished:
        raise SystemExit(f"{argv[0]} ended by itself with {child.returncode}")


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(url: str) -> None:
    """Ask until the control plane says that it is ready; SystemExit when it takes too long."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"the control plane was not ready after {START} s")


def enrol(plane: Plane, count: int) -> list[Enrolled]:
    """Let ``count`` agents in: each asks for a code, the admin approves it, the agent polls once."""
    with httpx.Client(base_url=plane.url, timeout=30) as client:
        login = client.post("/api/auth/login", json={"email": EMAIL, "password": plane.password}).raise_for_status()
        person = {"Authorization": f"Bearer {login.json()['access_token']}"}
        return [_enrol_one(client, person, number) for number in range(count)]


def _enrol_one(client: httpx.Client, person: dict[str, str], number: int) -> Enrolled:
    hostname, address = f"bench-{number:04}", f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
    started = _act(client, {"action": "device-auth-start"})
    _act(client, {"action": "authorize", "user_code": started["user_code"]}, person)
    facts = {"hostname": hostname, "platform": "debian", "platform_family": "debian", "version": "0.1.0"}
    addresses = {"primary_ip": address, "kernel_version": "6.8.12-4-pve", "all_ips": [address], "os_type": "linux"}
    answer = _act(client, {"action": "register", "device_code": started["device_code"]} | facts | addresses)
    return Enrolled(answer["agent_id"], answer["access_token"], answer)


def _act(client: httpx.Client, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = client.post("/api/auth", json=body, headers=headers)
    if answer.is_error:
        raise SystemExit(f"{body['action']}: {answer.status_code} {answer.text[:500]}")
    said: dict[str, Any] = answer.json()
    return said
