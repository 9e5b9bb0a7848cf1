"""No secret that a rollout hands out is written to the controller's disk: its raw blocks are searched for each."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.package import build
from release.wheel import architecture
from tests.integration.control.conftest import Server, sign_in
from tests.machines.conftest import SUITES, need_machines
from tests.machines.disk_image import TOKEN, DiskImage
from tests.machines.playbook import COLLECTIONS, Controller
from tests.machines.tls_door import TlsDoor

pytestmark = [pytest.mark.machine, pytest.mark.one_debian, pytest.mark.timeout(1800)]
#: Written and deleted at once, to see that the search finds what is deleted; and sent to a module that becomes a file.
DELETED, SENT = b"nsk_" + b"d" * 43, b"nsk_" + b"s" * 43
LEAKY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.command: {argv: [cat], stdin: "{{ lookup('ansible.builtin.env', 'SENT') }}"}
      vars: {ansible_pipelining: false}
      no_log: true
"""


@dataclass
class Desk:
    """A controller whose home, temporary files, logs and working directory are all on one image."""

    image: DiskImage
    machine: SystemdMachine
    door: TlsDoor
    variables: dict[str, Any]
    environ: dict[str, str]
    key: Path
    said: list[str] = field(default_factory=list)

    def role(self, **variables: Any) -> None:
        """Run the role with all that Ansible can tell."""
        (self.image.place / "vars.json").write_text(json.dumps(self.variables | variables))
        play = [{"hosts": "all", "gather_facts": False, "roles": [{"role": "nanny.ops.agent"}]}]
        self.play(json.dumps(play), "--extra-vars", "@vars.json")

    def play(self, text: str, *options: str) -> None:
        """Run a playbook from the image."""
        (self.image.place / "book.yml").write_text(text)
        known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        argv = [Path(sys.executable).parent / "ansible-playbook", "-vvvv", "--inventory", f"{self.machine.address},"]
        argv += ["--user", "root", "--private-key", self.key, "--ssh-common-args", known, *options, "book.yml"]
        with (self.image.place / "said").open("ab") as said:
            done = subprocess.run(argv, cwd=self.image.place, env=self.environ, stdout=said, stderr=said, timeout=600)
        assert done.returncode == 0, (self.image.place / "said").read_text()[-3000:]


@pytest.fixture
def desk(tmp_path: Path, plane: Server) -> Iterator[Desk]:
    need_machines()
    controller = Controller(tmp_path, {})
    heard = bytearray()
    image = machine_image(cache_dir(dict(os.environ)), SUITES[0])
    with (
        DiskImage(tmp_path / "disk") as disk,
        SystemdMachine(image, tmp_path / "machine", hostname="pve1") as machine,
        TlsDoor(machine.host_address, lambda: plane.port, heard=heard) as door,
        sign_in(plane, "admin") as admin,
    ):
        controller.admit("pve1", machine)
        token = admin.post("/api/tokens", json={"name": "rollout", "scopes": ["read", "enrol", "admin"]}).json()
        authority = tmp_path / "ca.pem"
        authority.write_bytes(door.ca_pem)
        (disk.place / "tmp").mkdir()
        environ = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(disk.place),
            "TMPDIR": str(disk.place / "tmp"),
            "ANSIBLE_HOME": str(disk.place / "ansible"),
            "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=no",
            "ANSIBLE_LOG_PATH": str(disk.place / "log"),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "SENT": SENT.decode(),
            "NANNY_OPS_TOKEN": token["token"],
            "NANNY_OPS_CA_FILE": str(authority),
        }
        variables = {
            "agent_package": str(build("9.0.0", 1_760_000_000, tmp_path, architecture())),
            "agent_url": door.url,
            "agent_ca_certificate": door.ca_pem.decode(),
            "agent_settings": {"metrics_interval": 5},
        }
        yield Desk(disk, machine, door, variables, environ, controller.key)


def test_two_ways_of_enrolment_leave_no_secret_in_any_block(desk: Desk) -> None:
    for way in ("token", "device"):
        desk.role(agent_enrolment=way)
        desk.role(agent_state="purged")
    said = (desk.image.place / "said").read_text()
    assert said.count("Register the machine with that token") >= 1
    assert said.count("Allow it with the operator's token") >= 1
    secrets = {found.group() for found in TOKEN.finditer(bytes(desk.door.heard or b""))}
    kinds = {kind: sum(one.startswith(kind) for one in secrets) for kind in (b"nop_", b"nsk_", b"eyJ")}
    assert min(kinds.values()) >= 1, f"what was handed out was not heard: {kinds}"
    assert desk.environ["NANNY_OPS_TOKEN"].encode() in secrets

    (desk.image.place / "deleted").write_bytes(DELETED)
    (desk.image.place / "deleted").unlink()
    desk.play(LEAKY)
    assert desk.image.found({*secrets, DELETED, SENT}) == {DELETED, SENT}
