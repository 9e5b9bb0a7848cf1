"""One door to the database: reads run side by side, writes run one after another and share commits.

SQLite is the embedded default (WAL, one writing thread); PostgreSQL by address. A write is a plain function of a
:class:`Tx`. Whatever is waiting when the writer comes free shares one commit, and every caller is answered after the
commit that holds its work.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Select,
    Table,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, StatementError

from nanny_ops.control.store.caller import CALLER, SYSTEM, Caller
from nanny_ops.errors import BadRequest, Unavailable

T = TypeVar("T")
log = structlog.get_logger()
#: Writes that share one commit at most: bounds the time a caller waits for others.
GROUP = 512
READERS = 4
#: Old rows that one transaction drops: the writer serves others in between.
DROPPED_AT_ONCE = 5000
#: PostgreSQL takes no NUL in text and no number beyond a column's width; what is asked with one cannot be there.
UNSTORABLE = "A value in the request is one that the database cannot hold."
#: PostgreSQL's words for a transaction that it undid for another's sake (deadlock, serialization), and how often such
#: a one is tried.
VICTIM, TRIES = frozenset({"40P01", "40001"}), 3
CLOSED = "The control plane is ending."
#: What lets one work of a commit be undone; as plain text, since an object for each costs more than the statement.
_MARK, _KEEP, _BACK = "SAVEPOINT work", "RELEASE SAVEPOINT work", "ROLLBACK TO SAVEPOINT work"


@dataclass
class Tx:
    """One caller's work inside a transaction; services pass it to the store and never end it themselves."""

    connection: Connection
    #: True once an event was logged: listeners are woken after the commit.
    logged: bool = False
    #: On whose behalf it is, and the key that signs the head of the audit's log.
    caller: Caller = SYSTEM
    seal: bytes = b""
    #: True where nothing is decided on what is read, so that nothing is held for it.
    only_reads: bool = False
    #: What one caller has found out and the others of the same commit need not ask again; empty after an undone one.
    shared: dict[str, Any] = field(default_factory=dict)

    def held(self, query: "Select[Any]", *, pass_over: bool = False, of: Table | None = None) -> "Select[Any]":
        """Have a query's rows held until the commit: what another process decides about them waits, or passes over.

        ``of`` holds the rows of one table of a join. Nothing but PostgreSQL needs it; SQLite has one writer.
        """
        return query if self.only_reads else query.with_for_update(skip_locked=pass_over, of=of)


@dataclass
class _Work:
    run: Callable[[Tx], Any] | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    rows: Sequence[tuple[Executable, Mapping[str, Any]]] = ()
    caller: Caller = SYSTEM
    seal: bytes = b""
    outcome: Any = None
    error: BaseException | None = None


@dataclass
class Database:
    """The store's connections. ``on_commit`` is called in the writer's thread after a commit that logged events."""

    url: str
    on_commit: Callable[[], None] = lambda: None
    #: Signs the head of the audit's log.
    seal: bytes = field(default=b"", repr=False)
    _queue: "queue.SimpleQueue[_Work | None]" = field(default_factory=queue.SimpleQueue)
    _closed: bool = False

    def __post_init__(self) -> None:
        """Open nothing yet; engines connect on first use."""
        self.sqlite = self.url.startswith("sqlite")
        self._engine = _engine(self.url, pool_size=1 if self.sqlite else READERS)
        #: For commits of appended rows alone: a power cut may take the last of them, never an order or a result.
        self._hasty = self._engine.execution_options(durable=False)
        self._reading = _engine(self.url, pool_size=READERS, query_only=self.sqlite)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._writer = threading.Thread(target=self._write_forever, name="store-write", daemon=True)

    @property
    def engine(self) -> Engine:
        """Return the writing engine, for migrations before :meth:`start`."""
        return self._engine

    def start(self) -> None:
        """Begin to accept writes."""
        self._writer.start()

    def close(self) -> None:
        """Finish what is queued and close every connection."""
        if self._writer.is_alive():
            self._queue.put(None)
            self._writer.join(timeout=30)
        self._closed = True
        late = [work for work in _drain(self._queue) if work is not None]
        for work in late:
            work.error = Unavailable(CLOSED)
        _answer(late)
        self._readers.shutdown(wait=True)
        self._engine.dispose()
        self._reading.dispose()

    async def read(self, run: Callable[[Tx], T]) -> T:
        """Run a function on a consistent snapshot. Raises Unavailable when the database cannot be reached."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, run)

    def read_now(self, run: Callable[[Tx], T]) -> T:
        """Do the same in the caller's thread."""
        try:
            with self._reading.connect() as connection, connection.begin():
                return run(Tx(connection, seal=self.seal, only_reads=True))
        except (OperationalError, InterfaceError) as wrong:
            log.error("database cannot be read", reason=str(wrong.orig))
            raise Unavailable("The database cannot be reached.") from wrong
        except (StatementError, UnicodeError, OverflowError) as wrong:
            if not _is_unstorable(wrong):
                raise
            raise BadRequest(UNSTORABLE) from wrong

    async def write(self, run: Callable[[Tx], T]) -> T:
        """Run a function in the writer and return after its commit."""
        outcome: T = await self._put(_Work(run, *_promise(), caller=CALLER.get(), seal=self.seal))
        return outcome

    async def append(self, statement: Executable, row: Mapping[str, Any]) -> None:
        """Execute a statement with one row; rows of one commit travel as one executemany.

        For hot paths: about a tenth of the price of :meth:`write`. The row must already be valid.
        """
        await self.append_all((statement, row))

    async def append_all(self, *rows: tuple[Executable, Mapping[str, Any]]) -> None:
        """Do the same with several statements, each with its row, and wait once."""
        await self._put(_Work(None, *_promise(), rows=rows))

    def write_now(self, run: Callable[[Tx], T]) -> T:
        """Run a function in a transaction of its own in the caller's thread: for commands, not for the server."""
        with self._engine.begin() as connection:
            return run(Tx(connection, caller=CALLER.get(), seal=self.seal))

    async def _put(self, work: _Work) -> Any:
        if self._closed:
            raise Unavailable(CLOSED)
        self._queue.put(work)
        return await work.future

    def _write_forever(self) -> None:
        while (first := self._queue.get()) is not None:
            found = [first, *_drain(self._queue)]
            self._commit([work for work in found if work is not None])
            if found[-1] is None:
                return

    def _commit(self, group: list[_Work], tries: int = TRIES) -> None:
        try:
            durable = any(work.run is not None for work in group)
            with (self._engine if durable else self._hasty).begin() as connection:
                logged = _run(connection, group)
        except Exception as wrong:  # noqa: BLE001  carried to the callers; a writer that ends leaves them all waiting
            logged = False
            if len(group) > 1:  # one bad row must not cost the others their commit
                for work in group:
                    self._commit([work])
                return
            if tries > 1 and getattr(getattr(wrong, "orig", None), "sqlstate", None) in VICTIM:
                self._commit(group, tries - 1)
                return
            group[0].error = _translate(wrong)
        try:
            if logged:
                self.on_commit()
        except Exception as wrong:  # noqa: BLE001  the work is committed; listeners also look without being woken
            log.error("listeners not woken", reason=str(wrong))
        _answer(group)


def sqlite_url(directory: Path) -> str:
    """Return the address of the embedded database in a data directory."""
    return f"sqlite:///{directory / 'nanny-ops.db'}"


def oldest(instant: Column[int], before: int) -> ColumnElement[bool]:
    """Return what picks the oldest rows before an instant; those of one instant go together, so that it always ends."""
    first = select(instant).where(instant < before).order_by(instant)
    last = first.offset(DROPPED_AT_ONCE - 1).limit(1).scalar_subquery()
    return instant <= func.coalesce(last, before - 1)


def _promise() -> tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]]:
    loop = asyncio.get_running_loop()
    return loop, loop.create_future()


def _drain(source: "queue.SimpleQueue[_Work | None]") -> list[_Work | None]:
    """Return what waits beside the first, up to the end if that is among it."""
    found: list[_Work | None] = []
    while len(found) < GROUP - 1 and (not found or found[-1] is not None):
        try:
            found.append(source.get_nowait())
        except queue.Empty:
            break
    return found


def _run(connection: Connection, group: list[_Work]) -> bool:
    logged = False
    rows: dict[int, tuple[Executable, list[Mapping[str, Any]]]] = {}
    shared: dict[str, Any] = {}
    for work in group:
        if work.run is not None:
            one = _alone if len(group) == 1 else _one
            logged |= one(connection, work, work.run, shared)
        for statement, row in work.rows:
            rows.setdefault(id(statement), (statement, []))[1].append(row)
    for statement, many in rows.values():
        connection.execute(statement, many)
    return logged


def _alone(connection: Connection, work: _Work, run: Callable[[Tx], Any], shared: dict[str, Any]) -> bool:
    """Run what shares its commit with nothing; an error undoes the whole transaction and needs no savepoint."""
    tx = Tx(connection, caller=work.caller, seal=work.seal, shared=shared)
    work.outcome = work.error = None
    work.outcome = run(tx)
    return tx.logged


def _one(connection: Connection, work: _Work, run: Callable[[Tx], Any], shared: dict[str, Any]) -> bool:
    tx = Tx(connection, caller=work.caller, seal=work.seal, shared=shared)
    work.outcome = work.error = None  # an earlier try in a group that was undone says nothing
    connection.exec_driver_sql(_MARK)
    try:
        work.outcome = run(tx)
    except DBAPIError:
        raise  # the whole group is tried again one by one
    except Exception as wrong:  # noqa: BLE001  carried to the caller, who awaits it
        work.error = _translate(wrong)
        connection.exec_driver_sql(_BACK)
        shared.clear()
        return False
    connection.exec_driver_sql(_KEEP)
    return tx.logged


def _translate(wrong: BaseException) -> BaseException:
    if _is_unstorable(wrong):
        return BadRequest(UNSTORABLE)
    if not isinstance(wrong, OperationalError | InterfaceError | OSError):
        return wrong
    log.error("database cannot be written", reason=str(getattr(wrong, "orig", wrong)))
    return Unavailable("The database cannot be written.")


def _is_unstorable(wrong: BaseException) -> bool:
    """Tell whether a value is at fault: PostgreSQL names it, SQLite's driver and the writer of JSON cannot take it."""
    if isinstance(wrong, StatementError) and not isinstance(wrong, DBAPIError):
        return isinstance(wrong.orig, ValueError | OverflowError | RecursionError)
    return isinstance(wrong, DataError | UnicodeError | OverflowError)


def _answer(group: list[_Work]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Work]] = {}
    for work in group:
        by_loop.setdefault(work.loop, []).append(work)
    for loop, works in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, works)


def _settle(works: list[_Work]) -> None:
    for work in works:
        if work.future.done():
            continue
        if work.error is not None:
            work.future.set_exception(work.error)
        else:
            work.future.set_result(work.outcome)


def _engine(url: str, *, pool_size: int, query_only: bool = False) -> Engine:
    if not url.startswith("sqlite"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1).replace(
            "postgres://", "postgresql+psycopg://", 1
        )
        return create_engine(url, pool_size=pool_size, max_overflow=2, pool_pre_ping=True)
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=2, connect_args={"check_same_thread": False, "timeout": 10}
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # SQLAlchemy sends BEGIN itself (below); the driver's own habit of delaying it would break savepoints.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")
        if query_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not query_only:
            durable = connection.get_execution_options().get("durable", True)
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN" if query_only else "BEGIN IMMEDIATE")

    return engine
