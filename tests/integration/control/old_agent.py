"""An agent from before the guide, at the level of what it sends and what it looks at in an answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.integration.control.conftest import Server, client_of

CHANNELS = ["investigations", "patch_operations", "reboot_operations"]
#: What it says of itself while it polls: little, and half of it wrong.
CLAIM: dict[str, Any] = {
    "hostname": "old-pve1",
    "platform": "",
    "platform_family": "debian",
    "version": "1.0.0",
    "primary_ip": "",
    "kernel_version": "",
    "all_ips": None,
    "os_type": "linux",
}
MEASURED: dict[str, Any] = {
    "cpu_percent": 12.5,
    "cpu_cores": 16,
    "memory_used_gb": 30.5,
    "memory_total_gb": 64.0,
    "memory_percent": 47.66,
    "disk_used_gb": 14.71,
    "disk_total_gb": 100.0,
    "disk_usage_percent": 14.71,
    "filesystems": [
        {"device": "", "mount_path": "/", "used_gb": 14.71, "free_gb": 25.55, "total_gb": 100, "usage_percent": 36.54}
    ],
    "load_average": {"one_min": 2.15, "five_min": 1.98, "fifteen_min": 1.76},
    "network_stats": {"in_gb": 123.45, "out_gb": 67.89},
    "kernel_version": "6.8.12-4-pve",
}
METRICS: dict[str, Any] = {
    "action": "ingest-metrics",
    "system_metrics": MEASURED,
    "os_info": "debian",
    "os_version": "12.11",
    "os_type": "linux",
    "platform_family": "debian",
    "version": "0.0.15",
    "primary_ip": "192.0.2.5",
    "kernel_version": "6.8.12-4-pve",
    "arch": "x86_64",
    "all_ips": ["192.0.2.5", "172.17.0.1"],
}


@dataclass(frozen=True)
class OldAgent:
    """An enrolled agent: a client that speaks for it, and the whole answer to its registration."""

    client: httpx.Client
    tokens: dict[str, Any]

    @property
    def id(self) -> str:
        """Its id."""
        name: str = self.tokens["agent_id"]
        return name

    def say(self, **body: Any) -> httpx.Response:
        """Send an action."""
        return self.client.post("/api/agent", json=body)

    def report(self, **measured: Any) -> httpx.Response:
        """Send a reading, as it does every thirty seconds."""
        return self.say(**{**METRICS, "system_metrics": {**MEASURED, **measured}})

    def deliver(self, operation_id: str, stdout: str, exit_code: str = "0", **parts: str) -> httpx.Response:
        """Upload a result."""
        files: dict[str, Any] = {name: (None, text) for name, text in {"exit_code": exit_code, **parts}.items()}
        files["stdout_file"] = ("stdout.txt", stdout.encode(), "application/octet-stream")
        files["stderr_file"] = ("stderr.txt", b"", "application/octet-stream")
        return self.client.post(f"/api/patches/{operation_id}/result", files=files)


class OldStream:
    """One open stream, read line by line; a listener that hangs up loses what it has not read."""

    def __init__(self, agent: OldAgent, patience: float = 10) -> None:
        self._agent = agent
        self._open = agent.client.stream("GET", "/api/realtime", timeout=patience)
        self.response = self._open.__enter__()
        assert self.response.status_code == 200
        self._lines: Iterator[str] = self.response.iter_lines()

    def __enter__(self) -> "OldStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.__exit__(None, None, None)

    def frame(self) -> list[str]:
        """Return the lines of the next event."""
        lines: list[str] = []
        for line in self._lines:
            if line and not line.startswith(":"):
                lines.append(line)
            elif lines:
                return lines
        raise EOFError

    def subscribe(self) -> "OldStream":
        """Read the first event and bind the stream."""
        name = json.loads(self.frame()[2].removeprefix("data:"))["clientId"]
        answer = self._agent.client.post("/api/realtime", json={"clientId": name, "subscriptions": CHANNELS})
        assert (answer.status_code, answer.content) == (204, b"")
        return self

    def created(self) -> dict[str, Any]:
        """Return the next record on which it would act: it reads data alone, and drops lines with a certain word."""
        while True:
            data = next(line for line in self.frame() if line.startswith("data:")).removeprefix("data:")
            if "clientId" not in data and (said := json.loads(data))["action"] == "create":
                record: dict[str, Any] = said["record"]
                return record

    def is_silent(self) -> bool:
        """Tell whether nothing to act on comes for the listener's patience; the stream cannot be read after that."""
        try:
            self.created()
        except httpx.ReadTimeout:
            return True
        return False


def claim(http: httpx.Client, device_code: str, **fields: Any) -> httpx.Response:
    """Poll once."""
    return http.post("/api/agent", json={"action": "register", "device_code": device_code, **CLAIM, **fields})


def enrol_old(server: Server, person: httpx.Client, **fields: Any) -> OldAgent:
    """Take an agent through the device flow of its dialect."""
    with httpx.Client(base_url=server.url, timeout=20) as http:
        started = http.post("/api/agent", json={"action": "device-auth-start"}).json()
        allow = {"action": "authorize", "user_code": started["user_code"]}
        person.post("/api/agent", json=allow).raise_for_status()
        answer = claim(http, started["device_code"], **fields)
        answer.raise_for_status()
    return OldAgent(client_of(server, answer.json()["access_token"]), answer.json())
