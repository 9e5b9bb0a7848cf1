"""Disks that are full for a while: the control plane's database, its outputs, and the agent's spool."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event

from nanny_ops.agent.spool import Spool
from nanny_ops.control.store.database import Database, sqlite_url
from nanny_ops.errors import DiskFull


class _Connection(sqlite3.Connection):
    """Commits where there is room."""

    disk: "FullDisk"

    def commit(self) -> None:
        self.disk.check()
        super().commit()


@dataclass
class FullDisk:
    """What a store lies on; while it is full no transaction that has written anything can be committed."""

    full: bool = False
    refusals: int = 0

    def connect(self, file: Path, given: dict[str, Any]) -> sqlite3.Connection:
        """Open a database on this disk."""
        connection = sqlite3.connect(file, **given, factory=_Connection)
        connection.disk = self
        return connection

    def check(self) -> None:
        """Raise what SQLite raises when it cannot write."""
        if self.full:
            self.refusals += 1
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode, full.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise full


class Mounted:
    """The store's two engines, made once for all plays, because a new one compiles every statement anew."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as nowhere:
            made = Database(sqlite_url(Path(nowhere)))
        self.engines = made.engine, made._hasty, made._reading
        self._disk, self._file = FullDisk(), Path(nowhere)
        for engine in (made.engine, made._reading):
            event.listen(engine, "do_connect", self._connect)

    def mount(self, disk: FullDisk, home: Path) -> None:
        """Have both engines work on the database of a data directory; nobody uses the last one any more."""
        self.dispose()
        self._disk, self._file = disk, home / "nanny-ops.db"

    def dispose(self) -> None:
        """Close what is open."""
        for engine in self.engines:
            engine.dispose()

    def _connect(self, _dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> sqlite3.Connection:
        return self._disk.connect(self._file, given)


class CrampedSpool(Spool):
    """A spool on a disk that may be full."""

    disk: FullDisk

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        if self.disk.full:
            self.disk.refusals += 1
            raise DiskFull(f"No space is left for {self.path}.")
        with super()._write() as db:
            yield db


def spool_on(disk: FullDisk) -> Any:
    """Return how to open a spool there."""

    def open_spool(path: Path, **options: Any) -> Spool:
        spool = CrampedSpool(path, **options)
        spool.disk = disk
        return spool

    return open_spool
