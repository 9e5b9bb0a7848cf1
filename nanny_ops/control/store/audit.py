"""The audit's log: rows that are only ever added, each sealed to the one before it.

A row's hash is SHA-256 over its canonical content and the hash of the row before it, so no row can be changed, put in
or taken out without all later hashes changing. The head (number and hash of the last row) is kept beside the log and
signed with a key that is not in the database, so the end cannot be cut off nor the chain be written anew by whoever has
the database alone. Who has an older copy of the whole database can put that back; only a hash that is kept elsewhere
shows it. Triggers refuse UPDATE and DELETE, as a guard against mistakes, not against a database's owner.
"""

import hashlib
import hmac
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, func, insert, inspect, select, true, update

from nanny_ops.control.store.database import Tx
from nanny_ops.control.store.tables import audit, audit_head

#: What the first row follows.
NOTHING = "0" * 64
#: Written by the log itself where it finds a head that it has not signed.
BROKEN = "audit.broken"
#: Rows read at once.
BATCH = 500
#: PostgreSQL advisory lock under which the first row is written: there is no head yet that could be locked.
FIRST_LOCK = 6_102_025
#: Built once: an entry costs 125 microseconds, and with statements of its own 430.
HEAD = select(audit_head).where(audit_head.c.id == 1)
LOCKED_HEAD = HEAD.with_for_update()
INSERT = insert(audit)
MOVE = update(audit_head).where(audit_head.c.id == 1)
WIDTHS = {name: column.type.length for name, column in audit.c.items() if isinstance(column.type, String)}


@dataclass(frozen=True)
class Row:
    """One entry; ``at`` in microseconds, ``detail`` is the text of a JSON object."""

    seq: int
    at: int
    kind: str
    actor: str
    name: str
    token_id: str
    action: str
    object: str
    team_id: str
    peer: str
    request_id: str
    detail: str
    prev: str
    hash: str


@dataclass(frozen=True)
class Verdict:
    """What a walk along the chain found; ``wrong`` is empty when it holds, else ``seq`` is the first bad row."""

    rows: int
    last: str
    seq: int = 0
    wrong: str = ""


@dataclass(frozen=True)
class Filter:
    """Which rows are wanted; ``teams`` None means all, also those of no team. Instants in microseconds."""

    teams: Collection[str] | None
    action: str = ""
    actor: str = ""
    object: str = ""
    since: int | None = None
    until: int | None = None

    def where(self) -> ColumnElement[bool]:
        """Return the condition."""
        found: ColumnElement[bool] = true()
        if self.teams is not None:
            found &= audit.c.team_id.in_(self.teams)
        for name in ("action", "actor", "object"):
            if getattr(self, name):
                found &= audit.c[name] == getattr(self, name)
        if self.since is not None:
            found &= audit.c.at >= self.since
        if self.until is not None:
            found &= audit.c.at < self.until
        return found


def append(tx: Tx, at: int, action: str, thing: str, team_id: str, detail: dict[str, Any]) -> None:
    """Add a row about what the transaction's caller does; it is there if and only if the change is."""
    last, prev, genuine = tx.shared.get(audit_head.name) or _head(tx)
    if not genuine:
        last, prev = _add(tx, last, prev, at, BROKEN, "", "", {"head": last})
    last, prev = _add(tx, last, prev, at, action, thing, team_id, detail)
    signature = _sign(tx.seal, last, prev)
    head = {"seq": last, "hash": prev, "signature": signature}
    if tx.connection.execute(MOVE, head).rowcount == 0:
        tx.connection.execute(insert(audit_head), {"id": 1, **head})
    tx.shared[audit_head.name] = (last, prev, True)


def page(tx: Tx, wanted: Filter, limit: int, offset: int) -> tuple[list[Row], int]:
    """Return a page of rows, newest first, and how many there are."""
    where = wanted.where()
    rows = tx.connection.execute(select(audit).where(where).order_by(audit.c.seq.desc()).limit(limit).offset(offset))
    total = tx.connection.execute(select(func.count()).select_from(audit).where(where)).scalar_one()
    return [Row(**row._mapping) for row in rows], total


def after(tx: Tx, wanted: Filter, seq: int) -> list[Row]:
    """Return the next rows behind a number, oldest first, some at once."""
    where = wanted.where() & (audit.c.seq > seq)
    rows = tx.connection.execute(select(audit).where(where).order_by(audit.c.seq).limit(BATCH))
    return [Row(**row._mapping) for row in rows]


def is_noted(tx: Tx, action: str, thing: str, actor: str, since: int) -> bool:
    """Tell whether somebody's doing something to a thing was noted after an instant."""
    mine = (audit.c.object == thing) & (audit.c.action == action) & (audit.c.actor == actor) & (audit.c.at > since)
    return tx.connection.execute(select(audit.c.seq).where(mine).limit(1)).first() is not None


def verify(tx: Tx, behind: int = 0) -> Verdict:
    """Walk the whole chain, or what follows a row that is taken as it is, and compare its end with the signed head."""
    expected, prev, count = behind + 1, _hash_of(tx, behind), 0
    for row in _rows(tx, behind):
        if row.seq != expected:
            return Verdict(count, prev, expected, "is missing")
        if row.prev != prev:
            return Verdict(count, prev, row.seq, "does not follow from the row before it")
        if row.hash != digest(row):
            return Verdict(count, prev, row.seq, "was changed")
        if row.action == BROKEN:
            return Verdict(count, prev, row.seq, "was written where the head was not signed with this key")
        expected, prev, count = expected + 1, row.hash, count + 1
    return _compared(tx, Verdict(count, prev), expected - 1)


def is_there(tx: Tx) -> bool:
    """Tell whether the database is new enough to have a log."""
    return inspect(tx.connection).has_table(audit.name)


def has_hash(tx: Tx, hashed: str) -> bool:
    """Tell whether an entry has this hash: one that was kept elsewhere shows that no older copy was put back."""
    return tx.connection.execute(select(audit.c.seq).where(audit.c.hash == hashed).limit(1)).first() is not None


def digest(row: Row) -> str:
    """Return what a row's hash must be."""
    values = [getattr(row, name) for name in Row.__dataclass_fields__ if name != "hash"]
    return hashlib.sha256(json.dumps(values, separators=(",", ":")).encode()).hexdigest()


def _head(tx: Tx) -> tuple[int, str, bool]:
    found = tx.connection.execute(LOCKED_HEAD).first()
    if found is None and tx.connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        tx.connection.execute(select(func.pg_advisory_xact_lock(FIRST_LOCK)))
        found = tx.connection.execute(LOCKED_HEAD).first()
    if found is not None and hmac.compare_digest(found.signature, _sign(tx.seal, found.seq, found.hash)):
        return found.seq, found.hash, True
    newest = tx.connection.execute(select(func.max(audit.c.seq))).scalar_one() or 0
    if found is None:
        return newest, NOTHING, newest == 0
    return max(found.seq, newest), found.hash, False


def _add(
    tx: Tx, last: int, prev: str, at: int, action: str, thing: str, team_id: str, detail: dict[str, Any]
) -> tuple[int, str]:
    who = tx.caller
    texts = {
        "kind": who.kind,
        "actor": who.id,
        "name": who.name,
        "token_id": who.token_id,
        "action": action,
        "object": thing,
        "team_id": team_id,
        "peer": who.peer,
        "request_id": who.request_id,
    }
    kept = {name: _fitting(text)[: WIDTHS[name]] for name, text in texts.items()}
    row = Row(seq=last + 1, at=at, **kept, detail=json.dumps(detail, sort_keys=True), prev=prev, hash="")
    values = {**vars(row), "hash": digest(row)}
    tx.connection.execute(INSERT, values)
    return row.seq, values["hash"]


def _compared(tx: Tx, walked: Verdict, last: int) -> Verdict:
    head = tx.connection.execute(HEAD).first()
    if head is None:
        return Verdict(walked.rows, walked.last, last, "is followed by no signed head")
    if not hmac.compare_digest(head.signature, _sign(tx.seal, head.seq, head.hash)):
        return Verdict(walked.rows, walked.last, last, "is followed by a head that is not signed with this key")
    if head.seq > last:
        return Verdict(walked.rows, walked.last, last + 1, "is missing, with all that followed it")
    if (head.seq, head.hash) != (last, walked.last):
        return Verdict(walked.rows, walked.last, head.seq, "is the signed end, but others follow")
    return walked


def _rows(tx: Tx, behind: int) -> Iterator[Row]:
    everything = Filter(teams=None)
    while found := after(tx, everything, behind):
        yield from found
        behind = found[-1].seq


def _hash_of(tx: Tx, seq: int) -> str:
    if seq == 0:
        return NOTHING
    return tx.connection.execute(select(audit.c.hash).where(audit.c.seq == seq)).scalar() or ""


def _sign(key: bytes, seq: int, hashed: str) -> str:
    return hmac.new(key, f"audit head|{seq}|{hashed}".encode(), hashlib.sha256).hexdigest()


def _fitting(text: str) -> str:
    # PostgreSQL takes neither a NUL nor half a surrogate pair nor more than was declared.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
