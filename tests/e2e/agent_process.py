"""``nanny-agent`` in a process of its own, as it stands on a node of the lab: registered, started, stopped, killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanny_ops.lab.lab import Lab, LabNode
from tests.job_contract import supervisors

#: What the machine's owner allows unless a test says otherwise.
POLICY = 'operations = ["patch", "reboot", "prune", "investigation"]\n'
PROGRAM = Path(sys.executable).parent / "nanny-agent"
#: Seconds: to register (the device flow is polled every five), to be linked, to end.
REGISTER, LINK, STOP = 60, 60, 30


@dataclass
class AgentProcess:
    """One agent; ``directory`` holds its state and its log, ``url`` is where it finds its control plane."""

    lab: Lab
    node: LabNode
    directory: Path
    url: str
    #: Settings beside the usual ones.
    settings: dict[str, str] = field(default_factory=dict)
    id: str = ""
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def state_dir(self) -> Path:
        """Where its token, spool and jobs lie."""
        return self.directory / "state"

    @property
    def log_file(self) -> Path:
        """Where it writes what it has to say."""
        return self.directory / "agent.log"

    @property
    def pid(self) -> int:
        """The number of the running process."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """Return all it has said."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def environment(self) -> dict[str, str]:
        """Return what the process is told: the node's API, and a PATH in which the node's ``pct`` comes first."""
        self.directory.mkdir(parents=True, exist_ok=True)
        secret = self.directory / "pve-token"
        secret.touch(mode=0o600)
        secret.write_text(f"{self.lab.token_id}={self.lab.token_secret}\n")
        policy = self.directory / "policy.toml"
        policy.write_text(POLICY)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("NANNY")}
        return inherited | {
            "PATH": f"{self.node.bin_dir}:{os.environ['PATH']}",
            "NANNYAPI_URL": self.url,
            "NANNY_AGENT_STATE_DIR": str(self.state_dir),
            "NANNY_AGENT_PVE_URL": self.node.url,
            "NANNY_AGENT_PVE_TOKEN_FILE": str(secret),
            "NANNY_AGENT_PVE_CA_FILE": str(self.lab.ca_file),
            "NANNY_AGENT_POLICY_FILE": str(policy),
            "NANNY_AGENT_METRICS_INTERVAL": "5",
            "NANNY_AGENT_PROXMOX_INTERVAL": "30",
            **self.settings,
        }

    def register(self, authorise: Callable[[str], None]) -> None:
        """Go through the device flow; ``authorise`` gets the code that a person would read off the terminal."""
        argv = [PROGRAM, "register"]
        with subprocess.Popen(
            argv, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            said = []
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    said.append(line.strip())
                    if said[-2:-1] == ["and enter the code"]:
                        authorise(said[-1])
                code = process.wait(REGISTER)
            finally:
                process.kill()
        assert code == 0, said
        self.id = json.loads((self.state_dir / "token.json").read_text())["agent_id"]

    def start(self, *, linked: bool = True) -> None:
        """Start the daemon and wait until its stream is open, or with ``linked=False`` do not wait."""
        began = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "run"], env=self.environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        if linked:
            self.wait_for_log("event=link_up", began)

    def wait_for_log(self, text: str, began: int = 0, deadline: float = LINK) -> None:
        """Wait until it has said ``text`` beyond byte ``began`` of its log."""
        ends = time.monotonic() + deadline
        while text.encode() not in self.log_file.read_bytes()[began:]:
            ended = self._process is None or self._process.poll() is not None
            assert not ended, f"the agent ended: {self.log()[-4000:]}"
            assert time.monotonic() < ends, f"the agent did not say {text!r}: {self.log()[-4000:]}"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as a service manager does."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            assert self._process.wait(STOP) == 0, self.log()[-4000:]
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as the kernel does when memory runs out; jobs that it began go on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP)
            self._process = None

    def status(self) -> dict[str, Any]:
        """Return what ``nanny-agent status --json`` prints."""
        done = subprocess.run([PROGRAM, "status", "--json"], env=self.environment(), capture_output=True, timeout=60)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def jobs(self) -> list[str]:
        """Return the operations whose job directories are still there."""
        folder = self.state_dir / "jobs"
        return (
            sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []
        )

    def close(self) -> None:
        """Stop it, and end what its jobs left running."""
        try:
            self.stop()
        finally:
            for pid in processes_naming(str(self.directory)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def processes_naming(text: str) -> list[int]:
    """Return the processes other than this one whose command line or environment names ``text``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                if text.encode() in said:
                    found.append(int(entry.name))
    return sorted(found)


def keepers(directory: Path) -> list[int]:
    """Return the supervisors of the job in ``directory``: who holds its lock open now, and still does in a moment."""
    held = set(supervisors(directory))
    time.sleep(0.1)  # whoever only looks at the job has closed it by then
    return sorted(held & set(supervisors(directory)))
