"""The conductor begins, follows and ends runs; a keeper that is gone is told honestly."""

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from nanny_ops.control.bus import Bus
from nanny_ops.control.conductor import Conductor
from nanny_ops.control.playbooks.catalogue import Catalogue
from nanny_ops.control.playbooks.descent import MARK
from nanny_ops.control.playbooks.folder import Ending, Folder, Folders
from nanny_ops.control.services import event as events
from nanny_ops.control.services import playbook_run as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.tables import teams as team_table
from nanny_ops.errors import MachineError
from nanny_ops.protocol.playbook_run import PlaybookRun, PlaybookRunRequest, RunOutcome

ADMIN = Person("user-1", "a@example.com", "a", False, {teams.DEFAULT: "admin"})
OK = Ending(outcome=RunOutcome.OK, reason="", exit_code=0)
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


@dataclass
class Site:
    """A conductor whose keepers are a function of the test, and a clock that it moves."""

    database: Database
    directory: Path
    now: datetime
    keep: Callable[[Folder], None] = lambda _folder: None
    launched: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.directory / "look.yml").write_text("- hosts: all\n")
        (self.directory / "look.meta.yml").write_text("nanny_ops: {changes: false}\n")
        (self.directory / "mend.yml").write_text("- hosts: all\n")
        (self.directory / "mend.meta.yml").write_text("nanny_ops: {changes: true}\n")
        self.catalogue = Catalogue(self.directory, 60, self.directory / "none")
        self.folders = Folders(self.directory.parent / "home")
        self.settings = Settings(playbook_parallel=1)

    def conductor(self) -> Conductor:
        """Return one that knows nothing yet, as after a start."""
        return Conductor(
            self.database, self.folders, self.catalogue, self.settings, Bus(), self._launch, lambda: self.now
        )

    def place(self, playbook: str = "look", team_id: str = "") -> str:
        """Order a run and return its id."""
        entry = self.catalogue.find(playbook)
        request = PlaybookRunRequest(playbook=playbook, no_check_first=True, reason="a test", team_id=team_id)
        digest, home, settings = self.catalogue.digest(entry), self.folders.home, self.settings
        who = replace(ADMIN, roles={**ADMIN.roles, team_id: "admin"}) if team_id else ADMIN
        placed = self.database.write_now(
            lambda tx: service.place(tx, who, request, entry, digest, home, settings, self.now)
        )
        return placed.id

    def shown(self, key: str) -> PlaybookRun:
        """Return a run as people see it."""
        return service.rendered(self.database.read_now(lambda tx: service.visible(tx, ADMIN, key)))

    def _launch(self, folder: Folder, token: str) -> None:
        self.launched.append(folder.path.name)
        self.tokens.append(token)
        self.keep(folder)


@pytest.fixture
def site(database: Database, tmp_path: Path, now: datetime) -> Site:
    """A site with one playbook."""
    directory = tmp_path / "playbooks"
    directory.mkdir(mode=0o755)
    return Site(database, directory, now)


def happened(folder: Folder, *kinds: str) -> None:
    """Do as a keeper that begins and tells something."""
    folder.begin()
    with folder.happenings.open("a") as file:
        file.writelines(json.dumps({"kind": kind, "at": ""}) + "\n" for kind in kinds)
    (folder.path / "lock").touch()


async def test_a_run_is_begun_followed_and_ended_one_after_another(site: Site) -> None:
    def whole(folder: Folder) -> None:
        happened(folder, "play", "stats")
        folder.end(OK)

    site.keep = whole
    first, second = site.place(), site.place()
    conductor = site.conductor()
    assert await conductor.step()
    assert (site.shown(first).status, site.shown(second).status) == ("running", "pending")
    assert await conductor.step()
    assert site.shown(first).outcome == RunOutcome.OK
    assert site.shown(first).events == 2
    await conductor.step()
    assert site.launched == [first, second]
    assert site.shown(second).outcome == RunOutcome.OK
    assert not await conductor.step()


async def test_runs_of_a_team_that_change_something_wait_for_each_other(site: Site) -> None:
    other = {"id": "team-b", "name": "b", "created_at": 0}
    site.database.write_now(lambda tx: tx.connection.execute(insert(team_table).values(**other)) and None)
    site.settings = Settings(playbook_parallel=4)
    site.keep = lambda folder: happened(folder, "play")
    first, second = site.place("mend"), site.place("mend")
    look, others = site.place("look"), site.place("mend", "team-b")
    conductor = site.conductor()
    with contextlib.ExitStack() as working:
        await conductor.step()
        assert site.launched == [first, look, others]
        for key in site.launched:
            working.enter_context(site.folders.of(key).held())
        await conductor.step()
        assert site.shown(second).status == "pending"
    site.folders.of(first).end(OK)
    await conductor.step()
    assert site.launched[-1] == second


async def test_a_new_conductor_goes_on_where_the_old_one_stopped(site: Site) -> None:
    site.keep = lambda folder: happened(folder, "play", "task")
    key = site.place()
    folder = site.folders.of(key)
    old = site.conductor()
    await old.step()
    with folder.held():
        assert await old.step()
        happened(folder, "host")
        assert await site.conductor().step()
    told, _ = site.database.read_now(lambda tx: events.of_run(tx, key, 50, 0, 0))
    assert [one["kind"] for one in told] == ["play", "task", "host"]
    assert site.launched == [key]


async def test_a_keeper_that_is_gone_without_a_result_is_unknown(site: Site) -> None:
    site.keep = lambda folder: happened(folder, "play")
    key = site.place()
    await site.conductor().step()
    assert not await site.conductor().step()
    shown = site.shown(key)
    assert (shown.status, shown.outcome) == ("failed", RunOutcome.UNKNOWN)
    assert "is gone" in shown.reason
    assert site.launched == [key]


async def test_a_keeper_that_never_began_is_started_again_but_not_for_ever(site: Site) -> None:
    key, conductor = site.place(), site.conductor()
    for _ in range(10):
        await conductor.step()
        site.now += timedelta(seconds=31)
    assert len(site.launched) == 3
    assert site.shown(key).outcome == RunOutcome.REFUSED


async def test_what_was_ordered_must_be_what_is_there(site: Site) -> None:
    key = site.place()
    (site.directory / "look.yml").write_text("- hosts: localhost\n")
    await site.conductor().step()
    assert site.shown(key).outcome == RunOutcome.REFUSED
    assert "changed since" in site.shown(key).reason
    assert site.launched == []


async def test_a_keeper_that_cannot_be_started_ends_the_run(site: Site) -> None:
    def broken(_folder: Folder) -> None:
        raise MachineError("no memory")

    site.keep = broken
    key = site.place()
    await site.conductor().step()
    assert (site.shown(key).outcome, "no memory" in site.shown(key).reason) == (RunOutcome.REFUSED, True)


async def test_a_cancelled_run_is_asked_to_end(site: Site) -> None:
    site.keep = happened
    key, conductor = site.place(), site.conductor()
    await conductor.step()
    folder = site.folders.of(key)
    with folder.held():
        site.database.write_now(lambda tx: service.cancel(tx, ADMIN, key, site.now))
        assert await conductor.step()
        assert folder.cancelled


@pytest.mark.parametrize("cancelled", [True, False])
async def test_what_does_not_end_when_it_must_is_killed(site: Site, cancelled: bool) -> None:
    site.keep = happened
    key, conductor = site.place(), site.conductor()
    await conductor.step()
    with (
        site.folders.of(key).held(),
        subprocess.Popen(["sleep", "99"], env={MARK: key, "PATH": "/usr/bin:/bin"}) as one,
    ):
        if cancelled:
            site.database.write_now(lambda tx: service.cancel(tx, ADMIN, key, site.now))
        site.now += timedelta(seconds=59)
        await conductor.step()
        assert one.poll() is None
        site.now += timedelta(seconds=2 if cancelled else 62)
        await conductor.step()
        assert one.wait(10) == -signal.SIGKILL


async def test_old_runs_go_with_their_folders(site: Site) -> None:
    def whole(folder: Folder) -> None:
        happened(folder)
        folder.end(OK)

    site.keep = whole
    key, conductor = site.place(), site.conductor()
    await conductor.step()
    await conductor.step()
    site.now += timedelta(days=31)
    await conductor.sweep()
    assert not site.folders.of(key).path.exists()


async def test_one_of_two_processes_with_a_data_directory_conducts(site: Site) -> None:
    key = site.place()
    with site.folders.alone() or pytest.fail("nobody should have it"):
        other = site.conductor()
        other.start()
        await asyncio.sleep(0.05)
        await other.stop()
    assert site.shown(key).status == "pending"
