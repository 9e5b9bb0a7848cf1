"""Who runs which guest of a lab: LXC, the simulation, or nobody (virtual machines are figures only)."""

from dataclasses import dataclass
from pathlib import Path

from nanny_ops.lab import demo_guest
from nanny_ops.lab.lxc import Container
from nanny_ops.lab.pve.state.guest import Figures, Guest, Reading
from nanny_ops.lab.pve.state.node import MIB
from nanny_ops.lab.simulated import SimulatedGuest

#: A simulated container claims this part of its memory.
SIMULATED_SHARE = 8


@dataclass(frozen=True)
class LabPower:
    """Power over the guests of the lab in ``directory``; container names begin with ``prefix``."""

    directory: Path
    prefix: str
    figures: Figures

    def container(self, vmid: int) -> Container:
        """Return a real container."""
        return Container(f"{self.prefix}-{vmid}", self.directory / "lxc")

    def simulated(self, vmid: int) -> SimulatedGuest:
        """Return a simulated guest."""
        return SimulatedGuest((self.directory / "simulated").resolve() / str(vmid), vmid)

    def hands(self, guest: Guest) -> Container | SimulatedGuest:
        """Return what stands behind a guest of the cluster; of a machine, what its programs and files are."""
        return self.container(guest.vmid) if guest.real else self.simulated(guest.vmid)

    def read(self, guest: Guest) -> Reading:
        """Return what a guest does now, asked of LXC for a real one."""
        if guest.kind == "qemu":
            return self.figures.read(guest)
        if guest.real:
            usage = self.container(guest.vmid).usage()
            return Reading() if usage is None else Reading(True, usage.pid, usage.uptime, usage.memory)
        simulated = self.simulated(guest.vmid)
        if simulated.pid() is None:
            return Reading()
        return Reading(True, 100_000 + guest.vmid, simulated.uptime(), guest.memory * MIB // SIMULATED_SHARE)

    def create(self, guest: Guest) -> None:
        """Make a simulated container; a machine is figures only."""
        if guest.kind == "qemu":
            self.figures.create(guest)
        else:
            demo_guest.make_simulated(self.simulated(guest.vmid), guest.name)

    def start(self, guest: Guest) -> None:
        """Start it. Raises MachineError."""
        if guest.kind == "qemu":
            self.figures.start(guest)
        else:
            self.hands(guest).start()

    def stop(self, guest: Guest) -> None:
        """Stop it at once."""
        if guest.kind == "qemu":
            self.figures.stop(guest)
        else:
            self.hands(guest).stop()

    def shutdown(self, guest: Guest, timeout: float) -> bool:
        """Ask it to end within ``timeout`` seconds; return whether it did."""
        if guest.kind == "qemu":
            return self.figures.shutdown(guest, timeout)
        return self.hands(guest).shutdown(timeout)

    def freeze(self, guest: Guest) -> bool:
        """Hold a real container still; the others stand still between two questions anyway."""
        return self.container(guest.vmid).freeze() if guest.real else self.read(guest).running

    def thaw(self, guest: Guest) -> None:
        """Let a real container go on."""
        if guest.real:
            self.container(guest.vmid).thaw()

    def keep(self, guest: Guest, name: str) -> None:
        """Keep its files, of a machine those that were made so far. Raises MachineError."""
        if guest.kind == "lxc" or self.simulated(guest.vmid).rootfs.is_dir():
            self.hands(guest).keep(name)

    def bring_back(self, guest: Guest, name: str) -> None:
        """Let its files be what was kept; those of a machine that had none are made anew. Raises MachineError."""
        if guest.kind == "lxc" or self.simulated(guest.vmid).has_kept(name):
            self.hands(guest).bring_back(name)
        else:
            self.simulated(guest.vmid).destroy()

    def drop(self, guest: Guest, name: str) -> None:
        """Forget what was kept."""
        self.hands(guest).drop(name)

    def destroy(self, guest: Guest) -> None:
        """Remove it with its disk."""
        if guest.kind == "qemu":
            self.figures.destroy(guest)
        self.hands(guest).destroy()
