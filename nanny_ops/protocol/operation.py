"""The life of an order: its states, what it may come to, and what it is aimed at."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen

from nanny_ops.errors import ValidationFailed


class Status(StrEnum):
    """Where an operation stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OPEN = frozenset({Status.PENDING, Status.DELIVERED, Status.RUNNING})
ENDED = frozenset(Status) - OPEN

#: From where to where an operation may go. Late results may still turn an expired or cancelled one into its true end.
MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset(
        {Status.DELIVERED, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED}
    ),
    Status.DELIVERED: frozenset({Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED}),
    Status.RUNNING: frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset({Status.COMPLETED, Status.FAILED}),
    Status.EXPIRED: frozenset({Status.COMPLETED, Status.FAILED}),
}


class Outcome(StrEnum):
    """What an ended operation came to; each is documented in docs/outcomes.md."""

    OK = "ok"
    NOTHING_TO_DO = "nothing_to_do"
    PARTIAL = "partial"
    BLOCKED = "blocked"
    QUARANTINED = "quarantined"
    UNPROTECTED = "unprotected"
    HOOK_FAILED = "hook_failed"
    UNHEALTHY = "unhealthy"
    ROLLBACK_FAILED = "rollback_failed"
    SCRIPT_FAILED = "script_failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"
    SCRIPT_UNKNOWN = "script_unknown"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_UNCHECKED = "signature_unchecked"
    INTERPRETER_MISSING = "interpreter_missing"
    BAD_OUTPUT = "bad_output"
    TARGET_UNKNOWN = "target_unknown"
    TARGET_STOPPED = "target_stopped"
    TARGET_LOST = "target_lost"
    NO_PROXMOX = "no_proxmox"
    NO_GUEST_AGENT = "no_guest_agent"
    DISK_FULL = "disk_full"
    AGENT_ERROR = "agent_error"
    NOT_REBOOTED = "not_rebooted"
    UPDATE_FAILED = "update_failed"
    ROLLED_BACK = "rolled_back"


#: Outcomes that count as success.
GOOD = frozenset({Outcome.OK, Outcome.NOTHING_TO_DO})

Kind = Literal["patch", "investigation", "update", "reboot", "prune"]
#: Kinds whose operations have their target to themselves while they run.
EXCLUSIVE = frozenset({"patch", "reboot", "update", "prune"})
#: What an agent makes up before it begins an order: the same for each try of one order, and nobody else's.
Claim = Annotated[str, MaxLen(64)]
_VMID = re.compile(r"(?:(?:lxc|qemu|vm|ct)[-/])?([1-9][0-9]{0,8})")


def parse_vmid(text: str | int | None) -> int | None:
    """Read a guest's number from ``lxc-100``, ``lxc/100``, ``100`` or 100; an empty text means the host.

    Raises ValidationFailed for anything else.
    """
    if text is None or text == "":
        return None
    found = _VMID.fullmatch(str(text).strip())
    if found is None:
        raise ValidationFailed(f"'{text}' is not a guest; write lxc-100, lxc/100 or 100.", field="vmid")
    return int(found.group(1))


def guest_kind(text: str) -> Literal["lxc", "qemu", ""]:
    """Return which kind of guest a text such as ``lxc-100`` or ``vm/100`` names; empty where it does not say."""
    word = text.strip()
    if word.startswith(("lxc", "ct")):
        return "lxc"
    return "qemu" if word.startswith(("qemu", "vm")) else ""


def parse_guest(lxc_id: str, vmid: str | int) -> int | None:
    """Read the number of the guest that an order names by one field or both; None means the host.

    Raises ValidationFailed, also for a virtual machine as ``lxc_id``.
    """
    if guest_kind(lxc_id) == "qemu":
        raise ValidationFailed("lxc_id: this is a virtual machine; name it by vmid.", field="lxc_id")
    by_lxc, by_vmid = parse_vmid(lxc_id), parse_vmid(vmid)
    if by_lxc is not None and by_vmid is not None and by_lxc != by_vmid:
        raise ValidationFailed(
            f"vmid: {by_vmid} is another guest than lxc_id {by_lxc}; give one of both.", field="vmid"
        )
    return by_vmid if by_lxc is None else by_lxc


def parse_container(lxc_id: str, vmid: str | int, machine: str) -> int | None:
    """Read the container that an order names by one field or both; None means the host.

    ``machine`` says why a virtual machine will not do. Raises ValidationFailed.
    """
    for field, text in (("lxc_id", lxc_id), ("vmid", str(vmid))):
        if guest_kind(text) == "qemu":
            raise ValidationFailed(f"{field}: {machine}", field=field)
    return parse_guest(lxc_id, vmid)


@dataclass(frozen=True, kw_only=True)
class Ack:
    """An agent has written an order to its spool, or is about to begin it.

    Whoever gives a ``claim`` along with ``running`` promises to renew the lease that the answer holds. With ``amends``
    it promises to leave what the answer's ``exclude`` names, whatever the order said when it came.
    """

    state: Literal["delivered", "running"] = "delivered"
    claim: Claim = ""
    amends: bool = False


@dataclass(frozen=True, kw_only=True)
class Renew:
    """The holder of a lease works on; ``remark`` says what people should know of that, empty for nothing."""

    lease: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    remark: Annotated[str, MaxLen(4096)] = ""


@dataclass(frozen=True, kw_only=True)
class AckAnswer:
    """What the control plane thinks of the order now; an agent drops an order that is no longer open.

    ``lease`` is the fencing token of whoever may carry the order out, ``lease_seconds`` how long it lasts from now on;
    both are 0 where no lease was given. ``exclude`` is what a patch that may begin leaves as it is, in place of what
    the order named when it came: exceptions may have been added or have ended meanwhile. None changes nothing.
    """

    id: str
    status: Status
    proceed: bool
    lease: int = 0
    lease_seconds: int = 0
    exclude: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class OutputChunk:
    """A piece of a running script's output, for people who watch; ``offset`` counts bytes from the start."""

    stream: Literal["stdout", "stderr"] = "stdout"
    offset: Annotated[int, Ge(0), Le(2**40)] = 0
    text: Annotated[str, MaxLen(65536)] = ""


@dataclass(frozen=True, kw_only=True)
class OpenOperations:
    """The answer to an agent that asks what is still to do; each item is a wire event's ``topic`` and ``record``."""

    items: list[dict[str, Any]]
