"""What people are told who watch operations while they go on: what is stored, less what each has been told already."""

import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from nanny_ops.control.services import patch_batch as batches
from nanny_ops.control.services import result as results
from nanny_ops.control.services.bookmark import Mark
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import patch as patches
from nanny_ops.control.store import patch_batch as store
from nanny_ops.control.store import step as steps
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, Forbidden, NotFound
from nanny_ops.protocol.clock import micros, stamp_micros
from nanny_ops.protocol.operation import ENDED, Status
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.patch_report import Step
from nanny_ops.protocol.watch import WatchEnd, WatchStatus, WatchStep

Noun = Literal["patch", "reboot", "update", "batch"]
#: The step whose output is told, and how a step that goes on is told.
SCRIPT, RUNNING = "script", "running"
_BITS = {status: 1 << place for place, status in enumerate(Status)}
_ENDED_BITS = sum(_BITS[status] for status in ENDED)


@dataclass(frozen=True)
class Watched:
    """Operations as they stand now; ``readable`` where their outputs may be read, ``team_id`` whose they are."""

    key: str
    team_id: str
    operations: Sequence[Operation]
    readable: bool


def look(tx: Tx, person: Person, noun: Noun, key: str) -> Watched:
    """Return what is watched, as it stands. Raises NotFound."""
    if noun == "batch":
        batch = batches.visible(tx, person, key)
        return Watched(key, batch.team_id, store.orders(tx, key), _may_read(person, batch.team_id, batch.created_by))
    found = operations.get(tx, key, noun, person.teams)
    if found is None:
        raise NotFound(f"There is no {noun} '{key[:64]}'.")
    return Watched(key, found.team_id, [found], _may_read(person, found.team_id, found.created_by))


def steps_of(tx: Tx, wanted: Collection[Operation]) -> dict[str, list[Step]]:
    """Return the steps of patch operations: those of the report, else those that its agent has told so far."""
    chosen = {one.id: one for one in wanted if one.kind == "patch" and one.started_at is not None}
    found = steps.of(tx, chosen.keys())
    for key, operation in chosen.items():
        told = (patches.report_of(tx, key) or {}).get("steps") if operation.result is not None else None
        found[key] = told or found.get(key, [])
    return {key: [Step(**one) for one in told] for key, told in found.items()}


def note_steps(tx: Tx, agent: HostAgent, operation_id: str, told: Sequence[Step], now: datetime) -> Operation:
    """Keep all steps of a running job, as its agent tells them. Raises NotFound, Forbidden, Conflict."""
    operation = results.expected(tx, agent, operation_id)
    if operation.result is not None:
        raise Conflict(f"The operation is {operation.status}.", status=operation.status)
    body: list[dict[str, Any]] = [{**asdict(one), "name": plain(one.name), "reason": plain(one.reason)} for one in told]
    steps.keep(tx, operation, body, micros(now))
    return operation


def is_over(operation: Operation, now: datetime) -> bool:
    """Tell whether nothing more is to come: it has ended, and nobody is known to work on its target."""
    held = operation.held_until is not None and operation.held_until > micros(now)
    return Status(operation.status) in ENDED and not held


def opening(operation: Operation, told: Sequence[Step], mark: Mark) -> Iterator[WatchStatus | WatchStep]:
    """Yield what comes before more output, and note it in the mark."""
    if not mark.statuses & _ENDED_BITS:
        yield from _passed(operation, mark)
    if Status(operation.status) not in ENDED:
        yield from _present(operation, mark)
    yield from _steps(operation.id, told, mark, over_script=False)


def closing(operation: Operation, told: Sequence[Step], mark: Mark, now: datetime) -> Iterator[WatchStatus | WatchStep]:
    """Yield what comes once all output that there is was told, and note it in the mark."""
    yield from _steps(operation.id, told, mark, over_script=True)
    if Status(operation.status) not in ENDED:
        return
    for past in (operation.result or {}).get("history", ()):
        if not mark.statuses & _BITS[Status(past["status"])]:
            mark.statuses |= _BITS[Status(past["status"])]
            yield _status(operation, **past)
    over = is_over(operation, now)
    for last in _present(operation, mark):
        mark.done = over
        yield last
    mark.done = over


def end(watched: Watched) -> WatchEnd:
    """Return the last that is told: how many came to what."""
    summary: dict[str, int] = {}
    for operation in watched.operations:
        word = operation.outcome or operation.status
        summary[word] = summary.get(word, 0) + 1
    return WatchEnd(id=watched.key, summary=summary)


def _may_read(person: Person, team_id: str, created_by: str) -> bool:
    if created_by == person.id:
        return True
    try:
        person.require(team_id, "operator", "read")
    except Forbidden:
        return False
    return True


def _passed(operation: Operation, mark: Mark) -> Iterator[WatchStatus]:
    """Yield where an operation has been before it came where it stands."""
    instants = (
        (Status.PENDING, operation.created_at),
        (Status.DELIVERED, operation.delivered_at),
        (Status.RUNNING, operation.started_at),
    )
    for status, at in instants:
        if at is not None and status != operation.status and not mark.statuses & _BITS[status]:
            mark.statuses |= _BITS[status]
            yield _status(operation, status=status.value, at=stamp_micros(at))


def _present(operation: Operation, mark: Mark) -> Iterator[WatchStatus]:
    """Yield where an operation stands, unless just that was told last."""
    status = Status(operation.status)
    at = {
        Status.PENDING: operation.created_at,
        Status.DELIVERED: operation.delivered_at,
        Status.RUNNING: operation.started_at,
    }.get(status, operation.finished_at)
    silent = stamp_micros(operation.silent_at) if status is Status.RUNNING else None
    told = {"status": status.value, "outcome": operation.outcome, "reason": operation.reason, "silent_since": silent}
    said = zlib.crc32(json.dumps(told, sort_keys=True).encode())
    if mark.statuses & _BITS[status] and mark.said == said:
        return
    mark.statuses, mark.said = mark.statuses | _BITS[status], said
    yield _status(operation, at=stamp_micros(at), **told)


def _status(operation: Operation, **told: Any) -> WatchStatus:
    return WatchStatus(
        operation_id=operation.id, kind=operation.kind, agent_id=operation.agent_id, target=operation.target, **told
    )


def _steps(operation_id: str, told: Sequence[Step], mark: Mark, *, over_script: bool) -> Iterator[WatchStep]:
    while mark.steps < len(told):
        step = told[mark.steps]
        goes_on = step.outcome == RUNNING or (step.name == SCRIPT and not over_script)
        if not goes_on:
            mark.steps, mark.begun = mark.steps + 1, False
            yield _step(operation_id, mark.steps, asdict(step))
        elif mark.begun:
            return
        else:
            mark.begun = True
            begun = {"name": step.name, "outcome": RUNNING, "started_at": step.started_at}
            yield _step(operation_id, mark.steps + 1, begun)


def _step(operation_id: str, number: int, told: Mapping[str, Any]) -> WatchStep:
    return WatchStep(operation_id=operation_id, number=number, **told)
