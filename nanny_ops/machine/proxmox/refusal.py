"""What Proxmox VE's sentences of refusal mean: as reason phrase of an answer, or as exit status of a task."""

import re

from nanny_ops.errors import (
    GuestAgentForbids,
    GuestAgentOff,
    GuestAgentSilent,
    GuestLocked,
    GuestProgramLost,
    GuestProgramMissing,
    GuestRunning,
    GuestStopped,
    NoQuorum,
    ProxmoxError,
    ProxmoxGone,
    SnapshotImpossible,
    SnapshotNeeded,
)

#: Sentence of Proxmox VE -> error and what to tell a person; tried in order, found anywhere in the text.
MEANINGS: tuple[tuple[str, type[ProxmoxError], str], ...] = (
    (r"Configuration file '\S+' does not exist", ProxmoxGone, "there is no such guest on that node."),
    (r"(?:CT|VM) is locked \((?P<lock>[\w-]+)\)", GuestLocked, "the guest is locked ({lock})."),
    (
        r"Failed to obtain guest migration lock|can't lock file '\S+' - got timeout|got lock request timeout",
        GuestLocked,
        "another task is at work on the guest.",
    ),
    (
        r"no quorum|unable to open file '/etc/pve/\S+' - Permission denied",
        NoQuorum,
        "the cluster has no quorum, so nothing can be changed or started.",
    ),
    (
        r"has dependent (?:clones|snapshots)|dataset is busy|Directory not empty|Logical volume \S+ (?:is )?in use",
        SnapshotNeeded,
        "something else is built on the snapshot, such as a linked clone, or still uses it.",
    ),
    (r"snapshot feature is not available", SnapshotImpossible, "the guest's storage cannot make snapshots."),
    (r"(?:CT|VM) \d+ already running", GuestRunning, "the guest runs already."),
    (r"No QEMU guest agent configured", GuestAgentOff, "the guest agent is not switched on in the configuration."),
    (
        r"QEMU guest agent is not running|qmp command 'guest-[\w-]+' failed - (?:got timeout|unable to connect)",
        GuestAgentSilent,
        "the guest agent does not answer; install qemu-guest-agent in the guest, or wait until it has started.",
    ),
    (
        r"guest-[\w-]+ has been disabled",
        GuestAgentForbids,
        "the guest agent's own configuration (block-rpcs or allow-rpcs) forbids this.",
    ),
    (
        r"Failed to execute child process|[Ff]ailed to exec",
        GuestProgramMissing,
        "the program cannot be started in the virtual machine; does it exist there?",
    ),
    (r"Agent error: Invalid parameter 'pid'", GuestProgramLost, "the guest agent no longer knows that program."),
    (r"(?:CT|VM|container) '?\d+'? (?:is )?not running", GuestStopped, "the guest does not run."),
)
_COMPILED = tuple((re.compile(pattern), error, sentence) for pattern, error, sentence in MEANINGS)


def meaning(text: str, what: str, **details: object) -> ProxmoxError | None:
    """Return the named error for a sentence of Proxmox VE, None for one that has no name here.

    ``what`` begins the sentence for a person; ``details`` are kept in the error, with the lock's name if there is one.
    """
    for pattern, error, sentence in _COMPILED:
        if found := pattern.search(text):
            return error(f"{what}: {sentence.format(**found.groupdict())}", **details, **found.groupdict())
    return None
