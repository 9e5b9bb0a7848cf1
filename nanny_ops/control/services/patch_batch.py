"""Many patch orders at once: placed together or not at all, each then an order like any other."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from nanny_ops.control.services import audit, change, order, patch, request_key, selection
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import patch_option as options
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.selection import Candidate
from nanny_ops.control.store import patch_batch as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.patch_batch import Batch
from nanny_ops.errors import Conflict, NoScriptForTarget, NotFound, ValidationFailed
from nanny_ops.protocol.clock import from_micros, micros, stamp, stamp_micros
from nanny_ops.protocol.operation import OPEN, Status
from nanny_ops.protocol.patch import PatchRequest, PatchTerms
from nanny_ops.protocol.patch_batch import BatchRequest, BatchTarget, PatchBatch, Select, Skipped

#: Orders of one batch: they are written in one transaction, and others wait for it.
MOST = 1000


def place(tx: Tx, person: Person, request: BatchRequest, key: str, now: datetime) -> tuple[PatchBatch, bool]:
    """Order a patch of all targets that fit, or with ``dry`` tell which they are; the second is whether it is new.

    The same ``key`` with the same request gives the same batch for a day. Raises Forbidden, NotFound, Conflict,
    ValidationFailed: for what is wrong with the order whatever it is aimed at. Where it is wrong for one target, that
    target is left out with the reason.
    """
    team_id = _team(person, request)
    asked = request_key.read(person, key, request)
    if asked.name and (earlier := store.by_request_key(tx, asked.name, request_key.since(now))) is not None:
        asked.demand_same(earlier.request_digest)
        return detail(tx, earlier), False
    if not request.all and selection.asks_nothing(request.select):
        raise ValidationFailed("select: say which targets are wanted, or all: true.", field="select")
    patch.check_words(request.order)
    options.check(tx, request.order, "lxc:0", team_id)
    order.expiry(request.order.expires_at, now, order.LONGEST_EXPIRY)
    chosen = selection.choose(tx, team_id, request.select, request.exclude, start_stopped=request.order.start_stopped)
    if len(chosen.targets) > MOST:
        raise ValidationFailed(
            f"select: {len(chosen.targets)} targets fit, and a batch may have {MOST}; narrow it down.", field="select"
        )
    batch_id = f"batch-{uuid.uuid4()}"
    orders, refused = _orders(tx, person, request.order, chosen.targets, batch_id, now)
    left = [*chosen.skipped, *refused]
    batch = Batch(
        id=batch_id,
        team_id=team_id,
        request={name: value for name, value in asdict(request).items() if name in {"order", "select", "exclude"}},
        skipped=[asdict(one) for one in left],
        placed=len(orders),
        created_by=person.id,
        created_at=micros(now),
        request_key=asked.name,
        request_digest=asked.digest,
    )
    if request.dry:
        return _preview(batch, orders), True
    store.add(tx, batch)
    for _, one in orders:
        operations.create(tx, one)
    audit.note(tx, "batch.create", batch.id, now, team_id, placed=len(orders), left_out=len(left))
    _tell(tx, batch, "batch.placed", now, placed=len(orders), left_out=len(left), mode=request.order.mode)
    return detail(tx, batch), True


def visible(tx: Tx, person: Person, key: str) -> Batch:
    """Return a batch of one of the person's teams. Raises NotFound."""
    found = store.get(tx, key, person.teams)
    if found is None:
        raise NotFound(f"There is no batch '{key[:64]}'.")
    return found


def withdraw(tx: Tx, person: Person, key: str, now: datetime) -> tuple[PatchBatch, list[Operation]]:
    """Cancel every order of a batch that has not ended; return it, and what this ended. Idempotent.

    Raises NotFound, Forbidden.
    """
    batch = visible(tx, person, key)
    person.require(batch.team_id, "operator", "patch")
    reason = f"Cancelled with its batch by {person.email}."
    open_ones = [one for one in store.orders(tx, batch.id, held=True) if Status(one.status) in OPEN]
    ended = [operations.cancel(tx, one, reason, now) for one in open_ones]
    if batch.cancelled_at is None:
        store.cancel(tx, batch.id, micros(now))
        audit.note(tx, "batch.cancel", batch.id, now, batch.team_id, cancelled=len(ended))
        _tell(tx, batch, "batch.cancelled", now, cancelled=len(ended))
    return detail(tx, visible(tx, person, key)), ended


def detail(tx: Tx, batch: Batch) -> PatchBatch:
    """Return a batch as people see it, with each of its targets."""
    orders = store.orders(tx, batch.id)
    counted = [(one.status, one.outcome, 1) for one in orders]
    waiting = sorted({one.reason for one in orders if Status(one.status) in OPEN and one.asked_at and one.reason})
    return replace(
        rendered(batch, counted),
        waiting=waiting,
        targets=[_target(one) for one in orders],
        skipped=[Skipped(**one) for one in batch.skipped],
    )


def page(tx: Tx, person: Person, limit: int, offset: int) -> tuple[list[PatchBatch], int]:
    """Return a page of batches, newest first, without their targets, and how many there are."""
    found, total = store.page(tx, person.teams, limit, offset)
    counts = store.summaries(tx, [one.id for one in found])
    return [rendered(one, counts[one.id]) for one in found], total


def rendered(batch: Batch, counted: Sequence[tuple[str, str | None, int]]) -> PatchBatch:
    """Return a batch as lists show it; ``counted`` is how many orders have which status and outcome."""
    summary: Counter[str] = Counter()
    for status, outcome, number in counted:
        summary[status if Status(status) in OPEN else outcome or status] += number
    is_open = any(Status(status) in OPEN for status, _, _ in counted)
    return PatchBatch(
        id=batch.id,
        dry=False,
        state="open" if is_open else "ended",
        **_asked(batch.request),
        placed=batch.placed,
        left_out=len(batch.skipped),
        summary=dict(sorted(summary.items())),
        created_by=batch.created_by,
        created_at=stamp(from_micros(batch.created_at)),
        cancelled_at=stamp_micros(batch.cancelled_at),
    )


def _orders(
    tx: Tx, person: Person, terms: PatchTerms, targets: Sequence[Candidate], batch_id: str, now: datetime
) -> tuple[list[tuple[Candidate, Operation]], list[Skipped]]:
    placed: list[tuple[Candidate, Operation]] = []
    refused: list[Skipped] = []
    told = {name: getattr(terms, name) for name in vars(terms)}
    for one in targets:
        if one.agent is None:
            continue
        vmid = "" if one.guest is None else f"{one.guest.kind}-{one.guest.vmid}"
        request = PatchRequest(**told, agent_id=one.agent.id, vmid=vmid)
        try:
            order = patch.make(tx, person, one.agent, request, now)
        except NoScriptForTarget as wrong:
            refused.append(selection.skipped(one, "no_script", wrong.message))
        except (Conflict, ValidationFailed) as wrong:
            refused.append(selection.skipped(one, "refused", wrong.message))
        else:
            named = {**order.request, "name": one.name, "node": one.node}
            # The oldest goes first: microseconds keep the order of the selection.
            at = order.created_at + len(placed)
            placed.append((one, replace(order, batch_id=batch_id, request=named, created_at=at)))
    return placed, refused


def _preview(batch: Batch, orders: Sequence[tuple[Candidate, Operation]]) -> PatchBatch:
    targets = [replace(_target(order), operation_id="", status="") for _, order in orders]
    skipped = [Skipped(**one) for one in batch.skipped]
    shown = rendered(batch, [])
    return replace(shown, id="", dry=True, state="preview", targets=targets, skipped=skipped)


def _tell(tx: Tx, batch: Batch, kind: str, now: datetime, **detail: Any) -> None:
    happened = change.Change(kind, f"batch/{batch.id}", batch.id, detail=detail)
    change.tell(tx, change.Place(batch.team_id, "", None, ""), [happened], micros(now))


def _target(one: Operation) -> BatchTarget:
    return BatchTarget(
        operation_id=one.id,
        agent_id=one.agent_id,
        target=one.target,
        name=one.request.get("name", ""),
        node=one.request.get("node", ""),
        status=one.status,
        outcome=one.outcome,
        reason=one.reason,
        package_count=(one.result or {}).get("package_count"),
    )


def _asked(request: dict[str, Any]) -> dict[str, Any]:
    order = {name: value for name, value in request["order"].items() if name not in {"hooks", "probes"}}
    nested = {name: value for name, value in options.restored(request["order"]).items() if name in {"hooks", "probes"}}
    return {
        "order": PatchTerms(**order, **nested),
        "select": Select(**request["select"]),
        "exclude": Select(**request["exclude"]),
    }


def _team(person: Person, request: BatchRequest) -> str:
    """Return the team whose targets are meant. Raises Forbidden, NotFound."""
    if not request.team_id:
        return person.team_for("operator", "patch")
    if request.team_id not in person.teams:
        raise NotFound(f"There is no team '{request.team_id}'.")
    person.require(request.team_id, "operator", "patch")
    return request.team_id
