"""What an agent says it can do beyond carrying out a plain order: an order that needs more is not given to it.

An older agent ignores fields that it does not know; an order to protect a guest would be carried out unprotected.
"""

from typing import Annotated

from annotated_types import MaxLen

Feature = Annotated[str, MaxLen(32)]
Features = Annotated[list[Feature], MaxLen(64)]

#: Hands the script dist-upgrade, autoremove, conffiles, lock-timeout and repair.
SCRIPT_OPTIONS = "script-options"
#: Makes a snapshot or backup before, and rolls back.
PROTECTION = "protection"
#: Runs hooks before and after.
HOOKS = "hooks"
#: Looks at the target's health afterwards, with a bake time.
PROBES = "probes"
#: Starts a stopped guest for the order and stops it again.
START_STOPPED = "start-stopped"
#: Reaches virtual machines through their guest agent.
QEMU = "qemu"

#: Reboots its host and guests, and tells by which proof.
REBOOT = "reboot"

#: Removes snapshots of ours on order, and keeps as many after an order of its own as that says.
PRUNE = "prune"

#: Each feature, with what an order asks that needs it.
FEATURES: dict[str, str] = {
    SCRIPT_OPTIONS: "dist_upgrade, autoremove, conffiles, lock_timeout_seconds and repair",
    PROTECTION: "protect",
    HOOKS: "hooks",
    PROBES: "probes and bake_seconds",
    START_STOPPED: "start_stopped",
    QEMU: "virtual machines",
    REBOOT: "reboots",
    PRUNE: "snapshot_keep, snapshot_max_age_hours and the removal of snapshots",
}
