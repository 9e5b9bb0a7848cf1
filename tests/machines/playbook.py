"""Runs playbooks of the collection over SSH, as an administrator does from their own machine."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from nanny_ops.lab.systemd_machine import SystemdMachine
from tests.house.tree import ROOT

COLLECTIONS = ROOT / "ansible/collections"
#: Seconds for a playbook; a role takes half a minute on idle cores.
PATIENCE = 300.0


@dataclass
class Play:
    """What a run came to; ``events`` are those of ansible-runner."""

    exit_code: int
    events: list[dict[str, Any]]
    said: str

    def changed(self, host: str) -> list[str]:
        """Return the names of the tasks that changed something at a host."""
        return [name for name, done in self._done(host, "runner_on_ok") if done.get("changed")]

    def done(self, host: str) -> list[str]:
        """Return the names of the tasks that a host had to do."""
        return [name for name, _ in self._done(host, "runner_on_ok")]

    def failures(self) -> list[str]:
        """Return what hosts said that failed."""
        bad = ("runner_on_failed", "runner_on_unreachable")
        return [
            f"{event['event_data'].get('task')}: {json.dumps(event['event_data'].get('res'))[:3000]}"
            for event in self.events
            if event["event"] in bad
        ]

    def _done(self, host: str, kind: str) -> list[tuple[str, dict[str, Any]]]:
        told = (event["event_data"] for event in self.events if event["event"] == kind)
        return [(data["task"], data.get("res") or {}) for data in told if data["host"] == host]


@dataclass
class Controller:
    """A directory from which playbooks run, with a key of its own; ``environ`` is what plugins are told."""

    home: Path
    environ: Mapping[str, str]
    hosts: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Path:
        """Return the private key, made when it is first asked for."""
        made = self.home / "id_ed25519"
        if not made.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made], check=True)
        return made

    def admit(self, name: str, machine: SystemdMachine) -> None:
        """Have a machine let this controller in as root."""
        public = self.key.with_suffix(".pub").read_bytes()
        machine.must("mkdir", "-p", "-m", "700", "/root/.ssh")
        assert machine.run(["tee", "/root/.ssh/authorized_keys"], stdin=public).exit_code == 0
        self.hosts[name] = machine.address

    def role(self, name: str, variables: Mapping[str, Any], *options: str) -> Play:
        """Run one role at all hosts."""
        roles = [{"role": f"nanny.ops.{name}"}]
        return self.play([{"hosts": "all", "gather_facts": False, "roles": roles}], variables, *options)

    def play(self, plays: list[dict[str, Any]], variables: Mapping[str, Any], *options: str) -> Play:
        """Run plays with extra variables; JSON is YAML."""
        book = self.home / "book.yml"
        book.write_text(json.dumps(plays))
        return self.run(book, variables, *options)

    def run(self, book: Path, variables: Mapping[str, Any], *options: str) -> Play:
        """Run a playbook that lies in a file."""
        place = self.home / f"run{self.count()}"
        place.mkdir()
        done = ansible_runner.run(
            private_data_dir=str(place),
            playbook=str(book),
            inventory={"all": {"hosts": {name: self._host(address) for name, address in self.hosts.items()}}},
            extravars=dict(variables),
            envvars=self._environ(),
            cmdline=" ".join(options) or None,
            quiet=True,
            timeout=PATIENCE,
        )
        with done.stdout as said:
            return Play(done.rc, list(done.events), said.read())

    def count(self) -> int:
        """Return how many runs there have been."""
        return len(list(self.home.glob("run*")))

    def _host(self, address: str) -> dict[str, str]:
        known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlMaster=no"
        return {
            "ansible_host": address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": known,
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def _environ(self) -> dict[str, str]:
        own = {
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": str(self.home / "tmp"),
            "ANSIBLE_HOME": str(self.home / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        return {**own, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **self.environ}
