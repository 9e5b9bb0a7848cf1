"""Yards: machines that reach each other and a control plane, kept by a process; nothing is left, however it ends."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.lab import systemd_machine, yard_keeper
from nanny_ops.lab.yard_keeper import OWNER, Process
from tests.machines.conftest import need_machines

# The first one may have to make the images.
pytestmark = [pytest.mark.machine, pytest.mark.one_debian, pytest.mark.timeout(900)]
PLAN = b'{"machines": [{"name": "one", "image": "bookworm"}, {"name": "two", "image": "bookworm"}]}'
SMALL = b'{"machines": [{"name": "one", "image": "bookworm"}], "control_plane": false}'
REACH = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 10).close()"


def until(true: Callable[[], object]) -> None:
    """Wait a minute at most until something holds."""
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.2)


def start(directory: Path, plan: bytes, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Have a yard started by a process that ends, as a playbook does; return what it tells of itself."""
    argv = [sys.executable, "-m", "nanny_ops.lab.yard_keeper", "start", str(directory)]
    subprocess.run(argv, input=plan, env=dict(environ), check=True, timeout=900)
    found: dict[str, Any] = json.loads((directory / yard_keeper.NOTE).read_text())
    return found


def left(home: str) -> list[str]:
    """Return what there still is of a yard: its directory, mounts below it, processes that name it."""
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if home in line]
    lines = {path: path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()}
    named = [str(path) for path, line in lines.items() if home.encode() in line]
    return [home] * Path(home).exists() + mounts + named


def test_machines_reach_each_other_and_a_control_plane(tmp_path: Path) -> None:
    need_machines()
    yard = start(tmp_path, PLAN)
    try:
        address = yard["machines"]["one"]["address"]
        port = yard["control_plane"]["url"].rpartition(":")[2]
        safely = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={yard['known_hosts']}"]
        ssh = ["ssh", "-i", yard["key_file"], *safely, f"root@{address}", "python3", "-c", f"'{REACH}'"]
        for name, number in (("two", "22"), ("host", port)):
            subprocess.run([*ssh, name, number], check=True, timeout=60)
        token = Path(yard["control_plane"]["token_file"]).read_text().strip()
        trusted = ssl.create_default_context(cafile=yard["control_plane"]["ca_file"])
        with httpx.Client(base_url=yard["control_plane"]["url"], verify=trusted, timeout=30) as http:
            told = http.get("/api/agents", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
        assert told.json()["items"] == []
    finally:
        yard_keeper.stop(tmp_path)
    assert left(yard["home"]) == []
    assert [path.name for path in tmp_path.iterdir()] == [yard_keeper.LOG]


def test_one_that_is_killed_is_removed_by_the_next(tmp_path: Path) -> None:
    need_machines()
    home = start(tmp_path, SMALL)["home"]
    keeper = Process.read(tmp_path / yard_keeper.PROCESS)
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: not keeper.alive)
    yard_keeper.stop(tmp_path)
    until(lambda: left(home) == [])
    assert systemd_machine.remove_abandoned() == []


def test_one_whose_owner_is_gone_ends(tmp_path: Path) -> None:
    need_machines()
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        home = start(tmp_path, SMALL, {**os.environ, OWNER: str(owner.pid)})["home"]
    finally:
        owner.kill()
        owner.communicate()
    until(lambda: left(home) == [])
