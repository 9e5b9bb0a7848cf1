"""What the agent costs the machine it runs on, in memory and CPU, once it has settled.

Starts a control plane, a lab cluster of one node with twenty guests where ``nanny-ops lab`` is there, and
``nanny-agent run`` against both with its usual intervals.
"""

import argparse
import contextlib
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks._figures import Figure, show
from benchmarks._machine import Unit, ask_helper, machine_with_agent
from benchmarks._plane import BIN, END, START, Enrolled, Plane, control_plane, enrol, process
from benchmarks._process import Memory, cpu_seconds, memory

GUESTS = 20
MIB = 2**20
#: A thousandth of a core, in seconds per minute.
CPU = 0.06
#: Seconds between two looks at the agent's memory.
SAMPLE = 5
#: Seconds the lab has to come up; real containers may have to be made first.
LAB_START = 300


@contextlib.contextmanager
def lab() -> Iterator[dict[str, str]]:
    """Run a lab cluster and yield the agent's settings for it; nothing where this build has no lab command."""
    if subprocess.run([BIN / "nanny-ops", "lab", "--help"], capture_output=True, timeout=START, check=False).returncode:
        print("no lab here: the agent is measured as a plain host agent", file=sys.stderr)
        yield {}
        return
    up = [BIN / "nanny-ops", "lab", "up", "--nodes", "1", "--guests", str(GUESTS), "--version", "8.4", "--json"]
    child = subprocess.Popen(up, stdout=subprocess.PIPE)
    try:
        yield _pve_settings(child)
    finally:
        child.terminate()
        child.communicate(timeout=END * 3)


def _pve_settings(child: "subprocess.Popen[bytes]") -> dict[str, str]:
    assert child.stdout is not None
    deadline, line = time.monotonic() + LAB_START, b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(child.stdout.fileno(), 65536) if ready else b""
        if not piece:
            raise SystemExit("the lab did not come up")
        line += piece
    said = json.loads(line)
    token = f"{said['token_id']}={said['token_secret']}"
    return {
        "NANNY_AGENT_PVE_URL": said["url"],
        "NANNY_AGENT_PVE_TOKEN": token,
        "NANNY_AGENT_PVE_CA_FILE": said["ca_file"],
    }


def token_text(agent: Enrolled) -> str:
    """Return the token file as the agent keeps it."""
    until = datetime.now(UTC) + timedelta(seconds=agent.answer["expires_in"])
    names = ("access_token", "refresh_token", "token_type", "agent_id")
    said = {name: agent.answer[name] for name in names} | {"expires_at": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return json.dumps(said)


def wait_until_heard(plane: Plane, agent: Enrolled, seconds: float) -> None:
    """Wait until the control plane has heard from the agent; SystemExit when it does not."""
    deadline = time.monotonic() + seconds
    bearer = {"Authorization": f"Bearer {agent.token}"}
    while time.monotonic() < deadline:
        said = httpx.get(f"{plane.url}/api/agent/{agent.agent_id}", headers=bearer, timeout=10).raise_for_status()
        if said.json()["last_seen"]:
            return
        time.sleep(1)
    raise SystemExit(f"the agent was not heard of within {seconds:.0f} s")


def measure(pid: int, seconds: int) -> tuple[list[Memory], float]:
    """Look at the agent for a while; return its memory at each look, and its CPU seconds per minute."""
    before, began = cpu_seconds(pid), time.monotonic()
    looks = []
    while time.monotonic() < began + seconds:
        time.sleep(SAMPLE)
        looks.append(memory(pid))
    return looks, (cpu_seconds(pid) - before) / (time.monotonic() - began) * 60


def on_machine(warm_up: int, seconds: int) -> list[Figure]:
    """Measure the running units on a machine of their own: the daemon alone, then with the helper at work."""
    with control_plane() as plane, lab() as pve:
        agent = enrol(plane, 1)[0]
        with machine_with_agent(urlsplit(plane.url).port or 80, token_text(agent), pve) as machine:
            wait_until_heard(plane, agent, 60)
            time.sleep(warm_up)
            daemon = Unit(machine, "nanny-agent")
            before, began, looks = daemon.cpu_seconds(), time.monotonic(), list[int]()
            while time.monotonic() < began + seconds:
                time.sleep(SAMPLE)
                looks.append(daemon.pss())
            cpu = (daemon.cpu_seconds() - before) / (time.monotonic() - began) * 60
            ask_helper(machine)
            both = daemon.pss() + Unit(machine, "nanny-agent-helper").pss()
    return [
        Figure("daemon PSS, median", statistics.median(looks) / MIB, "MiB", 45),
        Figure("daemon and helper PSS", both / MIB, "MiB", 60),
        Figure("daemon CPU", cpu, "s per minute", CPU),
        Figure("guests", GUESTS if pve else 0, ""),
    ]


def main() -> int:
    """Measure and print; return 1 when a figure misses its budget."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--warm-up", type=int, default=90, help="seconds until the agent counts as settled")
    arguments.add_argument("--seconds", type=int, default=60, help="seconds it is then watched")
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--machine", action="store_true", help="measure the units on a whole machine instead")
    wanted = arguments.parse_args()
    if wanted.machine:
        return show(on_machine(wanted.warm_up, wanted.seconds), wanted.json)
    with control_plane() as plane, lab() as pve, tempfile.TemporaryDirectory(prefix="nanny-bench-") as state:
        agent = enrol(plane, 1)[0]
        (Path(state) / "token.json").touch(mode=0o600)
        (Path(state) / "token.json").write_text(token_text(agent))
        settings = {"NANNYAPI_URL": plane.url, "NANNY_AGENT_STATE_DIR": state, **pve}
        with process([str(BIN / "nanny-agent"), "run"], settings, Path(state) / "log") as pid:
            wait_until_heard(plane, agent, 60)
            time.sleep(wanted.warm_up)
            looks, cpu = measure(pid, wanted.seconds)
    figures = [
        Figure("agent PSS, median", statistics.median(look.pss for look in looks) / MIB, "MiB", 45),
        Figure("agent PSS, most", max(look.pss for look in looks) / MIB, "MiB"),
        Figure("agent RSS, most", max(look.rss for look in looks) / MIB, "MiB"),
        Figure("agent private memory, most", max(look.private for look in looks) / MIB, "MiB"),
        Figure("agent CPU", cpu, "s per minute", CPU),
        Figure("guests", GUESTS if pve else 0, ""),
    ]
    return show(figures, wanted.json)


if __name__ == "__main__":
    sys.exit(main())
