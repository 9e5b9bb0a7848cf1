"""Disks that are full for a while: the control plane's database, its outputs, and the agent's spool."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event

from nanny_ops.agent.spool import Spool
from nanny_ops.control.store.database import Database
from nanny_ops.errors import DiskFull


@dataclass
class FullDisk:
    """What a database lies on; while it is full no transaction that has written anything can be committed."""

    full: bool = False
    refusals: int = 0
    _known: list[Any] = field(default_factory=list)

    def mount(self, database: Database) -> None:
        """Have a database's writing connections feel it."""
        disk = self

        class Connection(sqlite3.Connection):
            def commit(self) -> None:
                disk.check()
                super().commit()

        @event.listens_for(database.engine, "do_connect")
        def connect(_dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> None:
            given["factory"] = Connection

    def check(self) -> None:
        """Raise what SQLite raises when it cannot write."""
        if self.full:
            self.refusals += 1
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode, full.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise full


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
