"""What belongs to a whole cluster, or to a node that stands alone: backup jobs, high availability, Ceph."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, MaxLen

from nanny_ops.protocol.measure import Amount, Count, Moment, Name, Text, Word


@dataclass(frozen=True, kw_only=True)
class BackupJob:
    """One backup job; ``guests`` are named vmids, ``everything`` takes all but ``exclude``. Node empty: on any."""

    id: Name
    enabled: bool = True
    schedule: Word = ""
    storage: Word = ""
    node: Word = ""
    mode: Word = ""
    pool: Word = ""
    everything: bool = False
    guests: Annotated[list[Annotated[int, Ge(1)]], MaxLen(100_000)] = field(default_factory=list)
    exclude: Annotated[list[Annotated[int, Ge(1)]], MaxLen(100_000)] = field(default_factory=list)
    next_run: Moment = 0


@dataclass(frozen=True, kw_only=True)
class HaEntry:
    """One line of high availability: ``kind`` is ``quorum``, ``master``, ``lrm`` or ``service``, ``id`` as there."""

    id: Name
    kind: Word
    node: Word = ""
    state: Word = ""
    status: Text = ""


@dataclass(frozen=True, kw_only=True)
class Ceph:
    """Ceph as the node that answers sees it, in bytes; ``health`` is ``HEALTH_OK``, ``HEALTH_WARN``, ``HEALTH_ERR``."""

    health: Word = ""
    checks: Annotated[list[Text], MaxLen(64)] | None = None
    osds: Count = 0
    osds_up: Count = 0
    osds_in: Count = 0
    degraded_objects: Amount = 0
    misplaced_objects: Amount = 0
    used: Amount | None = None
    total: Amount | None = None
