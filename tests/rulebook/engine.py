"""ansible-rulebook as a process: begun, killed at will, begun again; what its plays did stands in a file."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

from tests.house.tree import ROOT

#: Where ./run test rulebook puts what requirements/rulebook.txt locks.
BIN = ROOT / ".cache/rulebook/bin"
COLLECTIONS = ROOT / "ansible/collections"
#: Seconds for the engine to be ready: Java and three programs of Ansible start, on cores that others keep busy.
READY = 120.0
PAUSE = 0.05
#: What the plays do: they say that they began and that they ended, and wait in between while there is a file "hold";
#: each line is one write, so that a kill leaves it whole or away. Then they hold a package back, which is found there
#: when it is done again.
TASKS = """
- name: Work
  ansible.builtin.command:
    argv:
      - /bin/sh
      - -c
      - |
        echo "began $1" >>{home}/did
        while [ -e {home}/hold ]; do sleep 0.1; done
        echo "ended $1" >>{home}/did
      - work
      - "{{{{ ansible_eda.event.nanny.detail.operation_id }}}}"
  changed_when: true  # it writes

- name: Leave a trace in the control plane
  nanny.ops.package_exception:
    url: {url}
    package: "{{{{ ansible_eda.event.nanny.detail.operation_id }}}}"
    reason: "followed up by {{{{ ansible_eda.event.meta.uuid }}}}"
    scope: fleet
"""


class Engine:
    """One rulebook of the collection with a state of its own below ``home``."""

    def __init__(self, home: Path, rulebook: str, url: str, token: str) -> None:
        """Write what it is told; nothing runs yet."""
        home.mkdir(parents=True)
        self.home, self._rulebook = home, rulebook
        self._token = token
        self._log, self._process = home / "log", None
        self._children: list[psutil.Process] = []
        (home / "tasks.yml").write_text(f"---{TASKS.format(home=home, url=url)}")
        (home / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {}}}}))
        told = {
            "NANNY_OPS_URL": url,
            "NANNY_OPS_STATE": str(home / "state"),
            "NANNY_OPS_TASKS": str(home / "tasks.yml"),
            "drools_deduplication_window_size": 100,
            "drools_db_file_path": f"{home}/state/engine;WRITE_DELAY=0",
        }
        (home / "vars.yml").write_text(yaml.safe_dump(told))

    _process: "subprocess.Popen[bytes] | None"

    @property
    def state(self) -> Path:
        """The directory of everything that must survive."""
        return self.home / "state"

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it takes events."""
        kept = {name: os.environ[name] for name in ("LANG", "JAVA_HOME") if name in os.environ}
        environ = {
            **kept,
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "LC_ALL": "C.UTF-8",
            "NANNY_OPS_TOKEN": self._token,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        }
        argv = [BIN / "ansible-rulebook", "--rulebook", f"nanny.ops.{self._rulebook}", "--inventory", "hosts.yml"]
        argv += ["--vars", "vars.yml", "--env-vars", "NANNY_OPS_TOKEN", "--persistence-id", "nanny", "--verbose"]
        with self._log.open("ab") as log:
            began = log.tell()
            self._process = subprocess.Popen(argv, env=environ, cwd=self.home, stdout=log, stderr=log)
        self.await_that(lambda: b"Waiting for events" in self._log.read_bytes()[began:], "the engine is ready", READY)

    def kill(self, plays: bool) -> None:
        """Kill it, with the plays that it runs as a power cut does, or alone."""
        assert self._process is not None
        found = psutil.Process(self._process.pid)
        children = found.children(recursive=True)
        for one in [found, *children] if plays else [found]:
            try:
                one.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        self._process.wait(30)
        self._process = None
        self._children += children

    def close(self) -> None:
        """End whatever still runs."""
        if self.running:
            self.kill(plays=True)
        for one in self._children:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue

    def did(self) -> Counter[str]:
        """Return how often the plays said what: ``began`` or ``ended`` and the order."""
        file = self.home / "did"
        return Counter(file.read_text().splitlines() if file.exists() else [])

    def hold(self, held: bool = True) -> None:
        """Make plays wait in the middle of their work, or go on."""
        if held:
            (self.home / "hold").touch()
        else:
            (self.home / "hold").unlink()

    def await_that(self, true: Callable[[], object], what: str, deadline: float = 180.0) -> None:
        """Wait until something holds."""
        ends = time.monotonic() + deadline
        while not true():
            assert time.monotonic() < ends, f"not within {deadline:.0f} s: {what}\n{self.did()}\n{self.log()[-6000:]}"
            ended = self._process is not None and self._process.poll() is not None
            assert not ended, f"the engine has ended:\n{self.log()[-6000:]}"
            time.sleep(PAUSE)

    def log(self) -> str:
        """Return all it has said."""
        return self._log.read_text(errors="replace")
