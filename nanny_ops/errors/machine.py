"""Errors of a machine and of the spool; never an HTTP answer."""

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


class HelperAway(MachineError):
    """The privileged helper cannot be reached."""

    code = "helper_away"


class VerbRefused(MachineError):
    """The privileged helper does not do what was asked."""

    code = "verb_refused"


class SpoolError(MachineError):
    """The agent's spool cannot be used."""

    code = "spool_error"


class DiskFull(SpoolError):
    """No space is left for the spool."""

    code = "disk_full"
