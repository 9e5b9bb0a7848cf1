"""Results of patch operations: taken once, idempotently, and late ones too."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from nanny_ops.control.services import lease, package, snapshot, upkeep
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import patch as patches
from nanny_ops.control.store import step as steps
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import NotFound, OperationMismatch, ValidationFailed
from nanny_ops.protocol.clock import micros, parse_stamp, stamp_micros
from nanny_ops.protocol.operation import GOOD, MOVES, Outcome, Status
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.patch import PackageChange, ResultMetadata
from nanny_ops.protocol.patch_report import PatchReport
from nanny_ops.protocol.redaction import masked

log = structlog.get_logger()
#: Words that an agent may say and that go with the status of their name, where the operation still can go there.
NAMED = {Outcome.CANCELLED: Status.CANCELLED}

#: Why a package was left: as a script says it, and where an exception had put it into the order's exclusions.
EXCLUDED, EXCEPTION = "excluded", "exception"


@dataclass(frozen=True)
class Taken:
    """What became of an upload: ``counts`` is False where an earlier result stands, ``new`` True for the first."""

    operation: Operation
    message: str
    counts: bool
    new: bool = False


def expected(tx: Tx, agent: HostAgent, operation_id: str) -> Operation:
    """Return the agent's patch operation. Raises NotFound, or Forbidden for another agent's."""
    operation = operations.owned(tx, agent, operation_id)
    if operation.kind != "patch":
        raise NotFound(f"There is no patch operation '{operation_id}'.")
    return operation


def essence(operation: Operation, metadata: ResultMetadata) -> bytes:
    """Return what makes two results the same one: all but when and by whom it is sent.

    Raises OperationMismatch, and Fenced when another holds the lease.
    """
    if metadata.operation_id != operation.id:
        raise OperationMismatch(
            f"The metadata is about '{metadata.operation_id[:64]}', the address about '{operation.id}'."
        )
    lease.check(operation, metadata.lease, metadata.claim)
    said = asdict(metadata)
    for name in ("timestamp", "lease", "claim"):
        del said[name]
    return json.dumps(said, sort_keys=True).encode()


def take(
    tx: Tx,
    agent: HostAgent,
    operation_id: str,
    metadata: ResultMetadata,
    receipt: str,
    now: datetime,
    *,
    listed: bool = True,
) -> Taken:
    """End an operation with its result, whose files are in place under ``receipt``.

    Raises Fenced when another holds the lease. ``listed`` is False where the script listed no packages at all, so
    that silence about one says nothing.
    """
    operation = expected(tx, agent, operation_id)
    held = (operation.result or {}).get("receipt")
    if held == receipt:
        return Taken(operation, "Patch results uploaded successfully", counts=True)
    lease.check(operation, metadata.lease, metadata.claim)
    to, outcome, reason = verdict(operation, metadata)
    if held is not None or (to not in MOVES[Status(operation.status)] and to != operation.status):
        log.warning("second result", operation=operation.id, held=operation.outcome, refused=outcome)
        _let_go(tx, operation, metadata, now)
        return Taken(operation, f"The operation has ended as {operation.status}; its first result stands.", False)
    ended = _end(tx, operation, to, metadata, receipt, now, outcome=outcome.value, reason=reason, silent_at=None)
    _let_go(tx, ended, metadata, now)
    changes = [_plain(change) for change in metadata.package_list]
    patches.add_changes(tx, ended, changes)
    if metadata.report is not None:
        patches.add_report(tx, ended, _told(metadata.report, operation))
        steps.forget(tx, ended.id)
    if to is Status.COMPLETED and listed:  # the list of a run that failed says neither what is nor what is not there
        package.remember(tx, ended, changes, now)
    snapshot.remember(tx, ended, metadata.report, now)
    whole = to is Status.COMPLETED and listed and package.is_whole(ended)
    upkeep.remember(tx, ended, metadata.report, now, whole=whole)
    return Taken(ended, "Patch results uploaded successfully", counts=True, new=True)


def _let_go(tx: Tx, operation: Operation, metadata: ResultMetadata, now: datetime) -> None:
    """Release the target, unless the agent cannot tell whether the script is over, as the clone of a machine cannot."""
    if not metadata.may_run:
        lease.release(tx, operation, now)


def verdict(operation: Operation, metadata: ResultMetadata) -> tuple[Status, Outcome, str]:
    """Return the status, outcome and reason that a result stands for.

    Agents that know only the guide say nothing but ``success``. Where both are told, the worse word counts.
    """
    known = {outcome.value: outcome for outcome in Outcome}
    said, reason = known.get(metadata.outcome), _clean(metadata.reason)
    if metadata.outcome and said is None:
        reason = f"The agent reported '{_clean(metadata.outcome)}'. {reason}".strip()
    if metadata.success and (said is None or said in GOOD):
        usual = Outcome.OK if metadata.package_list else Outcome.NOTHING_TO_DO
        return Status.COMPLETED, said or usual, reason
    outcome = Outcome.SCRIPT_FAILED if said is None or said in GOOD else said
    if outcome is Outcome.SCRIPT_FAILED and not reason:
        code = "another code than 0" if metadata.exit_code is None else f"exit code {metadata.exit_code}"
        reason = f"The script ended with {code}; its stderr may tell why."
    to = NAMED.get(outcome, Status.FAILED)
    possible = to in MOVES[Status(operation.status)] or to == operation.status
    return to if possible else Status.FAILED, outcome, reason


def _end(
    tx: Tx, operation: Operation, to: Status, metadata: ResultMetadata, receipt: str, now: datetime, **values: Any
) -> Operation:
    values |= {"result": _kept(operation, metadata, receipt), "outputs_dropped_at": None}
    if operation.started_at is None:
        values["started_at"] = _instant(metadata.started_at)
    if to != operation.status:
        return operations.move(tx, operation, to, now, **values)
    values["updated_at"] = micros(now)
    store.change(tx, operation.id, **values)
    return replace(operation, **values)


def _kept(operation: Operation, metadata: ResultMetadata, receipt: str) -> dict[str, Any]:
    return {
        "receipt": receipt,
        "duration": metadata.duration,
        "exit_code": metadata.exit_code,
        "timestamp": metadata.timestamp,
        "stdout_truncated": metadata.stdout_truncated,
        "stderr_truncated": metadata.stderr_truncated,
        "package_count": len(metadata.package_list),
        "history": _history(operation),
    }


def _history(operation: Operation) -> list[dict[str, Any]]:
    if operation.outcome is None:
        return []
    past = {"status": operation.status, "outcome": operation.outcome, "reason": operation.reason}
    return [{**past, "at": stamp_micros(operation.finished_at)}]


def _instant(text: str) -> int | None:
    try:
        return micros(parse_stamp(text)) if text else None
    except ValidationFailed:
        return None  # a result is worth more than the agent's idea of when it began


def _plain(change: PackageChange) -> PackageChange:
    return PackageChange(
        name=_clean(change.name),
        version=_clean(change.version),
        old_version=_clean(change.old_version),
        action=_clean(change.action),
        security=change.security,
        repository=_clean(change.repository),
        size=change.size,
    )


def _told(report: PatchReport, operation: Operation) -> dict[str, Any]:
    """Return a report fit to be kept; scripts know exclusions only, the order knows which of them are exceptions."""
    held = {one["name"]: one["reason"] for one in operation.request.get("holds", ())}
    left = [
        replace(one, why=EXCEPTION, reason=held[one.name]) if one.why == EXCLUDED and one.name in held else one
        for one in report.left
    ]
    cleaned: dict[str, Any] = _cleaned(asdict(replace(report, left=left)))
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cleaned(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_cleaned(part) for part in value]
    if not isinstance(value, str):
        return value
    return masked(plain(value).encode("utf-8", "replace")).decode("utf-8", "replace")


def _clean(text: str) -> str:
    # PostgreSQL takes no NUL in a text.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
