"""A whole machine with the agent from a wheelhouse, under its own units, that reaches a control plane and a lab."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from nanny_ops.lab.image import cache_dir
from nanny_ops.lab.machine_image import machine_image
from nanny_ops.lab.systemd_machine import SystemdMachine
from release.wheel import MACHINES, architecture
from release.wheelhouse import build
from tests.machines.tls_door import TlsDoor

KIB = 1024
#: Has the helper started and keeps it busy with one verb.
ASK = """
import asyncio, pathlib
from nanny_ops.agent.helper_socket import HelperSocket
from nanny_ops.machine.verbs import DescribeHelper
asyncio.run(HelperSocket(pathlib.Path("/run/nanny-agent-helper.socket")).do(DescribeHelper()))
"""


class Unit:
    """One service of the machine, as its own /proc tells of it."""

    def __init__(self, machine: SystemdMachine, name: str) -> None:
        self._machine = machine
        self._pid = machine.must("systemctl", "show", "--value", "--property=MainPID", f"{name}.service").strip()

    def pss(self) -> int:
        """Return its memory in bytes."""
        said = self._machine.must("cat", f"/proc/{self._pid}/smaps_rollup")
        return next(int(line.split()[1]) for line in said.splitlines() if line.startswith("Pss:")) * KIB

    def cpu_seconds(self) -> float:
        """Return user and system time, with that of children that were waited for."""
        fields = self._machine.must("cat", f"/proc/{self._pid}/stat").rpartition(")")[2].split()
        return sum(int(one) for one in fields[11:15]) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def machine_with_agent(port: int, token: str, pve: dict[str, str]) -> Iterator[SystemdMachine]:
    """Install the agent, give it an identity and settings, and start its units."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nanny-bench-")))
        house = build("9.0.0", 1_760_000_000, place, MACHINES[architecture()])
        image = machine_image(cache_dir(dict(os.environ)), "trixie")
        machine = stack.enter_context(SystemdMachine(image, place / "machine"))
        door = stack.enter_context(TlsDoor(machine.host_address, lambda: port))
        shutil.unpack_archive(house, place / "house", filter="data")
        machine.put(place / "house", "/root/house")
        machine.must("/root/house/install.sh", "--service", timeout=180)
        settings = {"url": door.url, "ca_file": "/etc/nanny-ops/ca.pem"}
        _write(machine, "/etc/nanny-ops/ca.pem", door.ca_pem.decode())
        if pve:
            address = urlsplit(pve["NANNY_AGENT_PVE_URL"])
            own = stack.enter_context(_forwarded(machine.host_address, address.port or 443))
            settings |= {
                "pve_url": f"https://{machine.host_address}:{own}",
                "pve_token": pve["NANNY_AGENT_PVE_TOKEN"],
                "pve_fingerprint": _fingerprint(address.hostname or "", address.port or 443),
            }
        shipped = machine.must("cat", "/etc/nanny-ops/agent.toml")
        _write(machine, "/etc/nanny-ops/agent.toml", shipped + _toml(settings))
        _write(machine, "/var/lib/nannyagent/token.json", token, "0600", "nannyagent")
        machine.must("systemctl", "enable", "--now", "nanny-agent")
        yield machine


def ask_helper(machine: SystemdMachine) -> None:
    """Have the helper do something, so that it is there."""
    machine.must("runuser", "-u", "nannyagent", "--", "/opt/nanny-agent/current/bin/python", "-c", ASK)


def _toml(settings: dict[str, str]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


def _write(machine: SystemdMachine, path: str, text: str, mode: str = "0644", owner: str = "root") -> None:
    argv = ["install", "-m", mode, "-o", owner, "/dev/stdin", path]
    assert machine.run(argv, stdin=text.encode()).exit_code == 0, path


def _fingerprint(host: str, port: int) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, port)))).hexdigest()


@contextlib.contextmanager
def _forwarded(host: str, port: int) -> Iterator[int]:
    """Hand connections to an address of this host on to a port of its loopback."""
    listener = socket.create_server((host, 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = listener.accept()
                other = socket.create_connection(("127.0.0.1", port))
                for pair in ((one, other), (other, one)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
