"""Reboots: ordered, acknowledged, and completed by proof alone.

That an agent is heard again proves nothing: it may never have been away. What proves a reboot is a report in which the
target has run for a shorter time than has passed since the agent acknowledged the order. Where no such report comes in
time nobody knows, and that is what people are told; one that comes within the hour after still tells the truth.

That is how reboots by agents of the older dialect are judged, which only acknowledge. An agent that says it can do more
tells by itself what a reboot came to, with the marks of its target before and after: a boot id, or a container's start.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from nanny_ops.control.services import lease, order, policy, request_key
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import lease as targets
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store import reboot as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, ValidationFailed
from nanny_ops.protocol.clock import from_micros, micros, stamp, stamp_micros
from nanny_ops.protocol.feature import REBOOT
from nanny_ops.protocol.inventory import GuestUsage, NodeUsage
from nanny_ops.protocol.legacy import NANNYAGENT
from nanny_ops.protocol.operation import (
    GOOD,
    OPEN,
    Ack,
    Kind,
    Outcome,
    Status,
    guest_kind,
    parse_container,
    parse_guest,
)
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.proxmox import LxcReport
from nanny_ops.protocol.reboot import REASON_CAP, Reboot, RebootRequest, RebootResult

KIND: Kind = "reboot"
#: How long an order waits for its agent, unless it says otherwise.
LIFETIME = timedelta(hours=1)
#: Microseconds between an acknowledgement and the earliest start that counts: Proxmox VE tells uptimes in whole
#: seconds and a little late, and no target is down and up again sooner.
TOLERANCE = 3_000_000
#: How long after its time a reboot may still be proved.
LATE = timedelta(hours=1)
NOT_CARRIED_OUT = "The agent on {} (version {}) does not carry out reboots; update it."
BEGUN = "The agent has acknowledged this reboot; it cannot be taken back."
CONTAINERS = "this is a virtual machine; this agent can reboot containers and hosts only."


def place(tx: Tx, person: Person, request: RebootRequest, key: str, now: datetime) -> tuple[Operation, bool]:
    """Order a reboot and tell its agent; return the order, and whether it is a new one.

    The same ``key`` with the same request gives the same order for a day. Raises NotFound, Forbidden, Conflict,
    ValidationFailed.
    """
    agent = order.addressee(tx, person, request.agent_id)
    keyed = request_key.read(person, key, request)
    if (earlier := order.repeated(tx, keyed, now)) is not None:
        return earlier, False
    order.demand_trust(agent)
    if agent.dialect != NANNYAGENT and REBOOT not in agent.features:
        raise Conflict(NOT_CARRIED_OUT.format(agent.hostname, agent.version or "unknown"), features=[REBOOT])
    vmid, target = _aim(tx, agent, request)
    policy.demand(tx, agent, KIND, vmid, now)
    _alone(tx, agent, vmid, target)
    asked = {"reason": plain(request.reason), "timeout_seconds": request.timeout_seconds}
    lapses = order.expiry(request.expires_at, now, LIFETIME)
    return order.create(tx, order.new(person, agent, KIND, target, asked, lapses, now, vmid=vmid), keyed), True


def visible(tx: Tx, person: Person, reboot_id: str) -> Operation:
    """Return a reboot of one of the person's teams. Raises NotFound."""
    return order.visible(tx, person, KIND, reboot_id)


def withdraw(tx: Tx, person: Person, reboot_id: str, now: datetime) -> tuple[Operation, bool]:
    """Take an order back that was not acknowledged; return it, and whether this ended it. Idempotent.

    Raises NotFound, Forbidden, and Conflict for one that was acknowledged or has ended: no reboot can be undone.
    """
    return order.withdraw(tx, person, KIND, reboot_id, now, BEGUN)


def acknowledge(tx: Tx, agent: HostAgent, reboot_id: str, now: datetime) -> lease.Reply:
    """Let the agent begin, once. Raises NotFound, Forbidden, and Conflict when it was begun or has ended."""
    operation = order.owned(tx, agent, KIND, reboot_id)
    if operation.status == Status.RUNNING:
        raise Conflict("This reboot was acknowledged before; it is not begun twice.", status=operation.status)
    return lease.acknowledge(tx, agent, operation.id, Ack(state="running"), now)


def fail(tx: Tx, agent: HostAgent, reboot_id: str, said: str, now: datetime) -> Operation:
    """End a reboot as its agent says, also one whose time is over. Raises NotFound, Forbidden, Conflict."""
    operation = order.owned(tx, agent, KIND, reboot_id)
    late = operation.status == Status.EXPIRED and operation.started_at is not None
    if Status(operation.status) not in OPEN and not late:
        raise Conflict(f"The reboot is {operation.status}.", status=operation.status)
    reason = plain(said)[:REASON_CAP].strip() or "The agent could not reboot the target and did not say why."
    failed = operations.move(tx, operation, Status.FAILED, now, outcome=Outcome.AGENT_ERROR.value, reason=reason)
    lease.release(tx, failed, now)
    return failed


def take(tx: Tx, agent: HostAgent, reboot_id: str, said: RebootResult, now: datetime) -> tuple[Operation, bool]:
    """End a reboot as its agent says, also a late one; the first result stands. Return it, and whether this is it.

    One that is said to be done must be proved by two marks. Raises NotFound, Forbidden, Fenced, ValidationFailed.
    """
    operation = order.owned(tx, agent, KIND, reboot_id)
    lease.check(operation, said.lease, said.claim)
    outcome = order.outcome_of(said.outcome)
    if outcome in GOOD and not (said.before and said.after and said.before != said.after):
        raise ValidationFailed("after: a reboot is proved by another mark than before.", field="after")
    return order.end(
        tx, operation, outcome, said.reason, {"before": plain(said.before), "after": plain(said.after)}, now
    )


def notice(
    tx: Tx, scope: str, guests: Sequence[GuestUsage | LxcReport], nodes: Sequence[NodeUsage], at: int, now: int
) -> None:
    """Note what uptimes, read at ``at``, prove of the reboots of a scope; the next sweep ends those that are proved."""
    open_ones = store.unproved(tx, now - LATE // timedelta(microseconds=1), scope)
    if not open_ones:
        return
    uptimes = {f"lxc:{one.vmid}": one.uptime for one in guests if one.status == "running"}
    hosts = {one.node: one.uptime for one in nodes if one.status == "online"}
    for operation in open_ones:
        uptime = uptimes.get(operation.target) if operation.vmid is not None else _of_host(tx, operation, hosts)
        if uptime and proves(operation, at - uptime * 1_000_000):
            rows.change(tx, operation.id, result={"began_at": at - uptime * 1_000_000})


def proves(operation: Operation, began: int) -> bool:
    """Tell whether a start at this instant is the one that was ordered: after the acknowledgement, within its time."""
    acknowledged = operation.started_at
    if acknowledged is None:
        return False
    latest: int = acknowledged + operation.request["timeout_seconds"] * 1_000_000
    return acknowledged + TOLERANCE <= began <= latest


def settle(tx: Tx, now: datetime) -> list[Operation]:
    """Complete the reboots that are proved, and return them."""
    found = store.unproved(tx, micros(now - LATE))
    return [_complete(tx, one, one.result["began_at"], now) for one in found if one.result and "began_at" in one.result]


def rendered(operation: Operation) -> Reboot:
    """Return a reboot as people see it."""
    return Reboot(
        id=operation.id,
        agent_id=operation.agent_id,
        target=operation.target,
        lxc_id=f"lxc-{operation.vmid}" if operation.target.startswith("lxc:") else "",
        vmid=str(operation.vmid or ""),
        status=operation.status,
        outcome=operation.outcome,
        reason=operation.request["reason"],
        explanation=operation.reason,
        timeout_seconds=operation.request["timeout_seconds"],
        created_by=operation.created_by,
        created_at=stamp(from_micros(operation.created_at)),
        updated_at=stamp(from_micros(operation.updated_at)),
        expires_at=stamp(from_micros(operation.expires_at)),
        acknowledged_at=stamp_micros(operation.started_at),
        finished_at=stamp_micros(operation.finished_at),
        before=(operation.result or {}).get("before", ""),
        after=(operation.result or {}).get("after", ""),
    )


def _alone(tx: Tx, agent: agents.Agent, vmid: int | None, target: str) -> None:
    scope = targets.scope_of(tx, agent.id, vmid)
    targets.lock_target(tx, scope, target)
    other = store.open_on(tx, scope, target)
    if other is not None:
        raise Conflict(f"The reboot {other.id} of {target} is {other.status}.", id=other.id, status=other.status)


def _complete(tx: Tx, operation: Operation, began: int, now: datetime) -> Operation:
    reason = f"It runs since {stamp_micros(began)}, after the agent acknowledged the order."
    done = operations.move(tx, operation, Status.COMPLETED, now, outcome=Outcome.OK.value, reason=reason)
    lease.release(tx, done, now)
    return done


def _of_host(tx: Tx, operation: Operation, hosts: dict[str, int]) -> int | None:
    """Return the uptime of an agent's own node; a node is named by the first part of its host name."""
    agent = agents.find(tx, operation.agent_id) if hosts else None
    return hosts.get(agent.hostname.partition(".")[0]) if agent is not None else None


def _aim(tx: Tx, agent: agents.Agent, request: RebootRequest) -> tuple[int | None, str]:
    """Return the guest that an order is for, and its target; one that nobody has reported yet is a container."""
    if agent.dialect == NANNYAGENT:
        vmid = parse_container(request.lxc_id, request.vmid, CONTAINERS)
    else:
        vmid = parse_guest(request.lxc_id, request.vmid)
    if vmid is None:
        return None, "host"
    said = guest_kind(str(request.vmid)) or ("lxc" if request.lxc_id else "")
    guest = inventory.known_guest(tx, agent.cluster_pk or agent.id, vmid)
    if guest is None:
        return vmid, f"{said or 'lxc'}:{vmid}"
    if guest.gone_at is not None:
        raise Conflict(f"Guest {vmid} ({guest.name}) is gone.", vmid=vmid)
    if agent.dialect == NANNYAGENT and guest.kind != "lxc":
        raise ValidationFailed(f"vmid: {CONTAINERS}", field="vmid")
    if said and guest.kind != said:
        raise ValidationFailed(f"vmid: guest {vmid} ({guest.name}) is of the kind {guest.kind}.", field="vmid")
    return vmid, f"{guest.kind}:{vmid}"
