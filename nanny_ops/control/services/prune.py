"""Removal of old snapshots that our orders made: which are to go, orders for the agents concerned, what became of each.

Only what an order of ours is known to have made is ever named; a snapshot that an open order may still set its guest
back to is spared, and so is whatever lies where no agent can be asked.
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from nanny_ops.control.services import lease, policy, upkeep
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import order as orders
from nanny_ops.control.services import snapshot as snapshots
from nanny_ops.control.services.presence import Looks
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store import prune as store
from nanny_ops.control.store import selection
from nanny_ops.control.store import snapshot as kept
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.snapshot import LIVING, OURS, Filter, Snapshot
from nanny_ops.errors import Conflict, NotFound, ValidationFailed
from nanny_ops.protocol.clock import from_micros, micros, stamp, stamp_micros
from nanny_ops.protocol.feature import PRUNE
from nanny_ops.protocol.operation import Kind
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.prune import (
    DEFAULT_TIMEOUT,
    MOST_SNAPSHOTS,
    Prune,
    PruneRequest,
    PruneResult,
    Pruning,
    Removal,
    Spared,
)

KIND: Kind = "prune"
BEGUN = "The agent has begun to remove them; it ends by itself."
#: How long an order waits for its agent, unless it says otherwise.
LIFETIME = timedelta(days=1)
#: Snapshots that are looked through for one request, and orders that it may come to.
EVERY, MOST = 100_000, 500
HOUR = 3600 * 1_000_000
#: What a snapshot becomes by what an agent did to it; other words leave it as it is.
BECOMES = {"removed": "removed", "gone": "gone"}


@dataclass(frozen=True)
class Usual:
    """How many stay and for how long, in hours, where a request says neither."""

    keep: int
    hours: int


def order(tx: Tx, person: Person, request: PruneRequest, usual: Usual, now: datetime) -> tuple[Pruning, list[str]]:
    """Order the removal of what is too old or too many, or with ``dry`` tell what it would be; return the orders' ids.

    Raises Forbidden, NotFound, ValidationFailed.
    """
    person.allow("patch")
    teams = [person.team_for("operator", "patch"), *person.teams_as("operator")]
    _must_be(tx, person, request)
    keep, hours = request.keep, request.older_than_hours
    if keep is None and hours is None:
        keep, hours = usual.keep, usual.hours
    wanted = Filter(
        guest_id=request.guest_id,
        agent_id=request.agent_id,
        cluster=request.cluster,
        kind="snapshot",
        states=LIVING,
    )
    found, _ = kept.page(tx, set(teams), wanted, EVERY, 0)
    doomed = _doomed(found, keep, hours, micros(now))
    until = micros(orders.expiry(request.expires_at, now, LIFETIME))
    made, spared = _orders(tx, doomed, person.id, until, now)
    if len(made) > MOST:
        raise ValidationFailed(f"{len(made)} guests are concerned, and one request may be about {MOST}; narrow it.")
    if not request.dry:
        made = [operations.create(tx, one) for one in made]
    told = [rendered(one) if not request.dry else replace(rendered(one), id="", status="") for one in made]
    answer = Pruning(dry=request.dry, keep=keep, older_than_hours=hours, orders=told, spared=spared)
    return answer, [] if request.dry else [one.id for one in made]


def visible(tx: Tx, person: Person, prune_id: str) -> Operation:
    """Return an order of one of the person's teams. Raises NotFound."""
    return orders.visible(tx, person, KIND, prune_id)


def withdraw(tx: Tx, person: Person, prune_id: str, now: datetime) -> tuple[Operation, bool]:
    """Take an order back that has not begun; return it, and whether this ended it. Idempotent.

    Raises NotFound, Forbidden, and Conflict for one that has begun or ended.
    """
    return orders.withdraw(tx, person, KIND, prune_id, now, BEGUN)


def take(tx: Tx, agent: HostAgent, prune_id: str, said: PruneResult, now: datetime) -> tuple[Operation, bool]:
    """End an order as its agent says, also a late one; the first result stands. Return it, and whether this is it.

    Raises NotFound, Forbidden, and Fenced when another holds the lease.
    """
    operation = orders.owned(tx, agent, KIND, prune_id)
    lease.check(operation, said.lease, said.claim)
    told = [replace(one, reason=plain(one.reason), upid=plain(one.upid)) for one in said.removals]
    result = {"removals": [asdict(one) for one in told]}
    ended, new = orders.end(tx, operation, orders.outcome_of(said.outcome), said.reason, result, now)
    if new:
        _note(tx, ended, told, now)
    return ended, new


def is_due(tx: Tx, now: datetime) -> bool:
    """Tell whether the time of some snapshot is over."""
    return bool(kept.expired(tx, micros(now), 1))


def sweep(tx: Tx, now: datetime, limit: int = 50) -> list[Operation]:
    """Order the removal of what an order of ours left for a time that is over; what cannot go is tried a day later."""
    due = kept.expired(tx, micros(now), limit)
    for row in due:
        kept.put(tx, replace(row, expires_at=micros(now + LIFETIME)), known=True)
    made, spared = _orders(tx, due, KIND, micros(now + LIFETIME), now)
    reasons = {one.snapshot_id: one.reason for one in spared}
    for row in due:
        if row.id in reasons and (found := kept.find(tx, row.id, [row.team_id])) is not None:
            kept.put(tx, replace(found, reason=reasons[row.id]), known=True)
    return [operations.create(tx, one) for one in made]


def rendered(operation: Operation) -> Prune:
    """Return an order as people see it."""
    asked, result = operation.request, operation.result or {}
    return Prune(
        id=operation.id,
        agent_id=operation.agent_id,
        target=operation.target,
        vmid=str(operation.vmid),
        guest=asked.get("name", ""),
        status=operation.status,
        outcome=operation.outcome,
        reason=operation.reason,
        snapshots=[one["name"] for one in asked["snapshots"]],
        removals=[Removal(**one) for one in result.get("removals", ())],
        created_by=operation.created_by,
        created_at=stamp(from_micros(operation.created_at)),
        updated_at=stamp(from_micros(operation.updated_at)),
        expires_at=stamp(from_micros(operation.expires_at)),
        started_at=stamp_micros(operation.started_at),
        finished_at=stamp_micros(operation.finished_at),
    )


def _must_be(tx: Tx, person: Person, request: PruneRequest) -> None:
    """Tell what is not there from what has no snapshots. Raises NotFound, Forbidden."""
    if request.agent_id:
        agent = agents.get(tx, request.agent_id, person.teams)
        if agent is None:
            raise NotFound(f"There is no agent '{request.agent_id}'.")
        person.require(agent.team_id, "operator", "patch")
    if request.guest_id:
        guest = inventory.guest(tx, request.guest_id, person.teams)
        if guest is None:
            raise NotFound(f"There is no guest '{request.guest_id}'.")
        person.require(guest.team_id, "operator", "patch")
    names = inventory.names(tx, person.teams, "cluster") if request.cluster else {}
    if request.cluster and request.cluster not in {*names, *names.values()}:
        raise NotFound(f"There is no cluster '{request.cluster}'.")


def _doomed(found: Sequence[Snapshot], keep: int | None, hours: int | None, now: int) -> list[Snapshot]:
    """Return what is too old, and of each guest what is beyond the newest that stay; strangers only count by age."""
    doomed: list[Snapshot] = []
    counted: dict[tuple[str, int], int] = {}
    for row in found:  # the newest first
        place = (row.scope, row.vmid)
        old = hours is not None and now - (row.made_at or row.created_at) > hours * HOUR
        if row.state in OURS:
            counted[place] = counted.get(place, 0) + 1
            old = old or (keep is not None and counted[place] > keep)
        if old:
            doomed.append(row)
    return doomed[::-1]


def _orders(
    tx: Tx, doomed: Sequence[Snapshot], who: str, until: int, now: datetime
) -> tuple[list[Operation], list[Spared]]:
    """Return the orders by which these go, not yet written, and those that are spared."""
    choice = _Choice.of(tx, doomed, now)
    spared, going = [], dict[tuple[str, int], list[Snapshot]]()
    for row in doomed:
        why, reason = choice.why_not(tx, row, now)
        if why == "gone":
            continue
        if why:
            spared.append(Spared(snapshot_id=row.id, name=row.name, vmid=str(row.vmid), why=why, reason=reason))
        else:
            going.setdefault((row.scope, row.vmid), []).append(row)
    made = [choice.operation(place, some[:MOST_SNAPSHOTS], who, until, now) for place, some in going.items()]
    return made, spared


@dataclass(frozen=True)
class _Choice:
    """All that decides whether a snapshot may go, and by whom."""

    guests: dict[tuple[str, int], Any]
    looks: Looks
    busy: Collection[str]
    reporting: dict[tuple[str, str], str]
    agents: dict[str, Agent]

    @classmethod
    def of(cls, tx: Tx, doomed: Sequence[Snapshot], now: datetime) -> "_Choice":
        reporting = selection.reporting(tx, {row.team_id for row in doomed})
        return cls(
            guests=kept.guests_of(tx, doomed),
            looks=Looks.of(tx, {row.scope for row in doomed}, now),
            busy=kept.in_use(tx, doomed, micros(now)),
            reporting=reporting,
            agents=agents.some(tx, set(reporting.values())),
        )

    def agent(self, row: Snapshot) -> Agent | None:
        """Return the agent on the node that the guest is on now."""
        guest = self.guests.get((row.scope, row.vmid))
        return None if guest is None else self.agents.get(self.reporting.get((row.scope, guest.node), ""))

    def why_not(self, tx: Tx, row: Snapshot, now: datetime) -> tuple[str, str]:
        """Return a word and a sentence for what keeps one from going; both are empty where nothing does."""
        guest, agent = self.guests.get((row.scope, row.vmid)), self.agent(row)
        if row.state not in OURS or row.operation_id is None:
            return "foreign", "It is named as ours, and no order is known to have made it."
        if row.operation_id in self.busy:
            return "in_use", f"{row.operation_id} has not ended and may still set the guest back to it."
        presence = self.looks.judge(row, guest)
        if presence.there is False:
            return "gone", ""
        if guest is None or guest.unknown_since is not None:
            return "unknown", presence.why or "Nobody can tell of its guest now."
        if agent is None:
            return "no_agent", f"No agent runs on {guest.node}."
        if PRUNE not in agent.features:
            return "cannot", f"The agent on {agent.hostname} (version {agent.version or 'unknown'}) cannot; update it."
        for other in store.open_on(tx, row.scope, f"{guest.kind}:{guest.vmid}"):
            return "ordered", f"{other.id} is {other.status}."
        try:
            policy.demand(tx, agent, KIND, row.vmid, now)
        except Conflict as wrong:
            return "refused", wrong.message
        return "", ""

    def operation(
        self, place: tuple[str, int], some: Sequence[Snapshot], who: str, until: int, now: datetime
    ) -> Operation:
        """Return the order by which some snapshots of a guest go."""
        guest, agent = self.guests[place], self.agent(some[0])
        assert agent is not None  # noqa: S101  it was asked for before
        named = [{"name": row.name, "operation_id": row.operation_id} for row in some]
        return Operation(
            id=f"prune-{uuid.uuid4()}",
            team_id=some[0].team_id,
            agent_id=agent.id,
            kind=KIND,
            status="pending",
            target=f"{guest.kind}:{guest.vmid}",
            vmid=guest.vmid,
            request={"snapshots": named, "timeout_seconds": DEFAULT_TIMEOUT, "name": guest.name, "node": guest.node},
            created_by=who,
            created_at=micros(now),
            updated_at=micros(now),
            expires_at=until,
        )


def _note(tx: Tx, operation: Operation, told: Iterable[Removal], now: datetime) -> None:
    """Note what has become of each snapshot that was named, and what kept one from going."""
    scope, _ = upkeep.place(tx, operation)
    asked = {one["name"] for one in operation.request["snapshots"]}
    for one in told:
        row = kept.named(tx, scope, operation.vmid or 0, "snapshot", one.name) if one.name in asked else None
        if row is None or row.state not in LIVING:
            continue
        if one.outcome in BECOMES:
            by = operation.id if one.outcome == "removed" else None
            snapshots.mark(tx, row, BECOMES[one.outcome], micros(now), removed_by=by, reason=one.reason)
        else:
            kept.put(tx, replace(row, reason=one.reason), known=True)
