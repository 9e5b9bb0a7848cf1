"""What is told of a guest beside the guide's fields: snapshots, backups, replication, its agent, its addresses."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import MaxLen

from nanny_ops.protocol.measure import Amount, Count, Moment, Name, Text, Word


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One snapshot of a guest; ``vmstate`` tells whether it holds the memory too."""

    name: Name
    at: Moment = 0
    parent: Word = ""
    description: Text = ""
    vmstate: bool = False


@dataclass(frozen=True, kw_only=True)
class Replication:
    """One replication job of a guest; ``error`` is empty while it works."""

    id: Name
    target: Word = ""
    schedule: Word = ""
    disabled: bool = False
    last_sync: Moment = 0
    next_sync: Moment = 0
    fail_count: Count = 0
    error: Text = ""


@dataclass(frozen=True, kw_only=True)
class Backup:
    """What is known of a guest's backups; None is unknown, which is not the same as none.

    ``covered`` tells whether a backup job includes the guest; ``last_*`` is the newest backup found on a storage, and
    ``found`` whether storages were looked at and held one.
    """

    covered: bool | None = None
    found: bool | None = None
    last_at: Moment = 0
    last_volume: Text = ""
    last_size: Amount = 0


@dataclass(frozen=True, kw_only=True)
class GuestFilesystem:
    """One file system as the guest agent sees it, in bytes."""

    mountpoint: Text
    type: Word = ""
    total: Amount = 0
    used: Amount = 0


@dataclass(frozen=True, kw_only=True)
class GuestAgent:
    """What the guest agent inside a virtual machine says; without an answer only ``running`` and ``reason`` count."""

    running: bool
    reason: Text = ""
    hostname: Word = ""
    os: Word = ""
    os_id: Word = ""
    #: As os-release has it; with the id it decides which package manager there is.
    os_version: Word = ""
    kernel: Word = ""
    filesystems: Annotated[list[GuestFilesystem], MaxLen(256)] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class GuestFacts:
    """What is told of both kinds of guests beside the guide's fields. None is always: not known, or not asked.

    ``ha_state`` is empty for a guest that high availability does not manage. ``addresses`` are those inside the guest,
    without loopback and link-local ones.
    """

    pool: Word | None = None
    lock: Word | None = None
    template: bool | None = None
    onboot: bool | None = None
    ha_state: Word | None = None
    description: Annotated[str, MaxLen(16_384)] | None = None
    addresses: Annotated[list[Annotated[str, MaxLen(64)]], MaxLen(256)] | None = None
    snapshots: Annotated[list[Snapshot], MaxLen(1024)] | None = None
    replication: Annotated[list[Replication], MaxLen(64)] | None = None
    backup: Backup | None = None
    guest_agent: GuestAgent | None = None
