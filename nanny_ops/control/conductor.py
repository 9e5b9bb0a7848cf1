"""The conductor: begins runs of playbooks, follows them into the event log, and finds them again after a restart."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

import structlog

from nanny_ops.control.bus import Bus
from nanny_ops.control.playbooks import descent, keeper
from nanny_ops.control.playbooks.catalogue import Catalogue, Entry, must_be_there
from nanny_ops.control.playbooks.folder import Ending, Folder, Folders, Order
from nanny_ops.control.playbooks.secret_file import must_be_readable
from nanny_ops.control.services import playbook_run as service
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import playbook_run as store
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.playbook_run import Run
from nanny_ops.errors import Conflict, NannyError
from nanny_ops.protocol.clock import from_micros, now
from nanny_ops.protocol.playbook_run import RunOutcome, RunStatus

log = structlog.get_logger()
#: Seconds between two looks: while something runs, and otherwise where nobody has said that there is something new.
BUSY, IDLE = 0.5, 5.0
#: Seconds between two looks for what is old or deserted.
SWEEP = 600.0
#: How long a keeper may take to begin, how often it is started, and how long it may take to end when it must.
BIRTH, TRIES, GRACE = timedelta(seconds=30), 3, timedelta(seconds=60)
LOST = "Its process is gone and left no result; what it did until then stands in its events. It is never run again."


@dataclass
class Watched:
    """What this process knows of a run that goes on: how far it has read, and when it started a keeper."""

    offset: int = 0
    skip: int = 0
    started: datetime | None = None
    tries: int = 0


@dataclass
class Conductor:
    """Carries out the runs of one data directory; of several processes with the same one, one does."""

    database: Database
    folders: Folders
    catalogue: Catalogue
    settings: Settings
    bus: Bus
    launch: Callable[[Folder, str], None] = keeper.launch
    clock: Callable[[], datetime] = now
    _watched: dict[str, Watched] = field(default_factory=dict)
    _task: "asyncio.Task[None] | None" = None
    _lock: IO[bytes] | None = None
    _swept: datetime | None = None

    def start(self) -> None:
        """Begin, once the store is ready."""
        self._task = asyncio.create_task(self._conduct())

    async def stop(self) -> None:
        """End; runs that go on are found again by the next one."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def step(self) -> bool:
        """Look once at every run that has not ended; tell whether one goes on."""
        found = await self.database.read(lambda tx: store.open_ones(tx, self.folders.home))
        going = [run for run in found if run.status == RunStatus.RUNNING and await self._follow(run)]
        for run in found:
            if run.status != RunStatus.PENDING or len(going) >= self.settings.playbook_parallel:
                continue
            if not _waits(run, going) and await self._begin(run):
                going.append(run)
        return bool(going)

    async def sweep(self) -> None:
        """Drop what is old, and end what nobody follows any more."""
        home = self.folders.home
        await self.database.write(lambda tx: service.abandon(tx, home, self.clock()))
        for key in await self.database.write(lambda tx: service.forget(tx, home, self.settings, self.clock())):
            await asyncio.to_thread(self.folders.of(key).drop)

    async def _conduct(self) -> None:
        more = asyncio.Event()
        stop = self.bus.listen(more.set)
        try:
            while True:
                more.clear()
                busy = await self._guarded()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.sleep(BUSY) if busy else more.wait(), IDLE)
        finally:
            stop()
            if self._lock is not None:
                self._lock.close()

    async def _round(self) -> bool:
        """Do what is to be done, if no other process does it."""
        if self._lock is None:
            self._lock = await asyncio.to_thread(self.folders.alone)
        if self._lock is None:
            return False
        busy = await self.step()
        if self._swept is None or (self.clock() - self._swept).total_seconds() >= SWEEP:
            self._swept = self.clock()
            await self.sweep()
        return busy

    async def _guarded(self) -> bool:
        try:
            return await self._round()
        except NannyError as wrong:  # the database is away for a moment
            log.warning("playbook runs not looked at", reason=wrong.message)
        except Exception as wrong:  # a conductor that ends leaves every run without a listener
            log.error("playbook runs not looked at", exc_info=wrong)
        return False

    async def _begin(self, run: Run) -> bool:
        watched = self._watched.setdefault(run.id, Watched())
        folder = self.folders.of(run.id)
        try:
            entry, order = await asyncio.to_thread(self._order, run)
            given = await asyncio.to_thread(self.catalogue.resolved, entry, run.vars)
            inventory = await self.database.read(lambda tx: service.inventory(tx, run))
            scopes = entry.playbook.token
            token = await self.database.write(lambda tx: service.begin(tx, run.id, self.clock(), scopes))
            if token is None:
                return False
            watched.started, watched.tries = self.clock(), watched.tries + 1
            await asyncio.to_thread(folder.prepare, order, inventory, given, run.added.get("keys", ()))
            await asyncio.to_thread(self.launch, folder, token)
        except (NannyError, OSError) as wrong:
            await self._end(run, Ending(outcome=RunOutcome.REFUSED, reason=f"It could not be begun: {wrong}"))
            return False
        log.info("playbook run begun", id=run.id, playbook=run.playbook, check=run.checking)
        return True

    def _order(self, run: Run) -> tuple[Entry, Order]:
        """Return the playbook and what the keeper is told.

        Raises NannyError where what was ordered cannot be had any more.
        """
        must_be_there()
        must_be_readable(self.settings)
        entry = self.catalogue.find(run.playbook)
        if self.catalogue.digest(entry, run.vars) != run.digest:
            raise Conflict("The playbook's files have changed since it was ordered.")
        terms = self.settings
        folder = self.folders.of(run.id)
        return entry, Order(
            run_id=run.id,
            playbook=str(entry.path),
            check=run.checking,
            timeout=run.timeout_seconds,
            memory=terms.playbook_memory_mb,
            forks=terms.playbook_forks,
            ansible_home=str(self.folders.ansible_home),
            remote_user=terms.playbook_remote_user,
            ssh_key_file=_named(terms.playbook_ssh_key_file),
            vault_password_file=_named(terms.playbook_vault_password_file),
            known_hosts_file=_named(terms.playbook_known_hosts_file),
            host_keys_file=_named(folder.host_keys) if run.added.get("keys") else "",
            url=terms.playbook_url or terms.address,
            ca_file=_named(terms.playbook_ca_file),
        )

    async def _follow(self, run: Run) -> bool:
        """Read what is new; tell whether the run goes on."""
        watched = self._watched.setdefault(run.id, Watched(skip=run.events))
        folder = self.folders.of(run.id)
        kept = await asyncio.to_thread(folder.is_kept)  # asked first: what a dead one has written is all there is
        await self._read(run, folder, watched)
        if not kept and not folder.began:
            return await self._revive(run, watched)
        if kept:
            await self._press(run, folder)
            return True
        ending = await asyncio.to_thread(folder.ending)
        if ending is None:
            met = await asyncio.to_thread(descent.kill, lambda: descent.marked(run.id))
            left = f" {met} processes that it had left were ended." if met else ""
            ending = Ending(outcome=RunOutcome.UNKNOWN, reason=LOST + left)
        await self._end(run, ending)
        return False

    async def _read(self, run: Run, folder: Folder, watched: Watched) -> None:
        while True:
            lines, offset = await asyncio.to_thread(folder.read, watched.offset)
            fresh = lines[watched.skip :]
            if fresh or self._is_stale(run):
                await self.database.write(lambda tx, fresh=fresh: service.note(tx, run.id, fresh, self.clock()))  # type: ignore[misc]
            watched.offset, watched.skip = offset, max(0, watched.skip - len(lines))
            if not lines:
                return

    def _is_stale(self, run: Run) -> bool:
        since = self.clock() - from_micros(run.followed_at or 0)
        return since.total_seconds() >= service.FOLLOWED_EVERY

    async def _revive(self, run: Run, watched: Watched) -> bool:
        """Start the keeper of a run anew that has not begun: it begins once, however often it is started."""
        if watched.started is not None and self.clock() - watched.started < BIRTH:
            return True
        if watched.tries >= TRIES:
            await self._end(run, Ending(outcome=RunOutcome.REFUSED, reason="Its process ended before it began."))
            return False
        await self.database.write(lambda tx: service.put_back(tx, run.id))
        return False

    async def _press(self, run: Run, folder: Folder) -> None:
        """Ask the keeper to end where somebody wants that; kill it where it does not, or is over its time."""
        if run.cancel_at is not None and not folder.cancelled:
            await asyncio.to_thread(folder.cancel)
        asked = None if run.cancel_at is None else from_micros(run.cancel_at)
        over = from_micros(run.started_at or 0) + timedelta(seconds=run.timeout_seconds)
        if self.clock() >= min(over, asked or over) + GRACE:
            await asyncio.to_thread(descent.kill, lambda: descent.marked(run.id))

    async def _end(self, run: Run, ending: Ending) -> None:
        await self.database.write(lambda tx: service.end(tx, run.id, ending, self.clock()))
        self._watched.pop(run.id, None)
        log.info("playbook run ended", id=run.id, playbook=run.playbook, outcome=ending.outcome.value)


def _named(path: Path | None) -> str:
    return "" if path is None else str(Path(path).absolute())


def _waits(run: Run, going: Sequence[Run]) -> bool:
    """Tell whether a run that changes something has to wait for one of its team that does.

    Which hosts a pattern in a playbook means is not known before it runs, so that none but the whole team is held.
    """
    return run.changes and any(one.changes and one.team_id == run.team_id for one in going)
