"""Real ansible-playbook runs against a control plane in a process of its own."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.house.tree import ROOT
from tests.integration.control.conftest import Agent, Server, enrol_by, make_server, sign_in

COLLECTIONS = ROOT / "ansible" / "collections"
BIN = Path(sys.executable).parent
#: Seconds for one run of a program of Ansible; a run of ten tasks takes five, many more where all cores are busy.
PATIENCE = 280


@dataclass(frozen=True)
class Told:
    """What one task told on one host."""

    task: str
    host: str
    how: str
    result: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Whether the task says that it changed something."""
        return bool(self.result.get("changed"))


@dataclass(frozen=True)
class Play:
    """What a run came to."""

    code: int
    said: str
    tasks: list[Told]

    def __getitem__(self, task: str) -> Told:
        found = [one for one in self.tasks if one.task == task]
        assert found, f"no task '{task}' was run:\n{self.said[-4000:]}"
        return found[-1]

    def changes(self) -> list[str]:
        """Return the names of the tasks that changed something, in order."""
        return [one.task for one in self.tasks if one.changed]


@dataclass(frozen=True)
class Ansible:
    """Runs Ansible's programs with one person's token."""

    url: str
    token: str
    home: Path

    def program(self, *argv: str, collections: Path = COLLECTIONS, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of Ansible in a home of its own."""
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        told = {
            **kept,
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "NANNY_OPS_URL": self.url,
            "NANNY_OPS_TOKEN": self.token,
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_RETRY_FILES_ENABLED": "false",
            **env,
        }
        return subprocess.run(
            [BIN / argv[0], *argv[1:]],
            env=told,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def play(self, tasks: Sequence[Mapping[str, Any]], *options: str, **env: str) -> Play:
        """Run tasks on this machine, as one play."""
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": list(tasks),
        }
        return self.book([play], *options, **env)

    def book(self, plays: Sequence[Mapping[str, Any]], *options: str, **env: str) -> Play:
        """Run a playbook."""
        file = self.home / f"{uuid.uuid4().hex}.yml"
        file.write_text(yaml.safe_dump(list(plays), sort_keys=False))
        done = self.program("ansible-playbook", *options, str(file), **{"ANSIBLE_STDOUT_CALLBACK": "told", **env})
        lines = [line.removeprefix("TOLD ") for line in done.stdout.splitlines() if line.startswith("TOLD ")]
        return Play(done.returncode, done.stdout + done.stderr, [Told(**json.loads(line)) for line in lines])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane of its own for these tests."""
    running = make_server(tmp_path_factory.mktemp("collection") / "data")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def admin(server: Server) -> Iterator[httpx.Client]:
    """A client signed in as admin of the installation."""
    with sign_in(server, "admin") as client:
        yield client


@pytest.fixture(scope="session")
def ansible(server: Server, admin: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """Ansible with the admin's signed-in token, which may do everything."""
    token = admin.headers["Authorization"].removeprefix("Bearer ")
    return Ansible(server.url, token, tmp_path_factory.mktemp("home"))


@pytest.fixture
def enrol(server: Server, admin: httpx.Client) -> Iterator[Callable[..., Agent]]:
    """A function that enrols a fresh agent: ``enrol(hostname="pve1", platform="debian")``."""
    made: list[Agent] = []

    def one(hostname: str = "", **fields: Any) -> Agent:
        made.append(enrol_by(server, admin, hostname or f"host-{uuid.uuid4().hex[:8]}", **fields))
        return made[-1]

    yield one
    for agent in made:
        agent.client.close()


def task(label: str, module: str, /, check: bool | None = None, **arguments: Any) -> dict[str, Any]:
    """Return a task; with ``check`` it is one of check mode, and shows differences."""
    mode = {} if check is None else {"check_mode": check, "diff": True}
    return {"name": label, f"nanny.ops.{module}": arguments, **mode}
