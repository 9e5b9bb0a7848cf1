"""Errors of a machine, of Proxmox VE and of the spool; never an HTTP answer."""

from nanny_ops.errors.root import NannyError


class MachineError(NannyError):
    """The machine did not do what was asked."""

    code = "machine_error"


class ProgramMissing(MachineError):
    """A program is not installed here."""

    code = "program_missing"


class ProgramTimeout(MachineError):
    """A program did not end in time and was killed with its children."""

    code = "program_timeout"


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


class SpoolError(MachineError):
    """The agent's spool cannot be used."""

    code = "spool_error"


class DiskFull(SpoolError):
    """No space is left for the spool."""

    code = "disk_full"
