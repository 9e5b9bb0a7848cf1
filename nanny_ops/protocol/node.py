"""What is told of a node beside the guide's fields: software, disks, certificates, services, pending updates."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import MaxLen

from nanny_ops.protocol.measure import Amount, Count, Moment, Name, Real, Text, Word


@dataclass(frozen=True, kw_only=True)
class Disk:
    """One disk; ``health`` is what SMART says (``PASSED``, ``UNKNOWN`` ...), ``wearout`` percent of its life left."""

    path: Name
    model: Word = ""
    serial: Word = ""
    type: Word = ""
    size: Amount = 0
    used_for: Word = ""
    health: Word = ""
    wearout: Real | None = None


@dataclass(frozen=True, kw_only=True)
class ZfsPool:
    """One ZFS pool, sizes in bytes; ``health`` is ``ONLINE`` while all is well."""

    name: Name
    health: Word = ""
    size: Amount = 0
    allocated: Amount = 0
    fragmentation: Real | None = None


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One certificate of the node; ``expires`` in seconds since 1970."""

    file: Name
    subject: Text = ""
    fingerprint: Word = ""
    expires: Moment = 0


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service that Proxmox VE watches; ``state`` is ``running``, ``dead`` ..., ``enabled`` as systemd calls it."""

    name: Name
    state: Word = ""
    enabled: Word = ""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What is told of a node beside the guide's fields. None is always: not known, or not asked.

    ``versions`` maps the packages of Proxmox VE to their installed versions. ``clock_offset`` is how many seconds the
    node's clock is ahead of the agent's. ``pending_updates`` counts packages with a newer version as of the node's last
    look at its mirrors. ``subscription`` is Proxmox VE's word: ``active``, ``notfound``, ``expired`` ...
    """

    #: Votes of the node towards quorum.
    votes: Count | None = None
    kernel: Word | None = None
    cpu_model: Word | None = None
    boot_mode: Word | None = None
    subscription: Word | None = None
    subscription_due: Word | None = None
    versions: dict[str, str] | None = None
    pending_updates: Count | None = None
    disks: Annotated[list[Disk], MaxLen(1024)] | None = None
    zfs: Annotated[list[ZfsPool], MaxLen(256)] | None = None
    certificates: Annotated[list[Certificate], MaxLen(64)] | None = None
    services: Annotated[list[Service], MaxLen(256)] | None = None
    timezone: Word | None = None
    clock_offset: float | None = None
