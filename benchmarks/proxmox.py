"""What one reading of Proxmox VE costs, and how long it takes over a slow network; what the agent weighs meanwhile.

The labs run in processes of their own, so that CPU counted here is the reader's. For the network part a lab's answers
are recorded and given by a server that has them ready, each 20 ms late: a lab itself takes longer for some.
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
from pathlib import Path
from typing import Any

import msgspec

from benchmarks._figures import Figure, show
from benchmarks._late import key
from benchmarks._plane import BIN, END, control_plane, enrol, process
from benchmarks._process import memory
from benchmarks.agent_footprint import token_text, wait_until_heard
from nanny_ops.agent.collectors.proxmox import parts
from nanny_ops.machine.proxmox.client import Client
from nanny_ops.machine.proxmox.reader import Reader
from nanny_ops.machine.verbs import ProxmoxAccess, ProxmoxReading, ReadProxmox

MIB = 2**20
FEW, MANY = 100, 1000
LATENCY_MS = 20
#: Cycles that are looked at; the median counts.
CYCLES = 9
#: Seconds a lab has to come up.
LAB_START = 120
#: What a process can do to begin another one.
FORKS = {"os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen", "os.system"}


@contextlib.contextmanager
def lab(guests: int, *more: str) -> Iterator[dict[str, str]]:
    """Run a lab of one node and yield what it prints."""
    argv = [BIN / "nanny-ops", "lab", "up", "--nodes", "1", "--guests", str(guests), "--real-containers", "0"]
    child = subprocess.Popen([*argv, "--json", *more], stdout=subprocess.PIPE)
    try:
        yield _said(child)
    finally:
        child.terminate()
        child.communicate(timeout=END * 3)


def _said(child: "subprocess.Popen[bytes]") -> dict[str, str]:
    if child.stdout is None:
        raise SystemExit("the lab says nothing")
    deadline, line = time.monotonic() + LAB_START, b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(child.stdout.fileno(), 65536) if ready else b""
        if not piece:
            raise SystemExit("the lab did not come up")
        line += piece
    told: dict[str, str] = json.loads(line)
    return told


class Counting:
    """A client that counts its calls, and in whose lists one guest in a hundred can be made to look changed."""

    def __init__(self, access: ProxmoxAccess) -> None:
        """Make the client."""
        self._client, self.calls, self.changed = Client(access), 0, 0
        self.kept: dict[str, Any] | None = None

    def get(self, path: str, /, **parameters: Any) -> Any:
        """Return what the API says."""
        self.calls += 1
        data = self._client.get(path, **parameters)
        if path == "cluster/resources" and self.changed:
            for row in data:
                if row["type"] in {"lxc", "qemu"} and row["vmid"] % 100 < self.changed:
                    row["maxmem"] += 1
        if self.kept is not None:
            self.kept[key(path, {name: str(value) for name, value in parameters.items()})] = data
        return data

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()


class Bench:
    """One reader and the acknowledgements that its control plane would give."""

    def __init__(self, said: dict[str, str], slow: int, root: str = "") -> None:
        """Prepare to read one lab."""
        token = f"{said['token_id']}={said['token_secret']}"
        self._access = ProxmoxAccess(url=said["url"], token=token, ca_file=said["ca_file"], pmxcfs_root=root)
        self.api = Counting(self._access)
        self._reader, self._serial = Reader(self.api, root, slow=slow), 0

    def cycle(self) -> tuple[float, float, int, ProxmoxReading]:
        """Read and write the report; return seconds, CPU seconds, calls and the reading."""
        calls, wall, cpu = self.api.calls, time.perf_counter(), time.process_time()
        found = self._reader.read(ReadProxmox(access=self._access, acknowledged=self._serial))
        for part in parts(found.values, "2026-01-01T00:00:00Z"):
            msgspec.json.encode(part)
        self._serial = found.serial
        return time.perf_counter() - wall, time.process_time() - cpu, self.api.calls - calls, found


def one_node(root: bool) -> list[Figure]:
    """Measure quiet cycles of a node with a hundred guests, by API or with its files."""
    forks = []
    sys.addaudithook(lambda event, _: forks.append(event) if event in FORKS else None)
    with lab(FEW) as said, tempfile.TemporaryDirectory(prefix="nanny-bench-") as mount:
        (Path(mount) / "nodes").symlink_to(Path(said["ca_file"]).parent / "nodes")
        (Path(mount) / "local").symlink_to("nodes/pve1")
        bench = Bench(said, slow=400, root=mount if root else "")
        bench.cycle()
        before = len(forks)
        cycles = [bench.cycle() for _ in range(CYCLES)]
        begun = len(forks) - before
    how = "files" if root else "API"
    return [
        Figure(f"100 guests by {how}, CPU of a cycle", statistics.median(one[1] for one in cycles) * 1000, "ms", 50),
        Figure(f"100 guests by {how}, calls", statistics.median(one[2] for one in cycles), ""),
        Figure(f"100 guests by {how}, processes begun", begun, "", 0),
    ]


@contextlib.contextmanager
def late() -> Iterator[dict[str, str]]:
    """Record a thousand guests of a lab and serve the answers late."""
    with tempfile.TemporaryDirectory(prefix="nanny-bench-") as home:
        with lab(MANY) as said:
            bench = Bench(said, slow=10 * MANY)
            bench.api.kept = {}
            bench.cycle()
            bench.cycle()
        answers, ca_file = Path(home) / "answers.json", Path(home) / "ca.pem"
        answers.write_text(json.dumps(bench.api.kept))
        argv = [sys.executable, "-m", "benchmarks._late", str(answers), str(ca_file), str(LATENCY_MS / 1000)]
        child = subprocess.Popen(argv, stdout=subprocess.PIPE)
        try:
            yield {**said, "url": f"https://127.0.0.1:{_said(child)['port']}", "ca_file": str(ca_file)}
        finally:
            child.terminate()
            child.communicate(timeout=END)


def slow_network() -> list[Figure]:
    """Measure a thousand guests whose every answer is late: first reading, small changes, then the slower facts."""
    with late() as said:
        bench = Bench(said, slow=0)
        first = bench.cycle()
        changes = []
        for number in range(1, 4):
            bench.api.changed = number
            changes.append(bench.cycle())
        figures = [
            Figure("1,000 guests, first reading", first[0], "s", 3),
            Figure("1,000 guests, first reading, calls", first[2], ""),
            Figure("1,000 guests, first reading, CPU", first[1], "s"),
            Figure("1,000 guests, 1 % changed", statistics.median(one[0] for one in changes), "s", 0.5),
            Figure("1,000 guests, 1 % changed, calls", statistics.median(one[2] for one in changes), ""),
        ]
        slower = Bench(said, slow=10 * MANY)
        slower.cycle()
        told, whole = slower.cycle(), Bench(said, slow=10 * MANY).cycle()
        return [
            *figures,
            Figure("with all slower facts at once", whole[0], "s"),
            Figure("with all slower facts at once, calls", whole[2], ""),
            Figure("a quiet cycle afterwards", told[0], "s"),
        ]


def weight(warm_up: int, seconds: int) -> list[Figure]:
    """Measure the daemon's memory with a thousand guests in its cluster, reading them every 30 s."""
    with control_plane() as plane, lab(MANY) as said, tempfile.TemporaryDirectory(prefix="nanny-bench-") as state:
        agent = enrol(plane, 1)[0]
        (Path(state) / "token.json").touch(mode=0o600)
        (Path(state) / "token.json").write_text(token_text(agent))
        settings = {
            "NANNYAPI_URL": plane.url,
            "NANNY_AGENT_STATE_DIR": state,
            "NANNY_AGENT_PVE_URL": said["url"],
            "NANNY_AGENT_PVE_TOKEN": f"{said['token_id']}={said['token_secret']}",
            "NANNY_AGENT_PVE_CA_FILE": said["ca_file"],
            "NANNY_AGENT_PROXMOX_INTERVAL": "30",
        }
        with process([str(BIN / "nanny-agent"), "run"], settings, Path(state) / "log") as pid:
            wait_until_heard(plane, agent, 60)
            time.sleep(warm_up)
            looks = []
            for _ in range(max(1, seconds // 5)):
                time.sleep(5)
                looks.append(memory(pid).pss / MIB)
    return [
        Figure("agent PSS, 1,000 guests, median", statistics.median(looks), "MiB", 45),
        Figure("agent PSS, 1,000 guests, most", max(looks), "MiB"),
    ]


def main() -> int:
    """Measure and print; return 1 when a figure misses its budget."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--only", choices=["node", "network", "weight"], help="one of the three parts")
    arguments.add_argument("--warm-up", type=int, default=75, help="seconds until the daemon counts as settled")
    arguments.add_argument("--seconds", type=int, default=60, help="seconds it is then watched")
    arguments.add_argument("--json", action="store_true")
    wanted = arguments.parse_args()
    figures: list[Figure] = []
    if wanted.only in {None, "node"}:
        figures += [*one_node(root=True), *one_node(root=False)]
    if wanted.only in {None, "network"}:
        figures += slow_network()
    if wanted.only in {None, "weight"}:
        figures += weight(wanted.warm_up, wanted.seconds)
    return show(figures, wanted.json)


if __name__ == "__main__":
    sys.exit(main())
