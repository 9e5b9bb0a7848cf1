"""How many metrics a control plane takes in on this machine, and what an idle stream costs it.

Starts ``nanny-ops serve`` on a temporary directory, enrols agents by the device flow, drives ``POST /api/agent`` with
wrk on 64 connections, then opens idle realtime streams, one per agent. Client and server share the machine's cores.
"""

import argparse
import asyncio
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks._figures import Figure, show
from benchmarks._plane import Enrolled, Plane, control_plane, enrol
from benchmarks._process import KIB, cpu_seconds, memory
from nanny_ops.protocol.metrics import BlockDevice, Filesystem, SystemMetrics

SCRIPT = Path(__file__).with_name("ingest.lua")
CONNECTIONS = 64
THREADS = 2
#: Agents that send: each connection meets many tokens, as behind a real front.
SENDERS = 64
MARK = "@instant@"
#: Seconds one step of opening a stream may take.
STEP = 30


def body(agent_id: str) -> str:
    """Return a reading of about 2 KB, with a mark where the instant belongs."""
    gib, disk = 2**30, ("/", "/boot/efi", "/var/lib/vz", "/mnt/backup")
    filesystems = [
        Filesystem(
            device=f"/dev/mapper/pve-{number}",
            mountpoint=mountpoint,
            type="ext4",
            fstype="ext4",
            total=500 * gib,
            used=339 * gib,
            free=136 * gib,
            usage=71.4,
            usage_percent=71.4,
        )
        for number, mountpoint in enumerate(disk)
    ]
    devices = [
        BlockDevice(name=name, size=512 * gib, type="disk", model="NVMe Example 1", serial_number=f"SN-{name}-000123")
        for name in ("nvme0n1", "nvme1n1", "sda")
    ]
    reading = SystemMetrics(
        agent_id=agent_id,
        timestamp=MARK,
        hostname=agent_id,
        platform="debian",
        platform_family="debian",
        platform_version="12.8",
        kernel_version="6.8.12-4-pve",
        kernel_arch="x86_64",
        cpu_usage=23.5,
        cpu_cores=16,
        cpu_model="Example CPU @ 2.60GHz",
        memory_usage=31_234.5,
        memory_total=64 * gib,
        memory_used=30 * gib,
        memory_free=4 * gib,
        memory_available=33 * gib,
        swap_total=8 * gib,
        swap_free=8 * gib,
        disk_usage=71.4,
        disk_total=500 * gib,
        disk_used=339 * gib,
        disk_free=136 * gib,
        network_in_gb=1234.567,
        network_out_gb=987.654,
        load_avg_1=1.25,
        load_avg_5=1.1,
        load_avg_15=0.9,
        process_count=412,
        ip_address="192.0.2.17",
        all_ips=["192.0.2.17", "198.51.100.4", "2001:db8::17"],
        filesystem_info=filesystems,
        block_devices=devices,
        version="0.1.0",
    )
    return json.dumps(asdict(reading), separators=(",", ":"))


def drive(plane: Plane, senders: list[Enrolled], seconds: int) -> dict[str, Any]:
    """Run wrk and return its figures; SystemExit when requests fail."""
    with tempfile.NamedTemporaryFile("w", prefix="nanny-bench-", suffix=".tsv") as file:
        file.writelines("\t".join([each.token, *body(each.agent_id).split(MARK)]) + "\n" for each in senders)
        file.flush()
        load = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
        argv = [*load, plane.url, "--", file.name]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=False)
    lines = [line.removeprefix("FIGURES ") for line in done.stdout.splitlines() if line.startswith("FIGURES ")]
    if not lines:
        raise SystemExit(f"wrk did not finish: {done.stdout}{done.stderr}")
    figures: dict[str, Any] = json.loads(lines[0])
    if figures["failed"] or not figures["requests"]:
        raise SystemExit(f"{figures['failed']} of {figures['requests']} requests failed; figures would mean nothing")
    return figures


def ingest(plane: Plane, senders: list[Enrolled], seconds: int) -> list[Figure]:
    """Warm up, then measure throughput, latency and CPU."""
    drive(plane, senders, 3)
    before = cpu_seconds(plane.pid)
    found = drive(plane, senders, seconds)
    spent = cpu_seconds(plane.pid) - before
    return [
        Figure("requests", found["requests"] / found["seconds"], "1/s", 3000, at_least=True),
        Figure("latency, median", found["p50_ms"], "ms"),
        Figure("latency, 99 of 100", found["p99_ms"], "ms", 60),
        Figure("server CPU per 1,000 requests", spent / found["requests"] * 1000, "s", 0.5),
        Figure("body", len(body(senders[0].agent_id)), "bytes"),
    ]


async def streams(plane: Plane, agents: list[Enrolled]) -> list[Figure]:
    """Open one subscribed stream per agent and measure what the server holds for each."""
    host, port = plane.url.removeprefix("http://").split(":")
    # The first stream pays for what all of them share.
    open_ones = [await _open(host, int(port), agents[0])]
    await asyncio.sleep(2)
    before = memory(plane.pid)
    open_ones += [await _open(host, int(port), agent) for agent in agents[1:]]
    await asyncio.sleep(5)
    after = memory(plane.pid)
    alive = sum(1 for reader, _ in open_ones if not reader.at_eof())
    for _, writer in open_ones:
        writer.close()
    if alive != len(agents):
        raise SystemExit(f"only {alive} of {len(agents)} streams stayed open")
    per_stream = (after.pss - before.pss) / (len(agents) - 1) / KIB
    return [
        Figure("idle streams", alive, ""),
        Figure("server memory per idle stream", per_stream, "KiB", 32),
        Figure("server memory with all streams", after.pss / KIB / KIB, "MiB"),
    ]


async def _open(host: str, port: int, agent: Enrolled) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open one stream, wait for its client id, and subscribe it."""
    async with asyncio.timeout(STEP):
        reader, writer = await asyncio.open_connection(host, port)
        bearer = f"Host: {host}:{port}\r\nAuthorization: Bearer {agent.token}\r\n"
        writer.write(f"GET /api/realtime HTTP/1.1\r\n{bearer}Accept: text/event-stream\r\n\r\n".encode())
        while not (line := await reader.readline()).startswith(b"data:"):
            if not line:
                raise SystemExit("the server closed a new stream")
        client_id = json.loads(line.removeprefix(b"data:"))["clientId"]
        await _subscribe(host, port, bearer, client_id)
    return reader, writer


async def _subscribe(host: str, port: int, bearer: str, client_id: str) -> None:
    said = json.dumps({"clientId": client_id, "subscriptions": ["investigations", "patch_operations"]})
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST /api/realtime HTTP/1.1\r\n{bearer}Content-Type: application/json\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(said)}\r\n\r\n{said}".encode())
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    if b" 204 " not in status:
        raise SystemExit(f"subscribe: {status.decode().strip()}")


def main() -> int:
    """Measure and print; return 1 when a figure misses its budget."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--seconds", type=int, default=20, help="how long wrk drives, after 3 s of warm-up")
    arguments.add_argument("--streams", type=int, default=1000, help="how many idle streams, at least 2")
    arguments.add_argument("--json", action="store_true")
    wanted = arguments.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; ./run setup installs it")
    # Each stream is a descriptor on both sides; the server inherits this limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with control_plane() as plane:
        agents = enrol(plane, max(SENDERS, wanted.streams))
        figures = ingest(plane, agents[:SENDERS], wanted.seconds)
        figures += asyncio.run(streams(plane, agents[: max(2, wanted.streams)]))
    return show(figures, wanted.json)


if __name__ == "__main__":
    sys.exit(main())
