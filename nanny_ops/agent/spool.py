"""What the agent must not forget: orders with their results, and readings not yet acknowledged.

Orders and results are never dropped before the control plane has them. Readings are bounded, the oldest go first.
"""

import errno
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from nanny_ops.agent.order import ENDED, Finding, Order, State
from nanny_ops.errors import DiskFull, SpoolError

log = logging.getLogger(__name__)
NAME = "spool.db"
#: How long and how many ended orders are remembered, so that one offered again is recognised.
REMEMBER_SECONDS = 30 * 86_400
REMEMBER_COUNT = 10_000
#: Age up to which an ended order is looked at again: the agent does so when it starts, and daily.
LATELY = 2 * 86_400
#: Reports that only count in their newest form (one per object), at most.
STATES_CAP = 5000
#: Seconds to wait for another process's lock.
BUSY = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, record BLOB NOT NULL,
    state TEXT NOT NULL, finding BLOB, reason TEXT NOT NULL DEFAULT '', changed_at REAL NOT NULL,
    claim TEXT NOT NULL DEFAULT '', lease INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS orders_state ON orders (state);
CREATE TABLE IF NOT EXISTS readings (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, subject TEXT UNIQUE, body BLOB NOT NULL
) STRICT;
"""
_ACCEPT = "INSERT INTO orders (id, kind, record, state, changed_at) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING"
_ORDER = "id, kind, record, state, finding, reason, claim, lease"
#: Columns that spools of earlier releases do not have.
_ADDED = {"claim": "TEXT NOT NULL DEFAULT ''", "lease": "INTEGER NOT NULL DEFAULT 0"}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One report on its way; one with a ``subject`` replaces what was kept about the same subject."""

    path: str
    body: bytes
    subject: str | None = None
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much the spool holds."""

    open_orders: int
    undelivered_results: int
    undeliverable: int
    readings: int


class Spool:
    """One SQLite file; every call is one transaction that is on disk when it returns."""

    def __init__(
        self, path: Path, *, cap: int, remember: int = REMEMBER_COUNT, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the file, or move a damaged one aside and begin anew. Raises DiskFull, SpoolError."""
        self.path, self._cap, self._remember, self._clock = path, cap, remember, clock
        with _named(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = self._open()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def accept(self, order: Order) -> bool:
        """Keep an order; False when it is known already. Raises DiskFull, SpoolError."""
        row = (order.id, order.kind, msgspec.json.encode(order.record), order.state, self._clock())
        with self._write() as db:
            done = db.execute(_ACCEPT, row)
            return done.rowcount == 1

    def find(self, order_id: str) -> Order | None:
        """Return one order, or None."""
        with self._used():
            row = self._db.execute(f"SELECT {_ORDER} FROM orders WHERE id=?", (order_id,)).fetchone()  # noqa: S608
        return _order(row) if row else None

    def unfinished(self) -> list[Order]:
        """Return the orders that still need something, in the order of their arrival."""
        marks = ",".join("?" * len(ENDED))
        query = f"SELECT {_ORDER} FROM orders WHERE state NOT IN ({marks}) ORDER BY seq"  # noqa: S608
        with self._used():
            return [_order(row) for row in self._db.execute(query, sorted(ENDED))]

    def move(self, order_id: str, state: State, reason: str = "") -> None:
        """Write how far an order has come; an ended one stays as it is. Raises DiskFull, SpoolError."""
        marks = ",".join("?" * len(ENDED))
        query = f"UPDATE orders SET state=?, reason=?, changed_at=? WHERE id=? AND state NOT IN ({marks})"  # noqa: S608
        with self._write() as db:
            db.execute(query, (state, reason, self._clock(), order_id, *sorted(ENDED)))

    def claim(self, order_id: str, claim: str, lease: int = 0) -> None:
        """Write under which claim an order is begun, and the lease given for it. Raises DiskFull, SpoolError."""
        with self._write() as db:
            db.execute(
                "UPDATE orders SET claim=?, lease=?, changed_at=? WHERE id=?", (claim, lease, self._clock(), order_id)
            )

    def amend(self, order_id: str, record: dict[str, Any]) -> None:
        """Write an order down as it is to be begun. Raises DiskFull, SpoolError."""
        with self._write() as db:
            db.execute("UPDATE orders SET record=? WHERE id=?", (msgspec.json.encode(record), order_id))

    def finish(self, order_id: str, finding: Finding) -> None:
        """Keep what an order came to. Raises DiskFull, SpoolError."""
        with self._write() as db:
            db.execute(
                "UPDATE orders SET state=?, finding=?, changed_at=? WHERE id=?",
                (State.FINISHED, msgspec.json.encode(finding), self._clock(), order_id),
            )

    def prune(self) -> list[str]:
        """Forget orders that ended long ago and return their ids."""
        marks = ",".join("?" * len(ENDED))
        query = (
            f"DELETE FROM orders WHERE state IN ({marks}) AND (changed_at < ? OR seq <= "  # noqa: S608
            f"(SELECT seq FROM orders WHERE state IN ({marks}) ORDER BY seq DESC LIMIT 1 OFFSET ?)) RETURNING id"
        )
        ended = sorted(ENDED)
        with self._write() as db:
            old = self._clock() - REMEMBER_SECONDS
            return [row[0] for row in db.execute(query, (*ended, old, *ended, self._remember)).fetchall()]

    def ended_lately(self) -> list[str]:
        """Return the ids of orders that need nothing any more, not even a look at their result, and ended lately."""
        query = "SELECT id FROM orders WHERE state IN (?,?) AND changed_at >= ? ORDER BY seq"
        with _named(self.path):
            rows = self._db.execute(query, (State.DELIVERED, State.DROPPED, self._clock() - LATELY)).fetchall()
        return [row[0] for row in rows]

    def keep(self, readings: list[Reading]) -> None:
        """Keep reports for later and drop the oldest beyond the cap. Raises DiskFull, SpoolError."""
        with self._write() as db:
            for one in readings:
                db.execute("DELETE FROM readings WHERE subject=?", (one.subject,))
                db.execute(
                    "INSERT INTO readings (path, subject, body) VALUES (?,?,?)", (one.path, one.subject, one.body)
                )
            for condition, cap in (("subject IS NULL", self._cap), ("subject IS NOT NULL", STATES_CAP)):
                db.execute(
                    f"DELETE FROM readings WHERE {condition} AND seq <= "  # noqa: S608
                    f"(SELECT seq FROM readings WHERE {condition} ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                    (cap,),
                )

    def oldest(self, count: int, besides: Collection[str] = ()) -> list[Reading]:
        """Return the oldest reports, but none about the subjects in ``besides``; "" stands for those without one."""
        query = (
            "SELECT seq, path, subject, body FROM readings WHERE coalesce(subject, '') NOT IN "
            "(SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?"
        )
        with self._used():
            rows = self._db.execute(query, (msgspec.json.encode(list(besides)).decode(), count)).fetchall()
        return [Reading(seq=seq, path=path, subject=subject, body=body) for seq, path, subject, body in rows]

    def acknowledged(self, seq: int) -> None:
        """Forget one report that has arrived."""
        with self._write() as db:
            db.execute("DELETE FROM readings WHERE seq=?", (seq,))

    def superseded(self, subjects: list[str]) -> None:
        """Forget what is kept about these subjects, because something newer has arrived."""
        if not self.oldest(1):
            return
        with self._write() as db:
            db.executemany("DELETE FROM readings WHERE subject=?", [(one,) for one in subjects])

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self.path)
        except sqlite3.DatabaseError as wrong:
            if not _is_damage(wrong):
                raise
            reason = str(wrong)
        return self._anew(reason)

    def _anew(self, reason: str) -> sqlite3.Connection:
        log.error("event=spool_damaged moved_to=%s reason=%r", self._move_aside(), reason)
        return _connect(self.path)

    def _move_aside(self) -> Path:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(self._clock())}")
        for end in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + end)
            if part.exists():
                part.replace(aside.with_name(aside.name + end))
        return aside

    @contextmanager
    def _used(self) -> Iterator[None]:
        """Name what goes wrong; a file that turns out to be damaged while it is in use is replaced for the next call.

        Its orders are known to the control plane, and their jobs to the machine: both are asked again.
        """
        with _named(self.path):
            try:
                yield
            except sqlite3.DatabaseError as wrong:
                if _is_damage(wrong):
                    self._db.close()
                    self._db = self._anew(str(wrong))
                raise

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._used():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._rollback()
                raise
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._rollback()
                raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA cache_size=-512")
        db.execute("PRAGMA journal_size_limit=4194304")
        _check(db)
        db.executescript(_TABLES)
        _widen(db)
    except BaseException:
        db.close()
        raise
    return db


def _widen(db: sqlite3.Connection) -> None:
    there = {row[1] for row in db.execute("PRAGMA table_info(orders)")}
    for name, kind in _ADDED.items():
        if name not in there:
            db.execute(f"ALTER TABLE orders ADD COLUMN {name} {kind}")


def _check(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        damaged = sqlite3.DatabaseError("quick_check found damage")
        damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damaged


def _is_damage(wrong: sqlite3.Error) -> bool:
    return getattr(wrong, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as wrong:
        code = getattr(wrong, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise DiskFull(f"No space is left for {path}.") from wrong
        if code == sqlite3.SQLITE_READONLY:
            raise SpoolError(f"{path} is read-only.") from wrong
        raise SpoolError(f"{path} cannot be used: {wrong}.") from wrong
    except OSError as wrong:
        if wrong.errno == errno.ENOSPC:
            raise DiskFull(f"No space is left for {path}.") from wrong
        raise SpoolError(f"{path} cannot be used: {wrong.strerror}.") from wrong


def _order(row: tuple[str, Any, bytes, str, bytes | None, str, str, int]) -> Order:
    order_id, kind, record, state, finding, reason, claim, lease = row
    known = msgspec.json.decode(record)
    order = Order(id=order_id, kind=kind, record=known, state=State(state), reason=reason, claim=claim, lease=lease)
    return replace(order, finding=msgspec.json.decode(finding, type=Finding)) if finding else order


def peek(path: Path) -> Counts | None:
    """Count what a spool holds without writing, also while an agent uses it; None where there is none.

    Raises SpoolError.
    """
    if not path.exists():
        return None
    # Without a log beside it nobody has it open, and only "immutable" reads it without making one.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"
    with _named(path):
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=1.0)
        try:
            by_state = dict(db.execute("SELECT state, count(*) FROM orders GROUP BY state").fetchall())
            readings = db.execute("SELECT count(*) FROM readings").fetchone()[0]
        finally:
            db.close()
    working = sum(by_state.get(state, 0) for state in (State.RECEIVED, State.ACKED, State.BEGINNING, State.STARTED))
    return Counts(
        open_orders=working,
        undelivered_results=by_state.get(State.FINISHED, 0),
        undeliverable=by_state.get(State.UNDELIVERABLE, 0),
        readings=readings,
    )
