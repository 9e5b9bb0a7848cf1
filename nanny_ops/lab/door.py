"""How the stand-ins for ``pct``, ``qm`` and ``pvesh`` reach the lab: as root@pam, on a port that no fault lies on.

Real ones change the installation by themselves; these ask the lab's process, which holds its state.
"""

import http.client
import json
import ssl
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from nanny_ops.lab.command_line import Refused

#: The file in the lab's directory that says where the door is.
FILE = "door.json"
#: Header with the node on which a stand-in runs.
NODE_HEADER = "X-Lab-Node"
#: Beginning of the one address that is no part of Proxmox VE's API, and the header that it asks for.
UNLOCK, PASSWORD_HEADER = "/lab/unlock/", "X-Lab-Password"
#: Seconds for one answer, for a whole task, and between two looks at it.
ANSWER, TASK, PAUSE = 60.0, 600.0, 0.05
#: Beginning of Proxmox VE's sentence -> exit code, which is an error number that happened to be left over.
CODES = {
    "Configuration file ": 2,
    "unable to open file ": 2,
    "snapshot ": 255,
    "hostname lookup ": 11,
    "Agent error: ": 29,
    "No QEMU guest agent configured": 2,
    "QEMU guest agent is not running": 2,
    "cfs-lock ": 13,
}


class Declined(Refused):
    """The API says no; ``status`` is its status, ``errors`` the wrong parameters by name."""

    def __init__(self, text: str, status: int, errors: dict[str, str]) -> None:
        """Take the sentence and what came with it."""
        self.status = status
        self.errors = errors
        super().__init__(text, next((code for head, code in CODES.items() if text.startswith(head)), 255))


@dataclass(frozen=True)
class Key:
    """What opens the door: the port of ``host``, root's password, and the release behind it."""

    port: int
    ca_file: str
    password: str
    release: str
    host: str = "127.0.0.1"

    def write(self, directory: Path) -> None:
        """Keep it where only the lab's owner can read it."""
        path = directory / FILE
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))


class Door:
    """The API as a program on one node has it."""

    def __init__(self, directory: Path, node: str) -> None:
        """Read the key; nothing is sent. Raises Refused when the lab is not open."""
        try:
            self.key = Key(**json.loads((directory / FILE).read_text()))
        except FileNotFoundError as wrong:
            raise Refused("the lab is not open") from wrong
        self.node = node
        self._ticket: dict[str, str] = {}

    def ask(self, method: str, path: str, parameters: dict[str, Any] | None = None) -> Any:
        """Return the ``data`` of a call. Raises Declined."""
        if not self._ticket:
            told = self._send("POST", "/access/ticket", {"username": "root@pam", "password": self.key.password}, {})
            cookie = f"PVEAuthCookie={quote(told['ticket'], safe='')}"
            self._ticket = {"Cookie": cookie, "CSRFPreventionToken": told["CSRFPreventionToken"]}
        return self._send(method, path, parameters or {}, self._ticket)

    def conduct(self, method: str, path: str, parameters: dict[str, Any] | None = None) -> list[str]:
        """Make a call, wait for the task that it begins, and return what that said. Raises Declined, Refused."""
        data = self.ask(method, path, parameters)
        return self.finish(data) if isinstance(data, str) and data.startswith("UPID:") else []

    def unlock(self, vmid: int, kind: str) -> None:
        """Take a guest's lock away, which no call of the API can do. Raises Declined."""
        if "lock" not in self.ask("GET", f"/nodes/{self.node}/{kind}/{vmid}/config"):
            raise Refused("no lock found trying to remove any lock")
        self._send("POST", f"{UNLOCK}{vmid}", {}, {PASSWORD_HEADER: self.key.password})

    def finish(self, upid: str) -> list[str]:
        """Wait until a task has ended and return what it said. Raises Refused with its failure."""
        place = f"/nodes/{upid.split(':')[1]}/tasks/{quote(upid, safe=':@!')}"
        until = time.monotonic() + TASK
        while (status := self.ask("GET", f"{place}/status"))["status"] != "stopped":
            if time.monotonic() > until:
                raise Refused(f"the task {upid} does not end")
            time.sleep(PAUSE)
        lines = [str(row["t"]) for row in self.ask("GET", f"{place}/log", {"limit": 5000})]
        said = [line for line in lines if not line.startswith(("TASK ", "no content"))]
        if status["exitstatus"] != "OK" and not status["exitstatus"].startswith("WARNINGS: "):
            raise TaskFailed(status["exitstatus"], said)
        return said

    def _send(self, method: str, path: str, parameters: dict[str, Any], headers: dict[str, str]) -> Any:
        context = ssl.create_default_context(cafile=self.key.ca_file)
        connection = http.client.HTTPSConnection(self.key.host, self.key.port, timeout=ANSWER, context=context)
        form = urlencode(parameters, doseq=True)
        target = (path if path.startswith(UNLOCK) else f"/api2/json{path}") + (
            f"?{form}" if form and method in {"GET", "DELETE"} else ""
        )
        body = form if method in {"POST", "PUT"} else None
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        try:
            connection.request(method, target, body, {NODE_HEADER: self.node, **kind, **headers})
            reply = connection.getresponse()
            content = reply.read()
        except OSError as wrong:
            raise Refused("the lab does not answer") from wrong
        finally:
            connection.close()
        found = json.loads(content) if content else {}
        if reply.status >= 400:
            raise Declined(reply.reason, reply.status, found.get("errors") or {})
        return found.get("data")


class TaskFailed(Refused):
    """A task ended badly; ``said`` is what it said before."""

    def __init__(self, text: str, said: list[str]) -> None:
        """Take the exit status and the lines."""
        self.said = said
        super().__init__(text)
