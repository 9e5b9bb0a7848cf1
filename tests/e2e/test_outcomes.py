"""Every way in which an order can end otherwise than well has its word: at the control plane, at the agent, in docs."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.machine.job import FOLDER
from nanny_ops.protocol.clock import now, stamp
from nanny_ops.protocol.operation import Outcome
from tests.e2e.agent_process import keepers, processes_naming
from tests.e2e.site import Post, Site, until

pytestmark = pytest.mark.lxc

#: Guests come and go here faster than Proxmox VE could be read; the control plane must not take them for gone.
AGENT_SETTINGS = {"NANNY_AGENT_PROXMOX_INTERVAL": "86400"}
OUTCOMES = Path(__file__).parents[2] / "docs" / "outcomes.md"
DELIVERED = r"event=delivered operation={} kind=patch outcome=(\w+)"
#: Where scripts of these tests write down, inside the container, that they ran.
RUNS = "var/log/runs"


@pytest.fixture
def post(site: Site) -> Iterator[Post]:
    """The first agent with its container running; whatever a test did to either is undone."""
    site.container(site.post.vmid).rootfs.joinpath(RUNS).unlink(missing_ok=True)
    yield site.post
    site.post.proxy.be_honest()
    if site.container(site.post.vmid).pid() is None:
        site.renew(site.post.vmid)


def runs(site: Site, vmid: int) -> list[str]:
    """Return the lines that scripts wrote into the container's log."""
    log = site.container(vmid).rootfs / RUNS
    return log.read_text().splitlines() if log.exists() else []


def a_script(body: str, first: str = "#!/bin/sh") -> str:
    """Return a script that writes down that it ran, and then does what ``body`` says."""
    return f"{first}\necho ran >>/{RUNS}\n{body}\n"


def assert_named(post: Post, operation: dict[str, Any], outcome: Outcome) -> None:
    """Check that the control plane, the agent and the documentation have the same word for an end."""
    assert (operation["status"], operation["outcome"]) == ("failed", outcome), operation
    assert len(operation["reason"]) > 10, "there is no sentence for a person"
    assert_agent_says(post, operation, outcome)


def assert_agent_says(post: Post, operation: dict[str, Any], outcome: Outcome) -> None:
    """Check the agent's log and the documentation."""
    said = re.compile(DELIVERED.format(re.escape(operation["id"])))
    until(lambda: said.search(post.agent.log()), "the agent's word for it")
    assert said.findall(post.agent.log()) == [outcome]
    assert f"| `{outcome}` |" in OUTCOMES.read_text()
    until(lambda: operation["id"] not in post.agent.jobs(), "the job's files are gone")


@pytest.mark.rows("G0-PT-10")
def test_a_script_that_was_changed_on_its_way_is_not_run(site: Site, post: Post) -> None:
    script = site.upload(a_script("# genuine\necho '[]'"))
    post.proxy.tamper(b"# genuine", b"# forged!")
    operation = site.carry_out(script_id=script)
    assert post.proxy.counts["tampered"] >= 1
    assert_named(post, operation, Outcome.CHECKSUM_MISMATCH)
    assert runs(site, post.vmid) == []


def test_a_script_that_the_control_plane_does_not_have(site: Site, post: Post) -> None:
    wish = {"agent_id": post.agent.id, "mode": "apply", "script_id": "no-such-script"}
    assert site.operator.post("/api/patches", json=wish).status_code == 404
    # Where an order names one all the same, the agent finds nothing behind the address.
    script = site.upload(a_script("echo '[]'"))
    forged = "lost" + script[4:]
    post.proxy.tamper(script.encode(), forged.encode())
    operation = site.carry_out(script_id=script)
    assert_named(post, operation, Outcome.SCRIPT_UNKNOWN)
    assert runs(site, post.vmid) == []


def test_a_guest_that_is_not_on_this_node(site: Site, post: Post) -> None:
    operation = site.carry_out(vmid="999", script_id=site.upload(a_script("echo '[]'")))
    assert_named(post, operation, Outcome.TARGET_UNKNOWN)
    assert "999" in operation["reason"]


def test_a_container_that_is_stopped(site: Site, post: Post) -> None:
    script = site.upload(a_script("echo '[]'"))
    site.lab.stop(post.vmid)
    operation = site.carry_out(script_id=script)
    assert_named(post, operation, Outcome.TARGET_STOPPED)
    site.lab.start(post.vmid)
    assert site.carry_out(script_id=script)["outcome"] == "nothing_to_do"
    assert runs(site, post.vmid) == ["ran"]


def stop(site: Site, vmid: int) -> None:
    """Stop a container."""
    site.lab.stop(vmid)


def destroy(site: Site, vmid: int) -> None:
    """Remove a container and its configuration, as ``pct destroy`` does."""
    guest = site.lab.cluster.guests[vmid]
    site.lab.destroy(vmid)
    site.lab.cluster.guests[vmid] = guest


@pytest.mark.parametrize("strike", [stop, destroy])
def test_a_container_that_goes_away_under_the_script(
    site: Site, post: Post, strike: Callable[[Site, int], None]
) -> None:
    guest = site.lab.cluster.guests[post.vmid]
    operation = site.order(script_id=site.upload(a_script("sleep 60\necho '[]'")))
    until(lambda: runs(site, post.vmid) == ["ran"], "the script runs")
    strike(site, post.vmid)
    try:
        assert_named(post, site.wait_for(operation), Outcome.TARGET_LOST)
    finally:
        site.lab.cluster.guests.pop(post.vmid)
        site.lab.cluster.create(guest)


@pytest.mark.parametrize("first", ["#!/opt/none/python9", "#!/usr/bin/env python9"])
def test_an_interpreter_that_is_not_there(site: Site, post: Post, first: str) -> None:
    operation = site.carry_out(script_id=site.upload(a_script("echo '[]'", first)))
    assert_named(post, operation, Outcome.INTERPRETER_MISSING)
    assert runs(site, post.vmid) == []


def test_a_script_that_takes_too_long_is_ended_with_its_children(site: Site, post: Post) -> None:
    script = site.upload(a_script("sleep 7654321 &\n(trap '' TERM; sleep 7654322) &\nsleep 7654323\necho '[]'"))
    operation = site.order(script_id=script, timeout_seconds=2)
    until(lambda: processes_naming("7654321"), "the children run")
    operation = site.wait_for(operation)
    assert_named(post, operation, Outcome.TIMED_OUT)
    assert processes_naming("765432") == []
    assert operation["duration"] >= 2000


def test_a_script_whose_order_is_cancelled_is_ended_with_its_children(site: Site, post: Post) -> None:
    operation = site.order(script_id=site.upload(a_script("sleep 8765432 &\nsleep 8765433\necho '[]'")))
    until(lambda: processes_naming("8765433"), "the script runs")
    answer = site.operator.post(f"/api/patches/{operation['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled"), answer.text
    until(lambda: processes_naming("876543") == [], "the script and its child are ended")
    assert_agent_says(post, operation, Outcome.CANCELLED)
    ended = site.look(operation["id"])
    assert (ended["status"], ended["outcome"]) == ("cancelled", "cancelled")
    # The place is free again.
    assert site.carry_out(script_id=site.upload(a_script("echo '[]'")))["outcome"] == "nothing_to_do"


@pytest.mark.parametrize("said", ["echo certainly not a list", 'echo \'{"name": "x"}\'', "echo '[1, 2]'", ":"])
def test_a_script_that_prints_no_list(site: Site, post: Post, said: str) -> None:
    operation = site.carry_out(script_id=site.upload(a_script(said)))
    assert_named(post, operation, Outcome.BAD_OUTPUT)
    assert (operation["exit_code"], operation["package_list"]) == (0, [])


def test_a_script_that_fails_says_why(site: Site, post: Post) -> None:
    operation = site.carry_out(script_id=site.upload(a_script("echo the mirror is away >&2\nexit 3")))
    assert_named(post, operation, Outcome.SCRIPT_FAILED)
    assert operation["exit_code"] == 3
    assert "the mirror is away" in operation["reason"]
    assert site.output(operation, "stderr") == "the mirror is away\n"


def test_an_order_that_no_agent_fetched_expires(site: Site, post: Post) -> None:
    post.agent.stop()
    try:
        script = site.upload(a_script("echo '[]'"))
        operation = site.order(script_id=script, expires_at=stamp(now() + timedelta(seconds=2)))
        operation = site.wait_for(operation)
    finally:
        post.agent.start()
    assert (operation["status"], operation["outcome"]) == ("expired", "expired"), operation
    assert site.carry_out(script_id=script)["outcome"] == "nothing_to_do"
    assert runs(site, post.vmid) == ["ran"], "only the second order may run"
    assert "| `expired` |" in OUTCOMES.read_text()


def test_an_order_that_waits_too_long_at_the_agent_expires(site: Site, post: Post) -> None:
    script = site.upload(a_script("sleep 8\necho '[]'"))
    first = site.order(script_id=script)
    second = site.order(script_id=script, expires_at=stamp(now() + timedelta(seconds=3)))
    assert site.wait_for(second, ["delivered", "expired"])["delivered_at"]
    second = site.wait_for(second)
    assert (second["status"], second["outcome"]) == ("expired", "expired"), second
    assert site.wait_for(first)["outcome"] == "nothing_to_do"
    dropped = f"event=order_dropped operation={second['id']}"
    until(lambda: dropped in post.agent.log(), "the agent drops it")
    assert runs(site, post.vmid) == ["ran"]


def test_a_run_whose_keeper_was_killed_is_not_repeated(site: Site, post: Post) -> None:
    operation = site.order(script_id=site.upload(a_script("sleep 5\necho '[]'")))
    until(lambda: runs(site, post.vmid) == ["ran"], "the script runs")
    post.agent.kill()
    for pid in processes_running_job(post, operation["id"]):
        os.kill(pid, signal.SIGKILL)
    post.agent.start()
    assert_named(post, site.wait_for(operation), Outcome.UNKNOWN)
    assert runs(site, post.vmid) == ["ran"]


def processes_running_job(post: Post, operation_id: str) -> list[int]:
    """Return all that keeps or runs a job, also in its container: with less than all killed it is found again."""
    found = keepers(post.agent.state_dir / FOLDER / operation_id)
    assert found, "no supervisor was found"
    return sorted({*found, *processes_naming(operation_id)})


def test_what_the_owner_of_the_node_forbids_is_refused(site: Site, post: Post, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('modes = ["dry-run"]\n')
    script = site.upload(a_script("echo '[]'"))
    post.agent.stop()
    ordered = site.order(script_id=script)  # the control plane does not know of the new policy, and the agent judges
    restart(post, {"NANNY_AGENT_POLICY_FILE": str(policy)})
    try:
        assert_named(post, site.wait_for(ordered), Outcome.REFUSED)
        assert site.carry_out(script_id=script, mode="dry-run")["outcome"] == "nothing_to_do"
        until(lambda: told_modes(site, post) == ["dry-run"], "the policy is told")
        order = {"agent_id": post.agent.id, "mode": "apply", "vmid": str(post.vmid)}
        assert site.operator.post("/api/patches", json=order).status_code == 409
    finally:
        restart(post, {})
        until(lambda: told_modes(site, post) is None, "the wider policy is told")
    assert runs(site, post.vmid) == ["ran"]


def told_modes(site: Site, post: Post) -> list[str] | None:
    """Return which modes the control plane knows to be allowed, None for all."""
    modes: list[str] | None = site.operator.get(f"/api/agents/{post.agent.id}").json()["policy"]["modes"]
    return modes


def test_an_order_for_a_guest_where_there_is_no_proxmox(site: Site, post: Post) -> None:
    restart(post, {"PATH": os.environ["PATH"]})
    try:
        operation = site.carry_out(script_id=site.upload(a_script("echo '[]'")))
        assert_named(post, operation, Outcome.NO_PROXMOX)
    finally:
        restart(post, {})


def restart(post: Post, settings: dict[str, str]) -> None:
    """Start the agent anew with these settings beside those of this file."""
    post.agent.stop()
    post.agent.settings = AGENT_SETTINGS | settings
    post.agent.start()
