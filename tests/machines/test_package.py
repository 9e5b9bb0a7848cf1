"""The Debian package on machines without internet: installed, upgraded under a running job, gone without a trace."""

import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from nanny_ops.lab.file_tree import differences, of_system
from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.package import build
from release.wheel import architecture
from tests.integration.control.conftest import Server, sign_in
from tests.machines.conftest import need_machines
from tests.machines.tls_door import TlsDoor

# The first test of each Debian may have to make its image.
pytestmark = [pytest.mark.machine, pytest.mark.timeout(600)]
SUITES = ("bookworm", "trixie")
EPOCH = 1_760_000_000
OLD, NEW = "9.0.0", "9.0.1"
WITHIN = 60.0
DISTRIBUTIONS = "import importlib.metadata as m; print(sorted((d.name, d.version) for d in m.distributions()))"
JOB = """#!/bin/sh
touch /run/job-began
turns=0
until [ -e /run/job-may-end ] || [ $turns -gt 600 ]; do sleep 0.1; turns=$((turns + 1)); done
echo '[]'
"""
UPGRADE = """#!/bin/sh
set -e
apt-get install --yes /root/agent.deb
echo '[]'
"""
POLICY = 'modes = ["dry-run", "apply"]\ntargets = ["host"]\n'


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    return {version: build(version, EPOCH, folder, architecture()) for version in (OLD, NEW)}


@dataclass
class Node:
    """A machine, its control plane, and what both were before the first package."""

    machine: SystemdMachine
    packages: dict[str, Path]
    door: TlsDoor
    operator: httpx.Client
    admin: httpx.Client
    before: dict[str, str]
    python_before: str

    def install(self, version: str, *options: str) -> str:
        """Install a version from its file, as a person does, and return what apt says."""
        self.machine.put(self.packages[version], "/root/agent.deb")
        quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends"]
        return self.machine.must(*quiet, *options, "/root/agent.deb", timeout=120)

    def write(self, path: str, text: str | bytes) -> None:
        """Write a file of root's."""
        content = text.encode() if isinstance(text, str) else text
        assert self.machine.run(["install", "-m", "0644", "/dev/stdin", path], stdin=content).exit_code == 0

    def state(self, unit: str, what: str = "ActiveState") -> str:
        """Return one property of a unit."""
        return self.machine.must("systemctl", "show", "--value", f"--property={what}", unit).strip()

    def identity(self) -> str:
        """Return who the machine's agent is."""
        told = json.loads(self.machine.must("cat", "/var/lib/nannyagent/token.json"))
        return str(told["agent_id"])

    def seen(self) -> dict[str, Any]:
        """Return how the control plane sees the agent; its version is the one in its newest report."""
        answer = self.operator.get(f"/api/agent/{self.identity()}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def operation(self, operation_id: str) -> dict[str, Any]:
        """Return an operation as it stands."""
        found: dict[str, Any] = self.operator.get(f"/api/patches/{operation_id}").json()
        return found

    def until(self, true: Any, what: str) -> None:
        """Wait until something holds."""
        ends = time.monotonic() + WITHIN
        while not true():
            journal = self.machine.run(["journalctl", "--no-pager", "-n", "60"]).stdout.decode()
            assert time.monotonic() < ends, f"not within {WITHIN:.0f} s: {what}\n{journal}"
            time.sleep(0.3)


@pytest.fixture(scope="module", params=SUITES)
def node(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    packages: dict[str, Path],
    plane: Server,
) -> Iterator[Node]:
    need_machines()
    image = machine_image(cache_dir(dict(os.environ)), request.param)
    with (
        SystemdMachine(image, tmp_path_factory.mktemp(request.param), hostname=f"node-{request.param}") as machine,
        TlsDoor(machine.host_address, lambda: plane.port) as door,
        sign_in(plane, "operator") as operator,
        sign_in(plane, "admin") as admin,
    ):
        machine.must("mkdir", "/etc/pve")  # as on a node, where a group may read what is below
        python = machine.must("python3", "-c", DISTRIBUTIONS)
        yield Node(machine, packages, door, operator, admin, of_system(machine.rootfs), python)


def test_it_installs_without_internet_beside_an_untouched_python(node: Node) -> None:
    said = node.install(OLD)
    assert "nanny-agent register && systemctl enable --now nanny-agent" in said
    assert node.machine.must("nanny-agent", "--version").strip() == f"nanny-agent {OLD}"
    assert node.machine.must("python3", "-c", DISTRIBUTIONS) == node.python_before
    came = [line for line in differences(node.before, of_system(node.machine.rootfs)) if "/python3" in line]
    assert [line for line in came if not line.startswith("came: /opt/nanny-agent/")] == []
    assert node.machine.must("dpkg", "--verify", "nanny-agent") == ""
    assert node.machine.must("id", "--name", "--groups", "nannyagent").split() == ["nannyagent", "www-data"]
    inside = "import sys, nanny_ops, msgspec, psutil, proxmoxer; print(sys.prefix, nanny_ops.__file__)"
    told = node.machine.must("/opt/nanny-agent/bin/python", "-I", "-c", inside)
    assert told.split()[0] == "/opt/nanny-agent"


def test_without_an_identity_nothing_fails_and_nothing_is_tried_again(node: Node) -> None:
    assert node.state("nanny-agent-helper.socket") == "active"
    assert (node.state("nanny-agent.service"), node.state("nanny-agent.service", "NRestarts")) == ("inactive", "0")
    assert node.machine.must("systemctl", "is-system-running").strip() == "running"
    assert node.machine.run(["systemctl", "is-enabled", "nanny-agent.service"]).stdout == b"disabled\n"


def test_it_registers_with_a_token_and_reports(node: Node) -> None:
    answer = node.admin.post("/api/enrollment-tokens", json={"name": node.machine.hostname})
    assert answer.status_code == 201, answer.text
    node.write("/etc/nanny-ops/ca.pem", node.door.ca_pem)
    shipped = node.machine.must("cat", "/etc/nanny-ops/agent.toml")
    settings = f'url = "{node.door.url}"\nca_file = "/etc/nanny-ops/ca.pem"\nmetrics_interval = 5\n'
    node.write("/etc/nanny-ops/agent.toml", shipped + settings)
    node.write("/etc/nanny-ops/policy.toml", POLICY)
    node.write("/root/token", answer.json()["token"])
    node.machine.must("chmod", "0600", "/root/token")
    said = node.machine.must("nanny-agent", "register", "--token-file", "/root/token")
    assert "systemctl enable --now nanny-agent" in said
    assert "The helper goes by these keys" in said
    owners = node.machine.must("find", "/var/lib/nannyagent", "-printf", "%u %m %p\\n").splitlines()
    assert {line.split()[0] for line in owners} == {"nannyagent"}, owners
    node.machine.must("systemctl", "enable", "--now", "nanny-agent")
    assert node.state("nanny-agent.service") == "active"
    newest = f"/api/agent/{node.identity()}/metrics/latest"
    node.until(lambda: node.operator.get(newest).status_code == 200, "a report arrives")
    assert node.seen()["health_status"] == "healthy"


def test_it_is_there_again_when_the_machine_was_restarted(node: Node) -> None:
    identity = node.identity()
    node.machine.reboot()
    assert (node.state("nanny-agent.service"), node.state("nanny-agent-helper.socket")) == ("active", "active")
    assert node.identity() == identity
    assert node.machine.must("systemctl", "is-system-running").strip() == "running"


def order(node: Node, script: str) -> str:
    """Order a script to be run on the machine and return the order."""
    added = node.admin.post("/api/scripts", json={"name": f"test-{secrets.token_hex(4)}", "content": script})
    assert added.status_code == 201, added.text
    asked = {"agent_id": node.identity(), "mode": "apply", "script_id": added.json()["id"]}
    ordered = node.operator.post("/api/patches", json=asked)
    assert ordered.status_code == 201, ordered.text
    return str(ordered.json()["id"])


def begin_job(node: Node) -> str:
    """Order a job that goes on until it is let go, wait until it runs, and return its order."""
    node.machine.must("rm", "-f", "/run/job-began", "/run/job-may-end")
    job = order(node, JOB)
    node.until(lambda: node.machine.run(["test", "-e", "/run/job-began"]).exit_code == 0, f"{node.operation(job)}")
    return job


def end_job(node: Node, job: str) -> None:
    """Let a job go; it must come to its ordinary end."""
    node.machine.must("touch", "/run/job-may-end")
    await_end(node, job)


def await_end(node: Node, job: str) -> None:
    """Wait for the ordinary end of a job."""
    node.until(lambda: node.operation(job)["status"] not in ("pending", "delivered", "running"), "the job ends")
    ended = node.operation(job)
    assert (ended["status"], ended["outcome"]) == ("completed", "nothing_to_do"), ended


def test_an_upgrade_keeps_the_identity_and_a_running_job(node: Node) -> None:
    identity, daemon = node.identity(), node.state("nanny-agent.service", "MainPID")
    job = begin_job(node)
    node.install(NEW)
    assert node.machine.must("nanny-agent", "--version").strip() == f"nanny-agent {NEW}"
    assert node.state("nanny-agent.service") == "active"
    assert node.state("nanny-agent.service", "MainPID") != daemon, "the daemon is not the new version"
    node.until(lambda: node.seen()["version"] == NEW, "the new version is seen")
    assert node.operation(job)["status"] == "running"
    end_job(node, job)
    assert node.identity() == identity
    changed = node.machine.must("dpkg", "--verify", "nanny-agent").split()
    assert changed == ["??5??????", "c", "/etc/nanny-ops/agent.toml"]


def test_one_can_go_back_under_a_running_job_too(node: Node) -> None:
    identity, job = node.identity(), begin_job(node)
    node.install(OLD, "--allow-downgrades")
    node.until(lambda: node.seen()["version"] == OLD, "the old version is seen")
    end_job(node, job)
    assert node.identity() == identity


@pytest.mark.one_debian
def test_an_upgrade_that_lost_its_power_is_finished_afterwards(node: Node) -> None:
    identity = node.identity()
    node.machine.put(node.packages[NEW], "/root/agent.deb")
    node.machine.must("dpkg", "--unpack", "/root/agent.deb")
    node.machine.must("sync")
    node.machine.cut_power()
    node.machine.boot()
    node.until(lambda: node.seen()["version"] == NEW, "what was unpacked works already")
    node.machine.must("dpkg", "--configure", "--pending", timeout=120)
    assert node.machine.must("dpkg", "--audit") == ""
    assert (node.state("nanny-agent.service"), node.identity()) == ("active", identity)
    node.install(OLD, "--allow-downgrades")


@pytest.mark.one_debian
def test_a_job_of_the_agent_can_upgrade_the_agent(node: Node) -> None:
    node.machine.put(node.packages[NEW], "/root/agent.deb")
    await_end(node, order(node, UPGRADE))
    assert node.machine.must("nanny-agent", "--version").strip() == f"nanny-agent {NEW}"
    node.until(lambda: node.seen()["version"] == NEW, "the new version is seen")
    assert node.machine.must("dpkg", "--audit") == ""


def test_another_python_is_noticed(node: Node) -> None:
    daemon = node.state("nanny-agent.service", "MainPID")
    node.machine.must("find", "/opt/nanny-agent/lib", "-name", "__pycache__", "-prune", "-exec", "rm", "-r", "{}", "+")
    node.machine.must("dpkg-trigger", "--by-package=python3-minimal", "/usr/bin/python3")
    node.machine.must("dpkg", "--triggers-only", "nanny-agent", timeout=120)
    assert node.state("nanny-agent.service", "MainPID") != daemon
    compiled = node.machine.must("find", "/opt/nanny-agent/lib/python3/site-packages/nanny_ops/agent", "-name", "*.pyc")
    assert "app.cpython-3" in compiled


def test_removing_keeps_identity_and_job_for_the_next_time(node: Node) -> None:
    identity, job = node.identity(), begin_job(node)
    node.machine.must("apt-get", "remove", "--yes", "nanny-agent")
    assert node.machine.run(["systemctl", "is-active", "nanny-agent", "nanny-agent-helper.socket"]).exit_code != 0
    assert node.machine.run(["find", "/opt/nanny-agent"]).exit_code != 0, "something is left in /opt"
    assert node.identity() == identity
    node.machine.must("touch", "/run/job-may-end")
    node.until(lambda: not node.machine.must("systemctl", "list-units", "--plain", "--no-legend", "nanny-job-*"), "end")
    node.install(NEW)
    node.until(lambda: node.seen()["version"] == NEW, "the agent is there again")
    end_job(node, job)
    assert node.identity() == identity


def test_nothing_is_left_when_it_is_purged(node: Node) -> None:
    node.machine.must("apt-get", "purge", "--yes", "nanny-agent")
    assert node.machine.run(["getent", "passwd", "nannyagent"]).exit_code != 0
    assert node.machine.run(["find", "/run/nanny-agent-helper.socket"]).exit_code != 0
    assert node.machine.must("find", "/etc/nanny-ops", "-type", "f").split() == ["/etc/nanny-ops/ca.pem"], (
        "a file that the package does not know is the owner's"
    )
    node.machine.must("rm", "-r", "/etc/nanny-ops")
    node.machine.must("rm", "/root/agent.deb", "/root/token")
    assert differences(node.before, of_system(node.machine.rootfs)) == []
    named = ["find", "/", "-xdev", "-iname", "nanny*", "-not", "-path", "/proc/*"]
    assert node.machine.must(*named) == "", "also where the difference does not look"
    assert node.machine.must("systemctl", "is-system-running").strip() == "running"
