"""A playbook that the control plane runs reaches a whole machine over SSH, by the inventory and the key it is given."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from tests.integration.control.conftest import Server, enrol_by, make_server, sign_in
from tests.integration.control.test_playbook_api import ended, order
from tests.machines.conftest import SUITES, need_machines

pytestmark = [pytest.mark.machine, pytest.mark.one_debian, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    """A machine with sshd."""
    need_machines()
    home = tmp_path_factory.mktemp("ssh") / "machine"
    with SystemdMachine(machine_image(cache_dir(dict(os.environ)), SUITES[0]), home) as booted:
        booted.must("ssh-keygen", "-A")
        booted.must("systemctl", "start", "ssh.service")
        yield booted


@pytest.fixture
def site(machine: SystemdMachine, tmp_path: Path) -> Iterator[Server]:
    """A control plane with a key that the machine lets in; it knows no host's key yet."""
    key, known = tmp_path / "key", tmp_path / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    machine.must("mkdir", "-p", "-m", "700", "/root/.ssh")
    machine.put(key.with_suffix(".pub"), "/root/.ssh/authorized_keys")
    known.write_text("")
    named = {"NANNY_PLAYBOOK_SSH_KEY_FILE": str(key), "NANNY_PLAYBOOK_KNOWN_HOSTS_FILE": str(known)}
    server = make_server(tmp_path / "data", NANNY_PLAYBOOK_REMOTE_USER="root", **named)
    server.start()
    yield server
    server.stop()


def test_facts_of_a_machine_that_is_known_and_none_of_one_that_is_not(site: Server, machine: SystemdMachine) -> None:
    with sign_in(site, "admin") as boss:
        enrol_by(site, boss, "node1", platform="debian", primary_ip=machine.address).client.close()
        stranger = ended(boss, order(boss, "facts", limit=["node1"]))
        assert (stranger["outcome"], stranger["hosts"]["node1"]["unreachable"]) == ("unreachable", 1), stranger
        host_key = machine.must("cat", "/etc/ssh/ssh_host_ed25519_key.pub")
        Path(site.env["NANNY_PLAYBOOK_KNOWN_HOSTS_FILE"]).write_text(f"{machine.address} {host_key}")
        run = ended(boss, order(boss, "facts", limit=["agents"]))
        assert (run["outcome"], run["hosts"]["node1"]["ok"]) == ("ok", 4), run
        events = boss.get(f"/api/playbook-runs/{run['id']}/events").json()["items"]
        told = next(event["message"] for event in events if event.get("task") == "Tell both" and event.get("host"))
        assert told.startswith("Debian ")
        assert "MiB free on /" in told
        run = ended(boss, order(boss, "facts", vars={"least_free_mb": 10**9}))
        assert (run["outcome"], run["reason"]) == ("play_failed", "It failed on node1.")
