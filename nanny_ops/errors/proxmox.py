"""Errors of Proxmox VE, of its tasks, its guests and their guest agents; never an HTTP answer."""

from nanny_ops.errors.machine import MachineError


class ProxmoxError(MachineError):
    """Proxmox VE answered with an error."""

    code = "proxmox_error"


class ProxmoxUnauthorized(ProxmoxError):
    """Proxmox VE does not accept the API token."""

    code = "proxmox_unauthorized"


class ProxmoxForbidden(ProxmoxError):
    """The API token lacks a privilege."""

    code = "proxmox_forbidden"


class ProxmoxGone(ProxmoxError):
    """There is no such guest on that node."""

    code = "proxmox_gone"


class ProxmoxUnreachable(ProxmoxError):
    """The Proxmox VE API cannot be reached."""

    code = "proxmox_unreachable"


class NoQuorum(ProxmoxError):
    """The cluster has no quorum: nothing can be changed or started until it has."""

    code = "no_quorum"


class GuestLocked(ProxmoxError):
    """The guest is locked, or busy with another task."""

    code = "guest_locked"


class GuestStopped(ProxmoxError):
    """The guest does not run."""

    code = "guest_stopped"


class GuestRunning(ProxmoxError):
    """The guest runs already."""

    code = "guest_running"


class SnapshotImpossible(ProxmoxError):
    """The guest's storage cannot make snapshots."""

    code = "snapshot_impossible"


class SnapshotNeeded(ProxmoxError):
    """A snapshot cannot be removed, because something else is built on it."""

    code = "snapshot_needed"


class BackupFreezes(ProxmoxError):
    """The backup would freeze the guest, because its storage cannot make snapshots."""

    code = "backup_freezes"


class TaskFailed(ProxmoxError):
    """A task of Proxmox VE ended badly."""

    code = "task_failed"


class GuestLeftStopped(TaskFailed):
    """A reboot shut the guest down and could not start it again."""

    code = "guest_left_stopped"


class TaskUnfinished(ProxmoxError):
    """A task of Proxmox VE did not end in time; it may still go on."""

    code = "task_unfinished"


class TaskLost(ProxmoxError):
    """Proxmox VE does not know the task; what it came to cannot be told."""

    code = "task_lost"


class GuestAgentError(ProxmoxError):
    """The guest agent did not do what was asked."""

    code = "guest_agent_error"


class GuestAgentOff(GuestAgentError):
    """The guest agent is not switched on in the virtual machine's configuration."""

    code = "guest_agent_off"


class GuestAgentSilent(GuestAgentError):
    """The guest agent does not answer; it may not be installed, or not be started yet."""

    code = "guest_agent_silent"


class GuestAgentForbids(GuestAgentError):
    """The guest agent's own configuration forbids this."""

    code = "guest_agent_forbids"


class GuestProgramMissing(GuestAgentError):
    """The program cannot be started in the virtual machine."""

    code = "guest_program_missing"


class GuestProgramLost(GuestAgentError):
    """The guest agent no longer knows the program; what it came to cannot be told."""

    code = "guest_program_lost"


class GuestProgramUnfinished(GuestAgentError):
    """A program in the virtual machine did not end in time; it may still go on."""

    code = "guest_program_unfinished"


class GuestFileDamaged(GuestAgentError):
    """A file did not arrive whole."""

    code = "guest_file_damaged"
