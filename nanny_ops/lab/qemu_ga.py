"""A real QEMU guest agent as the inside of a lab's machine: its own program, spoken to over a unix socket.

It needs no virtual machine: ``qemu-ga --method=unix-listen`` serves the same commands from any Linux with files of its
own. The protocol is JSON, a line each way (QEMU's ``qga/qapi-schema.json``).
"""

import base64
import errno
import itertools
import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.guest import Guest
from nanny_ops.lab.pve.state.guest_agent import Ended, Inside

#: Seconds for one answer, for a whole program, and between two looks at it.
ANSWER, LONGEST, PAUSE = 10.0, 3600.0, 0.05
#: Bytes of a file that are read with one command.
PIECE = 1 << 20


class AgentRefused(Exception):
    """The agent answered with an error; the text is what it says."""


@dataclass
class RealInside:
    """The insides of machines: those with a socket are real, all others as ``others`` has them."""

    sockets: Mapping[int, Path]
    others: Inside
    closing: Callable[[], bool] = lambda: False
    _marks: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1_000_000))

    def has(self, guest: Guest, program: str) -> bool:
        """Return whether there is such a program. Raises Refusal in the words of Proxmox VE."""
        if guest.vmid not in self.sockets:
            return self.others.has(guest, program)
        try:
            return self._run(guest, ["sh", "-c", 'command -v "$1"', "sh", program], b"").code == 0
        except AgentRefused as wrong:
            raise Refusal(500, f"Agent error: {wrong}") from wrong
        except OSError as wrong:
            raise Refusal(500, "QEMU guest agent is not running") from wrong

    def run(self, guest: Guest, argv: Sequence[str], stdin: bytes) -> Ended:
        """Run a program to its end; one whose agent was restarted is lost."""
        if guest.vmid not in self.sockets:
            return self.others.run(guest, argv, stdin)
        try:
            return self._run(guest, argv, stdin)
        except (AgentRefused, OSError, ValueError):
            return Ended(None, lost=True)

    def read(self, guest: Guest, path: str) -> bytes:
        """Return a file's content. Raises OSError."""
        if guest.vmid not in self.sockets:
            return self.others.read(guest, path)
        handle, content = self._open(guest, path, "r"), bytearray()
        try:
            while True:
                told = self.ask(guest.vmid, "guest-file-read", handle=handle, count=PIECE)
                content += base64.b64decode(told["buf-b64"])
                if told["eof"]:
                    return bytes(content)
        finally:
            self.ask(guest.vmid, "guest-file-close", handle=handle)

    def write(self, guest: Guest, path: str, content: bytes) -> None:
        """Write a file. Raises OSError."""
        if guest.vmid not in self.sockets:
            self.others.write(guest, path, content)
            return
        handle = self._open(guest, path, "w+")
        try:
            self.ask(
                guest.vmid, "guest-file-write", **{"handle": handle, "buf-b64": base64.b64encode(content).decode()}
            )
        finally:
            self.ask(guest.vmid, "guest-file-close", handle=handle)

    def ask(self, vmid: int, command: str, **arguments: Any) -> Any:
        """Return what one command results in. Raises AgentRefused, and OSError where nobody answers."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER)
            line.connect(str(self.sockets[vmid]))
            mark = next(self._marks)
            for said in (
                {"execute": "guest-sync", "arguments": {"id": mark}},
                {"execute": command, "arguments": arguments},
            ):
                line.sendall(json.dumps(said).encode() + b"\n")
            with line.makefile("rb") as answers:
                while (told := _answer(answers.readline())).get("return") != mark:
                    continue  # left over from somebody who did not wait for it
                told = _answer(answers.readline())
        if "error" in told:
            raise AgentRefused(str(told["error"].get("desc", told["error"])))
        return told["return"]

    def _open(self, guest: Guest, path: str, mode: str) -> int:
        try:
            return int(self.ask(guest.vmid, "guest-file-open", path=path, mode=mode))
        except AgentRefused as wrong:
            raise FileNotFoundError(errno.ENOENT, str(wrong).rpartition(": ")[2], path) from wrong

    def _run(self, guest: Guest, argv: Sequence[str], stdin: bytes) -> Ended:
        given = {"input-data": base64.b64encode(stdin).decode()} if stdin else {}
        pid = self.ask(
            guest.vmid, "guest-exec", **{"path": argv[0], "arg": [*argv[1:]], "capture-output": True, **given}
        )["pid"]
        until = time.monotonic() + LONGEST
        while time.monotonic() < until and not self.closing():
            told = self.ask(guest.vmid, "guest-exec-status", pid=pid)
            if told["exited"]:
                code = -int(told["signal"]) if "signal" in told else int(told["exitcode"])
                out, err = (base64.b64decode(told.get(name, "")) for name in ("out-data", "err-data"))
                return Ended(code, out, err)
            time.sleep(PAUSE)
        return Ended(None)


def _answer(line: bytes) -> dict[str, Any]:
    """Read one line of the agent. Raises ConnectionResetError where it said nothing more."""
    if not line:
        raise ConnectionResetError(errno.ECONNRESET, "The guest agent has hung up.")
    told: dict[str, Any] = json.loads(line)
    return told
