"""Who carries an order out: one claim for each order, one order at a time on each target; and who has fallen silent.

An agent makes up a claim, writes it down and asks to begin. The first claim gets the lease: a fencing token, and some
time that it renews. No other claim ever gets it, so that an order is never begun twice. A lease that lapses takes
nothing away from its holder, whose late result still tells the truth; it is a sign to people, and it lets another claim
learn that nobody knows what became of the order. The target stays held until the longest run is over.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from nanny_ops.control.services import audit, capacity, hold, relocation
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.capacity import Bounds
from nanny_ops.control.services.patch_option import excluded
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import event as events
from nanny_ops.control.store import lease as store
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Fenced, Later, LeaseHeld, TargetBusy
from nanny_ops.protocol.clock import micros, stamp_micros
from nanny_ops.protocol.operation import ENDED, EXCLUSIVE, MOVES, Ack, AckAnswer, Outcome, Renew, Status

log = structlog.get_logger()
#: Seconds that a lease lasts; its holder renews it meanwhile.
LEASE = 120
#: Seconds after which an order that must wait for its target asks again, and for which it keeps its place in the row:
#: longer than the two minutes between two questions of an agent that knows no leases.
AGAIN, PLACE = 15, 150
#: Seconds after which another claim asks again, at most.
AGAIN_CLAIM = 60
#: Where nobody has set other bounds.
USUAL = Bounds()
#: How long after its longest run an operation's end may still be reported before it counts as expired.
REPORT_GRACE = timedelta(hours=1)
#: Lapsed leases noted in one sweep: bounds the writer's time.
SWEEP = 200
#: Of the events for operators; no agent can subscribe to it.
TOPIC, LAPSED, HEARD, REMARKED = "leases", "lease_lapsed", "lease_renewed", "remark"
#: How the reason begins of an order that has asked and must wait.
WAITS = "It waits: "
NOBODY_KNOWS = (
    "The agent that began it fell silent, and another machine or a new start with its identity knows nothing of it; "
    "it is not run again. A late result is still taken."
)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What an agent is told: an answer, or to wait, and because of what. ``ended``: the operation if this has ended it.

    ``bound`` is target, node, storage, cluster, rest or lease.
    """

    answer: AckAnswer | None = None
    wait: Later | None = None
    bound: str = ""
    ended: Operation | None = None


def acknowledge(tx: Tx, agent: HostAgent, operation_id: str, ack: Ack, now: datetime, bounds: Bounds = USUAL) -> Reply:
    """Note that an agent has an order, or let it begin; idempotent. To wait is a reply: the question is noted too."""
    operation = operations.owned(tx, agent, operation_id)
    status = Status(operation.status)
    if status in store.UNBEGUN and operation.expires_at <= micros(now):
        expired = operations.expire(tx, operation, now)
        return Reply(answer=_answer(expired), ended=expired)
    if status in ENDED:
        _never_began(tx, operation, ack, now)
        return Reply(answer=_answer(operation))
    if ack.state == "delivered":
        if Status.DELIVERED in MOVES[status]:
            operation = operations.move(tx, operation, Status.DELIVERED, now, delivered_at=micros(now))
        return Reply(answer=_answer(operation))
    if status is Status.RUNNING:
        return _ask_again(tx, operation, ack.claim, now)
    if operation.kind == "patch" and operation.vmid and (left := relocation.leave(tx, operation, now)) is not None:
        return Reply(answer=_answer(left), ended=left if left.status == Status.FAILED else None)
    if wait := _busy(tx, operation, now) or _full(tx, operation, bounds, now):
        return wait
    operation, refused = hold.begin(tx, operation, now, amends=ack.amends)
    if refused:
        ended = operations.move(tx, operation, Status.FAILED, now, outcome=Outcome.REFUSED.value, reason=refused)
        return Reply(answer=_answer(ended), ended=ended)
    return Reply(answer=_begin(tx, operation, ack.claim, now))


def renew(tx: Tx, agent: HostAgent, operation_id: str, said: Renew, now: datetime) -> AckAnswer:
    """Extend the lease of a running operation and keep what is remarked; answer whether to go on. Raises Fenced."""
    operation = operations.owned(tx, agent, operation_id)
    if operation.status != Status.RUNNING or operation.claim is None:
        return _answer(operation)
    if said.lease != operation.lease_token:
        raise Fenced
    if said.remark != operation.reason:
        rows.change(tx, operation.id, reason=said.remark, updated_at=micros(now))
        _log(tx, operation, REMARKED, {"remark": said.remark}, now)
    return _extend(tx, operation, now)


def check(operation: Operation, lease: int, claim: str) -> None:
    """Raise Fenced for a result by anybody but the holder of the lease, where there was one."""
    if operation.claim is not None and operation.claim != claim and operation.lease_token != lease:
        raise Fenced


def release(tx: Tx, operation: Operation, now: datetime) -> None:
    """Let go of an operation's target and tell those who wait for it."""
    if operation.held_until is None:
        return
    rows.change(tx, operation.id, held_until=None)
    scope = store.scope_of(tx, operation.agent_id, operation.vmid)
    told = store.waiting(tx, scope, operation.target, micros(now), 0)
    more = capacity.next_ones(tx, operation, now, _asked_since(now))
    for waiting in {one.id: one for one in (*told, *more)}.values():
        operations.announce(tx, waiting, "create", micros(now))


def sweep(tx: Tx, now: datetime) -> list[Operation]:
    """Expire what nobody has finished in time, and let go of what reboots held: nothing of theirs runs on."""
    expired = operations.sweep(tx, now)
    for operation in expired:
        if operation.kind == "reboot":
            release(tx, operation, now)
    return expired


def waiting_for(operation: Operation) -> str:
    """Say what an order waits for that has not begun; empty for others."""
    status = Status(operation.status)
    if status not in store.UNBEGUN:
        return ""
    if operation.asked_at is not None and operation.reason:
        return operation.reason.removeprefix(WAITS)
    fetched = "its agent has it and has not asked to begin yet" if status is Status.DELIVERED else ""
    return f"{fetched or 'its agent has not fetched it yet'}.".capitalize()


def note_silence(tx: Tx, now: datetime) -> list[Operation]:
    """Note leases that have lapsed, each once and some at a time, for people to see; return their operations."""
    found = store.lapsed(tx, micros(now), SWEEP)
    for operation in found:
        rows.change(tx, operation.id, silent_at=operation.lease_until)
        _tell(tx, operation, LAPSED, now)
        log.warning("agent fell silent", operation=operation.id, agent=operation.agent_id, target=operation.target)
    return found


def _begin(tx: Tx, operation: Operation, claim: str, now: datetime) -> AckAnswer:
    # From here on the expiry says by when the end must be reported: to expire a run would end it half way. Agents that
    # give no claim are those that may not keep to the order's time.
    # A reboot by such an agent reports no end: its time is over when it is over.
    is_reboot = operation.kind == "reboot" and not claim
    longest = timedelta(seconds=operation.request.get("timeout_seconds", 0))
    over = micros(now + longest + (timedelta(0) if is_reboot else REPORT_GRACE))
    until = over if claim or is_reboot else max(operation.expires_at, over)
    moved = operations.move(
        tx,
        operation,
        Status.RUNNING,
        now,
        request=operation.request,
        started_at=micros(now),
        expires_at=until,
        held_until=over if operation.kind in EXCLUSIVE else None,
        asked_at=None,
        reason="",
        claim=claim or None,
        lease_token=operation.lease_token + bool(claim),
        lease_until=_lease_end(now) if claim else None,
    )
    return _answer(moved, leased=bool(claim))


def _busy(tx: Tx, operation: Operation, now: datetime) -> Reply | None:
    """Tell who must wait for its target, and note that it asked: among those who do the oldest order comes first."""
    if operation.kind not in EXCLUSIVE:
        return None
    scope, at = store.scope_of(tx, operation.agent_id, operation.vmid), micros(now)
    store.lock_target(tx, scope, operation.target)
    first = store.on_target(tx, scope, operation.target, at)
    if first is None:
        row = store.waiting(tx, scope, operation.target, at, _asked_since(now))
        first = next((one for one in row if _age(one) < _age(operation)), None)
    if first is None:
        return None
    why = f"{first.id} comes first on {operation.target}."
    rows.change(tx, operation.id, asked_at=at, reason=WAITS + why)
    return Reply(wait=TargetBusy(why, retry_after=AGAIN), bound="target")


def _full(tx: Tx, operation: Operation, bounds: Bounds, now: datetime) -> Reply | None:
    """Tell who must wait although its target is free: others run on its node, its storage or in its cluster."""
    wait = capacity.wait(tx, operation, bounds, now, _asked_since(now))
    if wait is None:
        return None
    rows.change(tx, operation.id, asked_at=micros(now), reason=WAITS + wait.why)
    return Reply(wait=TargetBusy(wait.why, retry_after=wait.retry_after), bound=wait.bound)


def _asked_since(now: datetime) -> int:
    return micros(now - timedelta(seconds=PLACE))


def _ask_again(tx: Tx, operation: Operation, claim: str, now: datetime) -> Reply:
    if claim == (operation.claim or ""):
        return Reply(answer=_extend(tx, operation, now) if claim else _answer(operation))
    left = (operation.lease_until or operation.expires_at) - micros(now)
    if left > 0:
        return Reply(wait=LeaseHeld(retry_after=min(left // 1_000_000 + 1, AGAIN_CLAIM)), bound="lease")
    ended = operations.move(
        tx, operation, Status.EXPIRED, now, outcome=Outcome.UNKNOWN.value, reason=NOBODY_KNOWS, silent_at=None
    )
    return Reply(answer=_answer(ended), ended=ended)


def _never_began(tx: Tx, operation: Operation, ack: Ack, now: datetime) -> None:
    """Let go of the target when the holder, who never got its answer, asks to begin what has ended meanwhile."""
    if ack.state == "running" and ack.claim and ack.claim == operation.claim:
        release(tx, operation, now)


def _extend(tx: Tx, operation: Operation, now: datetime) -> AckAnswer:
    rows.change(tx, operation.id, lease_until=_lease_end(now), silent_at=None)
    if operation.silent_at is not None:
        _tell(tx, operation, HEARD, now)
    return _answer(operation, leased=True)


def _answer(operation: Operation, *, leased: bool = False) -> AckAnswer:
    status = Status(operation.status)
    lease = (operation.lease_token, LEASE) if leased else (0, 0)
    return AckAnswer(
        id=operation.id,
        status=status,
        proceed=status not in ENDED,
        lease=lease[0],
        lease_seconds=lease[1],
        exclude=excluded(operation.request) if leased and operation.kind == "patch" else None,
    )


def _tell(tx: Tx, operation: Operation, kind: str, now: datetime) -> None:
    _log(tx, operation, kind, {"since": stamp_micros(operation.silent_at or operation.lease_until)}, now)
    audit.note(tx, kind.replace("_", "."), operation.id, now, operation.team_id, agent=operation.agent_id)


def _log(tx: Tx, operation: Operation, kind: str, more: dict[str, str | None], now: datetime) -> None:
    told = {"id": operation.id, "agent_id": operation.agent_id, "target": operation.target, **more}
    events.log(
        tx,
        team_id=operation.team_id,
        topic=TOPIC,
        subject=operation.agent_id,
        kind=kind,
        payload={"action": "create", "record": told},
        at=micros(now),
    )


def _lease_end(now: datetime) -> int:
    return micros(now + timedelta(seconds=LEASE))


def _age(operation: Operation) -> tuple[int, str]:
    return operation.created_at, operation.id
