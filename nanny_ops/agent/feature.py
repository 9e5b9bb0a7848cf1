"""What this agent can do, told with every reading of its host; an order that needs more is not given to it."""

from nanny_ops.protocol.feature import HOOKS, PROBES, PROTECTION, PRUNE, QEMU, REBOOT, SCRIPT_OPTIONS, START_STOPPED

#: Whoever makes the agent able to do more adds its word from protocol/feature.py here.
ANNOUNCED: tuple[str, ...] = (SCRIPT_OPTIONS, PROTECTION, HOOKS, PROBES, START_STOPPED, QEMU, REBOOT, PRUNE)
