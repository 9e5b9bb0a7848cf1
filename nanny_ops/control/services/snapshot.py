"""Snapshots and backups that orders made: written down from their reports, held against what Proxmox VE lists.

A report may come late, twice or never. What never came is made up for by the inventory: a snapshot says in its own
description before which operation it was made. One with our prefix that no order is known to have made is ``foreign``.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nanny_ops.control.services import upkeep
from nanny_ops.control.services.change import Place
from nanny_ops.control.services.presence import LAG, Looks, Presence
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.usage import guest_key
from nanny_ops.control.store import proxmox as inventory
from nanny_ops.control.store import snapshot as store
from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.snapshot import LIVING, Snapshot
from nanny_ops.errors import NotFound, ValidationFailed
from nanny_ops.protocol import snapshot as protocol
from nanny_ops.protocol.clock import micros, parse_stamp, stamp_micros
from nanny_ops.protocol.inventory import Fact
from nanny_ops.protocol.operation import GOOD, OPEN
from nanny_ops.protocol.package_list import plain
from nanny_ops.protocol.patch_order import SNAPSHOT_HOURS
from nanny_ops.protocol.patch_report import PatchReport, Protection
from nanny_ops.protocol.proxmox import LxcReport, QemuReport
from nanny_ops.protocol.snapshot import SnapshotRow

HOUR, SECOND = 3600 * 1_000_000, 1_000_000
#: Microseconds that a list must be younger than a removal to prove that it failed: clocks differ, and lists are kept.
LONG_LAG = 600 * SECOND
#: Days that rows stay of what is not there any more.
KEPT_DAYS = 90
LISTS = "guest.snapshots"
VANISHED = "Proxmox VE does not list it any more, and no order of ours has removed it."


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one report tells of a guest; ``at`` is when its snapshots were listed, in microseconds."""

    vmid: int
    kind: str
    snapshots: Mapping[str, Any]
    at: int


def remember(tx: Tx, operation: Operation, report: PatchReport | None, now: datetime) -> None:
    """Write down what an operation made and what it removed; saying it again changes nothing."""
    if report is None or operation.vmid is None:
        return
    scope, target = upkeep.place(tx, operation)
    told = report.protection
    if told is not None and told.name and (told.ours or told.kind == "snapshot"):
        _keep(tx, operation, scope, target, told, now, rolled_back=bool(report.rolled_back))
    for name in report.removed:
        known = store.named(tx, scope, operation.vmid, "snapshot", name)
        if known is not None and known.state in LIVING:
            mark(tx, known, "removed", micros(now), removed_by=operation.id, reason="")


def mark(tx: Tx, row: Snapshot, state: str, at: int, **more: Any) -> None:
    """Note what has become of one."""
    store.put(tx, replace(row, state=state, state_at=at, **more), known=True)


def readings(
    reports: Sequence[LxcReport | QemuReport], facts: Sequence[Fact], otherwise: int, now: int
) -> Iterator[Reading]:
    """Return what reports tell of guests' snapshots, those in which they are known; ``otherwise`` is their age."""
    lines = {line.object: line for line in facts if line.section == LISTS}
    for one in reports:
        kind = "lxc" if isinstance(one, LxcReport) else "qemu"
        line = lines.get(guest_key(kind, one.vmid)) or lines.get("")
        if one.snapshots is not None:
            listed = {each.name: each for each in one.snapshots}
            yield Reading(vmid=one.vmid, kind=kind, snapshots=listed, at=min(_instant(line) or otherwise, now))


def reconcile(tx: Tx, place: Place, agent_id: str, read: Collection[Reading], now: int) -> None:
    """Hold what is known of some guests against what Proxmox VE lists."""
    known = store.of_guests(tx, place.scope, {one.vmid for one in read})
    for one in read:
        rows = {row.name: row for row in known if row.vmid == one.vmid and row.kind == "snapshot"}
        for row in rows.values():
            _compare(tx, row, one, now)
        for name, listed in one.snapshots.items():
            if name.startswith(protocol.PREFIX) and name not in rows:
                _claim(tx, place, agent_id, one, listed, now)


def page(
    tx: Tx, who: Person, wanted: store.Filter, limit: int, offset: int, now: datetime
) -> tuple[list[SnapshotRow], int]:
    """Return a page of a person's teams, the newest first, and how many there are."""
    found, total = store.page(tx, who.teams, wanted, limit, offset)
    return shown(tx, found, now), total


def show(tx: Tx, who: Person, key: str, now: datetime) -> SnapshotRow:
    """Return one of a person's teams. Raises NotFound."""
    found = store.find(tx, key, who.teams)
    if found is None:
        raise NotFound(f"There is no snapshot '{key[:64]}'.")
    return shown(tx, [found], now)[0]


def shown(tx: Tx, rows: Sequence[Snapshot], now: datetime) -> list[SnapshotRow]:
    """Return rows as people see them."""
    guests, looks = store.guests_of(tx, rows), Looks.of(tx, {row.scope for row in rows}, now)
    clusters = inventory.cluster_names(tx, {guest.cluster_pk for guest in guests.values() if guest.cluster_pk})
    busy = store.in_use(tx, rows, micros(now))
    found = []
    for row in rows:
        guest = guests.get((row.scope, row.vmid))
        found.append(_shown(row, guest, looks.judge(row, guest), clusters, in_use=row.operation_id in busy))
    return found


def settle(tx: Tx, rows: Sequence[Snapshot], now: datetime) -> list[Snapshot]:
    """Note of some rows that they are gone, where what is known says so; return the others."""
    guests, looks = store.guests_of(tx, rows), Looks.of(tx, {row.scope for row in rows}, now)
    left = []
    for row in rows:
        if looks.judge(row, guests.get((row.scope, row.vmid))).there is False:
            mark(tx, row, "gone", micros(now), reason=VANISHED)
        else:
            left.append(row)
    return left


def _keep(
    tx: Tx, operation: Operation, scope: str, target: str, told: Protection, now: datetime, *, rolled_back: bool
) -> None:
    kind = "backup" if told.kind == "backup" else "snapshot"
    name, vmid = plain(told.name)[:512], operation.vmid or 0
    known = store.named(tx, scope, vmid, kind, name)
    state = "kept" if told.kind != "none" else "made"
    state = "removed" if not told.kept else "rolled_back" if rolled_back else state
    made_at = _micros(told.made_at) or (known.made_at if known else None)
    row = Snapshot(
        id=known.id if known else f"snapshot-{uuid.uuid4()}",
        team_id=operation.team_id,
        scope=scope,
        target=target,
        vmid=vmid,
        kind=kind,
        name=name,
        storage=plain(told.storage),
        agent_id=operation.agent_id,
        operation_id=operation.id,
        upid=plain(told.upid),
        state=state,
        state_at=micros(now),
        reason=plain(told.why_not),
        removed_by=operation.id if state == "removed" else None,
        created_at=known.created_at if known else micros(now),
        made_at=made_at,
        seen_at=known.seen_at if known else None,
        expires_at=_expiry(operation, made_at) if kind == "snapshot" and state == "kept" else None,
    )
    if known is not None and known.state not in LIVING:  # what has become of it is known already
        row = replace(row, state=known.state, state_at=known.state_at, reason=known.reason, removed_by=known.removed_by)
    store.put(tx, row, known=known is not None)


def _expiry(operation: Operation, made_at: int | None) -> int | None:
    """Return when a snapshot goes by itself: after an order that ended well; any other leaves it to people."""
    if operation.outcome not in GOOD or made_at is None:
        return None
    hours = operation.request.get("snapshot_max_age_hours")
    return made_at + (SNAPSHOT_HOURS if hours is None else int(hours)) * HOUR


def _compare(tx: Tx, row: Snapshot, read: Reading, now: int) -> None:
    listed = read.snapshots.get(row.name)
    if listed is None:
        # One that was listed before was listed by an older reading, however old this one says it is.
        if row.state in LIVING and (row.seen_at or read.at > (row.made_at or row.created_at) + LAG):
            mark(tx, row, "gone", now, reason=VANISHED)
        return
    seen = replace(row, seen_at=max(row.seen_at or 0, read.at), made_at=row.made_at or listed.at * SECOND)
    if row.state == "gone" or (row.state == "removed" and read.at > row.state_at + LONG_LAG):
        why = "It was taken for gone, and Proxmox VE lists it again."
        seen = replace(seen, state="kept" if row.operation_id else "foreign", state_at=now, reason=why, removed_by=None)
    if seen != row:
        store.put(tx, seen, known=True)


def _claim(tx: Tx, place: Place, agent_id: str, read: Reading, listed: Any, now: int) -> None:
    """Write down a snapshot that no report has told of: its maker's, where its description names one."""
    made_by = protocol.maker_of(listed.description)
    maker = store.maker(tx, made_by, place.team_id, read.vmid) if made_by else None
    state, why = "foreign", "It is named as ours, and no order is known to have made it; it is left alone."
    if maker is not None:
        state = "made" if maker.status in OPEN else "kept"
        why = "" if state == "made" else "Its order has told nothing of it."
    row = Snapshot(
        id=f"snapshot-{uuid.uuid4()}",
        team_id=place.team_id,
        scope=place.scope,
        target=f"{read.kind}:{read.vmid}",
        vmid=read.vmid,
        kind="snapshot",
        name=plain(listed.name),
        agent_id=maker.agent_id if maker is not None else agent_id,
        operation_id=maker.id if maker is not None else None,
        state=state,
        state_at=now,
        reason=why,
        created_at=now,
        made_at=listed.at * SECOND or None,
        seen_at=read.at,
    )
    store.put(tx, row, known=False)


def _shown(row: Snapshot, guest: Any, presence: Presence, clusters: Mapping[str, str], *, in_use: bool) -> SnapshotRow:
    return SnapshotRow(
        id=row.id,
        kind=row.kind,  # type: ignore[arg-type]
        name=row.name,
        storage=row.storage,
        state=row.state,  # type: ignore[arg-type]
        there=presence.there,
        why=" ".join(word for word in (presence.why, row.reason) if word),
        checked_at=stamp_micros(presence.checked_at),
        age_seconds=presence.age_seconds,
        guest_id=None if guest is None else guest.id,
        guest="" if guest is None else guest.name,
        vmid=row.vmid,
        target=row.target,
        node="" if guest is None else guest.node,
        cluster=None if guest is None else guest.cluster_pk,
        cluster_name=None if guest is None else clusters.get(guest.cluster_pk or ""),
        agent_id=row.agent_id,
        operation_id=row.operation_id,
        in_use=in_use,
        upid=row.upid,
        made_at=stamp_micros(row.made_at),
        state_at=stamp_micros(row.state_at) or "",
        removed_by=row.removed_by,
        expires_at=stamp_micros(row.expires_at),
    )


def _instant(line: Fact | None) -> int | None:
    return _micros(line.at) if line is not None else None


def _micros(text: str) -> int | None:
    try:
        return micros(parse_stamp(text)) if text else None
    except ValidationFailed:
        return None  # what was made is worth more than the agent's idea of when
