"""Containers of LXC inside a machine of the lab, and power over those of a cluster whose nodes are machines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanny_ops.errors import MachineError
from nanny_ops.lab.lxc import TOOL_DEADLINE, Container, Usage, age
from nanny_ops.lab.power import LabPower
from nanny_ops.lab.pve.state.guest import Guest, Reading
from nanny_ops.lab.systemd_machine import SystemdMachine
from nanny_ops.machine.run import Done

#: Where a machine has the lab's code, the image of its containers, and what the lab keeps there.
CODE, GUEST_IMAGE, PLACE = "/srv/code", "/srv/guest", Path("/var/lib/lab")
#: Runs the lab's code in a machine, with the one library that it needs there; no byte code is left beside it.
BY_CODE = ("env", f"PYTHONPATH={CODE}:{PLACE}/python", f"PYTHONPYCACHEPREFIX={PLACE}/compiled", "python3")
#: Seconds for a copy of the image, on cores that are busy.
DEED_DEADLINE = 180.0
_DEED = """
import sys
from pathlib import Path
from nanny_ops.lab.lxc import Container
name, deed, *words = sys.argv[1:]
container = Container(name, Path("{path}"))
container.create(Path(words[0]), words[1]) if deed == "create" else getattr(container, deed)(*words)
"""


@dataclass(frozen=True)
class MachineContainer(Container):
    """One container whose ``path`` is one of the machine's."""

    machine: SystemdMachine

    @property
    def rootfs(self) -> Path:
        """Return the root of its file system as this host sees it."""
        return self.machine.rootfs / str(self.path / self.name / "rootfs").lstrip("/")

    def create(self, image: Path, hostname: str) -> None:  # noqa: ARG002 - the machine does not see this host's files
        """Lay the image out that the machine has, whatever lies at ``image`` here. Raises MachineError."""
        self._do("create", GUEST_IMAGE, hostname)

    def start(self) -> None:
        """Start it and return when its init runs. Raises MachineError."""
        done = self._tool("lxc-start", "--daemon")
        if done.exit_code != 0:
            raise MachineError(f"Container {self.name} does not start: {done.stderr.decode(errors='replace')[-800:]}")

    def keep(self, name: str) -> None:
        """Keep what it has written. Raises MachineError."""
        self._do("keep", name)

    def bring_back(self, name: str) -> None:
        """Let a stopped container's files be what was kept. Raises MachineError."""
        self._do("bring_back", name)

    def drop(self, name: str) -> None:
        """Forget what was kept. Raises MachineError."""
        self._do("drop", name)

    def pid(self) -> int | None:
        """Return the process id of its init in the machine, None when either does not run."""
        return super().pid() if self.machine.running else None

    def usage(self) -> Usage | None:
        """Return what it uses now, None when it does not run; a machine's groups do not count memory."""
        pid = self.pid()
        return None if pid is None else Usage(pid, age(pid, Path(f"/proc/{self.machine.pid()}/root/proc")), 0)

    def destroy(self) -> None:
        """Stop it and remove its directory; with the machine off that is left to whoever removes the machine."""
        if self.machine.running:
            self._do("destroy")

    def _do(self, *words: str) -> None:
        deed = _DEED.format(path=self.path)
        self.machine.must(*BY_CODE, "-c", deed, self.name, *words, timeout=DEED_DEADLINE)

    def _tool(self, program: str, *options: str, deadline: float = TOOL_DEADLINE) -> Done:
        return self.machine.run([program, "--lxcpath", str(self.path), "--name", self.name, *options], timeout=deadline)


@dataclass(frozen=True)
class MachinePower(LabPower):
    """Power over containers in machines, by the node's name; ``where`` tells on which node a guest is."""

    machines: Mapping[str, SystemdMachine]
    where: Callable[[int], str]
    _last: dict[int, Reading] = field(default_factory=dict)

    def container(self, vmid: int) -> MachineContainer:
        """Return a real container."""
        return MachineContainer(f"{self.prefix}-{vmid}", PLACE / "lxc", self.machines[self.where(vmid)])

    def read(self, guest: Guest) -> Reading:
        """Return what a guest does; of a node that is off, what it did: so Proxmox VE tells it, too."""
        if guest.real and not self.machines[guest.node].running:
            return self._last.get(guest.vmid, Reading())
        self._last[guest.vmid] = super().read(guest)
        return self._last[guest.vmid]
