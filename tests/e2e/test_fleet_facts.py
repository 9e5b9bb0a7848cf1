"""What an operator sees of hosts, clusters and guests comes from real agents, and agents come back by themselves."""

import re
import socket
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from nanny_ops.lab.lab import Lab
from nanny_ops.protocol.clock import parse_stamp
from tests.e2e.site import Site, until

pytestmark = pytest.mark.lxc

#: Seconds within which the next reading of Proxmox VE has come: the shortest interval there is, and some air.
NEXT_CYCLE = 60
MIB = 1024 * 1024
#: What a process asks of a machine changes while it is asked; figures may differ by this part.
NEAR = 0.2


def guest(site: Site, vmid: int, *, gone: bool = False) -> dict[str, Any] | None:
    """Return a guest as operators see it, or None."""
    found = site.rows("/api/proxmox/guests", vmid=vmid, gone="true" if gone else "false")
    assert len(found) <= 1, found
    return found[0] if found else None


def where(site: Site, vmid: int) -> str | None:
    """Return the node on which a guest is seen."""
    found = guest(site, vmid)
    return found["node"] if found else None


@pytest.mark.rows("G0-ME-01", "G0-ME-02", "G0-ME-04")
def test_the_figures_of_a_host_are_its_own(site: Site) -> None:
    address = f"/api/agent/{site.post.agent.id}/metrics"
    until(lambda: len(site.rows(address)) >= 3, "three readings")
    reading = site.operator.get(f"{address}/latest").json()["reading"]
    memory = psutil.virtual_memory()
    assert (reading["hostname"], reading["os"]) == (socket.gethostname(), "linux")
    assert (reading["cpu_cores"], reading["memory_total"]) == (psutil.cpu_count(), memory.total)
    assert reading["memory_usage"] == pytest.approx(reading["memory_used"] / MIB, rel=0.01)
    assert reading["memory_available"] == pytest.approx(memory.available, rel=NEAR)
    assert 0 <= reading["cpu_usage"] <= 100
    received = sum(one.bytes_recv for name, one in psutil.net_io_counters(pernic=True).items() if name != "lo")
    assert reading["network_in_gb"] == pytest.approx(received / 1e9, rel=NEAR, abs=0.1)
    for one in reading["filesystem_info"]:
        assert one["total"] == pytest.approx(psutil.disk_usage(one["mountpoint"]).total, rel=0.01)
    assert {one["name"] for one in reading["block_devices"]} <= {path.name for path in Path("/sys/block").iterdir()}
    # Every five seconds, as this agent was told, and not every thirty.
    instants = sorted(parse_stamp(one["at"]) for one in site.rows(address))
    assert min((late - early).total_seconds() for early, late in pairwise(instants)) < 10


@pytest.mark.rows("G0-AG-01", "G0-AG-02")
def test_an_agent_is_shown_as_it_is(site: Site) -> None:
    agent = site.post.agent
    until(lambda: site.operator.get(f"/api/agent/{agent.id}").json()["health_status"] == "healthy", "its first word")
    (shown,) = [one for one in site.rows("/api/agents") if one["agent_id"] == agent.id]
    assert (shown["status"], shown["health_status"]) == ("active", "healthy")
    assert shown["kernel_version"] in Path("/proc/version").read_text()
    told = agent.status()
    assert (told["health"], told["agent_id"], told["daemon_pid"]) == ("healthy", agent.id, agent.pid)
    assert told["spool"]["undelivered_results"] == 0


@pytest.mark.rows("G0-PX-01", "G0-PX-02", "G0-PX-03", "G0-PX-04", "G0-PX-05")
def test_two_agents_tell_of_one_cluster(site: Site, lab: Lab) -> None:
    """One of the two speaks for the nodes without an agent, too."""
    wanted = {one.vmid: one for one in lab.cluster.list_guests()}
    until(lambda: {one["vmid"] for one in site.rows("/api/proxmox/guests")} == set(wanted), "all guests", NEXT_CYCLE)
    (cluster,) = site.rows("/api/proxmox/clusters")
    assert (cluster["cluster_name"], cluster["nodes"], cluster["quorate"]) == ("labcluster", 5, 1)
    assert {one["name"] for one in site.rows("/api/proxmox/nodes")} == set(lab.cluster.nodes)
    for shown in site.rows("/api/proxmox/guests"):
        real = wanted[shown["vmid"]]
        assert (shown["kind"], shown["name"], shown["node"]) == (real.kind, real.name, real.node)
        assert shown["tags"] == sorted(real.tags) or set(shown["tags"]) == set(real.tags)
        assert shown["cluster"] == cluster["id"]
        assert shown["status"] == ("running" if lab.power.read(real).running else "stopped")
    nodes = {post.agent.node.name for post in site.posts}
    machine = next(one for one in wanted.values() if one.kind == "qemu" and one.node in nodes)
    found = guest(site, machine.vmid)
    assert found is not None
    reported = site.operator.get(f"/api/proxmox/guests/{found['id']}").json()["reported"]
    assert any(re.fullmatch(r"(scsi|virtio)\d+", key) for key in reported)
    assert machine.conf["net0"] == reported["net0"]


@pytest.mark.rows("G0-PX-06")
@pytest.mark.timeout(240)
def test_a_migrated_guest_moves_and_a_destroyed_one_is_gone(site: Site, lab: Lab) -> None:
    here, there = (post.agent.node.name for post in site.posts)
    machines = [one for one in lab.cluster.list_guests(kind="qemu") if one.node in {here, there}]
    mover = next(one for one in machines if one.node == here)
    goner = next(one for one in machines if one.node == there)
    until(lambda: where(site, mover.vmid) == here and where(site, goner.vmid) == there, "both", NEXT_CYCLE)
    before = guest(site, mover.vmid)
    lab.migrate(mover.vmid, there)
    lab.destroy(goner.vmid)
    try:
        until(lambda: where(site, mover.vmid) == there, "the move", NEXT_CYCLE)
        until(lambda: guest(site, goner.vmid, gone=True), "the end", NEXT_CYCLE)
    finally:
        lab.migrate(mover.vmid, here)
        lab.cluster.create(goner)
    after = guest(site, mover.vmid)
    assert before is not None
    assert after is not None
    assert (after["id"], after["node"]) == (before["id"], there)
    assert after["moved_at"] is not None
    assert guest(site, goner.vmid) is None
    ended = guest(site, goner.vmid, gone=True)
    assert ended is not None
    assert ended["gone_at"] is not None


@pytest.mark.rows("G0-IV-01", "G0-IV-04", "G0-IV-06")
def test_an_investigation_is_declined_with_a_reason(site: Site) -> None:
    body = {"agent_id": site.post.agent.id, "issue": "PostgreSQL answers slowly since noon", "priority": "high"}
    answer = site.operator.post("/api/investigations", json=body)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending"), answer.text
    address = f"/api/investigations/{answer.json()['id']}"
    until(lambda: site.operator.get(address).json()["status"] == "failed", "the refusal")
    found = site.operator.get(address).json()
    assert (found["outcome"], found["resolution"]) == ("unsupported", None)
    assert "cannot investigate" in found["reason"]
    assert found["updated_at"] > found["created_at"]
    assert f"event=delivered operation={found['id']} kind=investigation outcome=unsupported" in site.post.agent.log()
    assert site.rows("/api/investigations", status="pending") == []


@pytest.mark.rows("G0-SE-01", "G0-RT-05")
def test_the_stream_comes_back_after_a_restart(site: Site) -> None:
    log = site.post.agent.log_file
    began = log.stat().st_size
    site.server.stop()
    site.server.start()
    restarted = time.monotonic()
    site.post.agent.wait_for_log("event=link_up", began)
    assert time.monotonic() - restarted < 15
    assert waits(log, began)[0] == pytest.approx(5, rel=0.25)
    script = site.upload("#!/bin/sh\necho '[]'\n")
    assert site.carry_out(script_id=script)["outcome"] == "nothing_to_do"


@pytest.mark.rows("G0-SE-01")
def test_the_waits_grow_while_the_control_plane_is_away(site: Site) -> None:
    proxy, log = site.post.proxy, site.post.agent.log_file
    began = log.stat().st_size
    proxy.refuse()
    try:
        until(lambda: len(waits(log, began)) >= 3, "three failures")
    finally:
        proxy.admit()
    first, second, third = waits(log, began)[:3]
    assert (first, second, third) == (
        pytest.approx(5, rel=0.25),
        pytest.approx(10, rel=0.25),
        pytest.approx(20, rel=0.25),
    )
    site.post.agent.wait_for_log("event=link_up", began)


def waits(log: Path, began: int) -> list[float]:
    """Return the seconds that an agent said it waits before it opens its stream again."""
    said = log.read_bytes()[began:].decode(errors="replace")
    return [float(found) for found in re.findall(r"event=link_down wait=([0-9.]+)", said)]
