"""Short errands inside one virtual machine, wherever in the cluster it is by now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nanny_ops.errors import ProxmoxGone
from nanny_ops.machine.proxmox import guest_agent
from nanny_ops.machine.proxmox.guest_agent import ERRAND, Ended
from nanny_ops.machine.proxmox.power import Guest
from nanny_ops.machine.proxmox.task import PACE, Api, Pace

T = TypeVar("T")


@dataclass
class Inside:
    """One machine by its number; looked up once, and again when it has left the node where it was."""

    api: Api
    vmid: int
    pace: Pace = PACE
    _guest: Guest | None = field(default=None)

    def run(self, argv: Sequence[str], *, seconds: float = ERRAND) -> Ended:
        """Run a program to its end. Raises as :func:`nanny_ops.machine.proxmox.guest_agent.run`."""
        return self._there(lambda guest: guest_agent.run(self.api, guest, argv, seconds=seconds, pace=self.pace))

    def sh(self, text: str, *arguments: str, seconds: float = ERRAND) -> Ended:
        """Run a POSIX sh text with its arguments. Raises as :meth:`run`."""
        return self.run(["sh", "-c", text, "sh", *arguments], seconds=seconds)

    def write(self, path: str, content: bytes) -> None:
        """Write a file and verify it there. Raises as :func:`nanny_ops.machine.proxmox.guest_agent.write_file`."""
        self._there(lambda guest: guest_agent.write_file(self.api, guest, path, content, pace=self.pace))

    def await_ready(self, seconds: float) -> None:
        """Wait until its guest agent answers. Raises as :func:`nanny_ops.machine.proxmox.guest_agent.await_ready`."""
        self._there(lambda guest: guest_agent.await_ready(self.api, guest, seconds, pace=self.pace))

    def guest(self) -> Guest:
        """Return the machine and the node that it is on. Raises ProxmoxGone where nobody knows it."""
        if self._guest is None:
            self._guest = self._find()
        return self._guest

    def _there(self, act: Callable[[Guest], T]) -> T:
        try:
            return act(self.guest())
        except ProxmoxGone:
            before, self._guest = self._guest, None
            if before is None or self.guest().node == before.node:
                raise
        return act(self.guest())

    def _find(self) -> Guest:
        rows: list[dict[str, Any]] = self.api.get("cluster/resources", type="vm")
        for row in rows:
            if row.get("type") == "qemu" and int(row.get("vmid", 0)) == self.vmid:
                return Guest(str(row["node"]), "qemu", self.vmid)
        raise ProxmoxGone(f"Proxmox VE knows no virtual machine {self.vmid}, or its token may not see it.")
