"""The control plane's wheelhouse on a machine without internet: its unit runs the playbooks that it brings."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.product import CONTROL_PLANE
from release.wheel import MACHINES, architecture
from release.wheelhouse import build
from tests.machines.conftest import SUITES, need_machines

# The first one may have to make the image and to fetch seventy megabytes of wheels.
pytestmark = [pytest.mark.machine, pytest.mark.one_debian, pytest.mark.timeout(900)]
EPOCH = 1_760_000_000
VERSION = "9.0.0"
URL = "http://127.0.0.1:8000"
FOLDER = "/etc/nanny-ops/playbooks"
#: In the order's check nobody installs it, so that its name says all.
PACKAGE = "nanny-agent_9.0.0_amd64.deb"
#: As docs/playbooks.md has it.
KEY = "/etc/nanny-ops/playbook-ssh-key"
DROP_IN = f"""[Service]
LoadCredential=playbook-ssh-key:{KEY}
Environment=NANNY_PLAYBOOK_SSH_KEY_FILE=%d/playbook-ssh-key NANNY_PLAYBOOK_REMOTE_USER=root
Environment=NANNY_PLAYBOOK_DIR={FOLDER} NANNY_PUBLIC_URL={URL}
"""
PREPARE = f"""set -e
ssh-keygen -A && systemctl start ssh.service
ssh-keygen -q -t ed25519 -N '' -f {KEY}
mkdir -p -m 700 /root/.ssh && cp {KEY}.pub /root/.ssh/authorized_keys && cp {KEY} /root/.ssh/key
mkdir -p {FOLDER}/packages /etc/systemd/system/nanny-ops.service.d && touch {FOLDER}/packages/{PACKAGE}
cat >/etc/systemd/system/nanny-ops.service.d/playbooks.conf
systemctl daemon-reload
systemctl start nanny-ops.service
"""
ADMIN = "/usr/local/sbin/nanny-ops-admin"
ACCOUNT = (ADMIN, "user", "add", "--email", "admin@example.com", "--role", "admin", "--local", "--password-stdin")
TOKEN = (ADMIN, "token", "add", "--json", "--as", "admin@example.com", "--name", "test", "--minutes", "60")


class Plane:
    """A machine with the control plane, and who signs in there."""

    def __init__(self, machine: SystemdMachine) -> None:
        self.machine = machine
        made = machine.run(ACCOUNT, stdin=b"only for this test\n")
        assert made.exit_code == 0, made.stderr
        self.token = json.loads(machine.must(*TOKEN, "--scope=read", "--scope=admin"))["token"]
        key = machine.must("cut", "-d ", "-f1,2", "/etc/ssh/ssh_host_ed25519_key.pub")
        assert machine.run(["tee", "/root/keys"], stdin=f"{machine.address} {key}".encode()).exit_code == 0

    def ask(self, *words: str) -> tuple[int, str, str]:
        """Type ``nanny-ops`` there; return exit code, output and errors."""
        env = {"NANNY_URL": URL, "NANNY_TOKEN": self.token, "PATH": "/usr/local/bin:/usr/sbin:/usr/bin"}
        done = self.machine.run(["nanny-ops", *words], timeout=180, env=env)
        return done.exit_code, done.stdout.decode(), done.stderr.decode()

    def play(self, playbook: str, *words: str) -> dict[str, Any]:
        """Have a playbook run against the machine itself and return what came of it."""
        host = ("--new-host", f"self={self.machine.address}", "--host-keys", "/root/keys", "--limit", "new")
        code, told, wrong = self.ask("playbook", "run", playbook, *host, *words, "--watch", "--json")
        assert code == 0, told + wrong
        ended: dict[str, Any] = json.loads(told.splitlines()[-1])
        return ended


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    need_machines()
    place = tmp_path_factory.mktemp("plane")
    built = build(VERSION, EPOCH, place, MACHINES[architecture()], product=CONTROL_PLANE)
    shutil.unpack_archive(built, place / "house", filter="data")
    with SystemdMachine(machine_image(cache_dir(dict(os.environ)), SUITES[0]), place / "machine") as machine:
        machine.put(place / "house", "/root/house")
        machine.must("/root/house/install.sh", "--service", timeout=300)
        prepared = machine.run(["sh", "-c", PREPARE], stdin=DROP_IN.encode(), timeout=120)
        assert prepared.exit_code == 0, prepared.stderr
        await_answer(machine)
        yield Plane(machine)


def await_answer(machine: SystemdMachine) -> None:
    """Wait a minute at most until the control plane is asked."""
    ends = time.monotonic() + 60
    ready = ["python3", "-c", f"import urllib.request as r; r.urlopen('{URL}/health/ready', timeout=5)"]
    while machine.run(ready).exit_code:
        assert time.monotonic() < ends
        time.sleep(0.5)


def test_its_user_reads_what_was_installed_and_writes_none_of_it(plane: Plane) -> None:
    as_user = ["runuser", "-u", "nanny-ops", "--", "find", "/opt/nanny-ops", "-not", "-type", "l"]
    assert plane.machine.must(*as_user, "(", "-writable", "-o", "-not", "-readable", ")") == ""
    assert plane.machine.must("find", "/opt/nanny-ops", "-not", "-user", "root") == ""
    assert plane.machine.must("/root/house/install.sh", "--verify") == ""


def test_a_run_ends_well_under_the_unit(plane: Plane) -> None:
    assert plane.play("facts")["outcome"] == "ok"
    words = (f"rollout_package={PACKAGE}", f"agent_url={URL}")
    ended = plane.play("rollout_agents", *(word for pair in words for word in ("--var", pair)), "--check")
    assert (ended["outcome"], ended["hosts"]["self"]["failures"]) == ("ok", 0)
    assert ended["hosts"]["self"]["changed"] >= 3, "the role of the collection was played"


def test_a_key_that_the_unit_hides_is_told(plane: Plane) -> None:
    hidden = b"[Service]\nEnvironment=NANNY_PLAYBOOK_SSH_KEY_FILE=/root/.ssh/key\n"
    drop_in = "/etc/systemd/system/nanny-ops.service.d/wrong.conf"
    assert plane.machine.run(["tee", drop_in], stdin=hidden).exit_code == 0
    plane.machine.must("systemctl", "daemon-reload")
    plane.machine.must("systemctl", "restart", "nanny-ops.service")
    await_answer(plane.machine)
    code, _, said = plane.ask("playbook", "run", "facts")
    assert code != 0
    assert "The setting is playbook_ssh_key_file" in said
    assert "below /root and /home" in said
