"""Runs of playbooks: who may order them, after which check, and how they are told and ended."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nanny_ops.control.playbooks.catalogue import Entry
from nanny_ops.control.playbooks.folder import Ending
from nanny_ops.control.services import event as events
from nanny_ops.control.services import playbook_run as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import audit
from nanny_ops.control.store import playbook_run as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.playbook_run import Run
from nanny_ops.control.store.tables import teams as team_table
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.playbook import Playbook, PlaybookOption
from nanny_ops.protocol.playbook_run import NewHost, PlaybookRunRequest, RunOutcome

ADMIN = Person("user-1", "a@example.com", "a", False, {teams.DEFAULT: "admin"})
OPERATOR = Person("user-2", "o@example.com", "o", False, {teams.DEFAULT: "operator"})
PROGRAM = replace(ADMIN, scopes=["patch"])
NOTE = PlaybookOption(name="note", type="str", required=False)
ENTRY = Entry(
    Playbook(name="touch", origin="site", description="", changes=True, timeout_seconds=60, options=[NOTE]), Path("/x")
)
OK = Ending(outcome=RunOutcome.OK, reason="", exit_code=0, hosts={"pve1": {"ok": 1}})
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def place(database: Database, now: datetime, person: Person = ADMIN, **asked: Any) -> Run:
    """Order a run of the one playbook; ``digest`` is that of its files."""
    digest, home = asked.pop("digest", "d1"), asked.pop("home", "home-1")
    request = PlaybookRunRequest(playbook="touch", **asked)
    return database.write_now(lambda tx: service.place(tx, person, request, ENTRY, digest, home, Settings(), now))


def end(database: Database, run: Run, ending: Ending, now: datetime) -> Run:
    """Have a run begin and end."""
    database.write_now(lambda tx: service.begin(tx, run.id, now))
    database.write_now(lambda tx: service.end(tx, run.id, ending, now))
    return database.write_now(lambda tx: service.visible(tx, ADMIN, run.id))


@pytest.mark.parametrize("person", [OPERATOR, PROGRAM])
def test_only_admins_order_and_cancel(database: Database, now: datetime, person: Person) -> None:
    with pytest.raises(Forbidden):
        place(database, now, person, check=True)
    run = place(database, now, check=True)
    with pytest.raises(Forbidden):
        database.write_now(lambda tx: service.cancel(tx, person, run.id, now))
    assert database.read_now(lambda tx: service.visible(tx, person, run.id)) == run


def test_a_run_that_changes_needs_a_good_check_of_the_same(database: Database, now: datetime) -> None:
    check = place(database, now, check=True, vars={"note": "x"})
    with pytest.raises(Conflict, match="check"):  # it has not ended
        place(database, now, vars={"note": "x"})
    end(database, check, OK, now)
    assert place(database, now, vars={"note": "x"}).checked_by == check.id
    others: list[dict[str, Any]] = [{"vars": {"note": "y"}}, {"vars": {"note": "x"}, "digest": "d2"}, {}]
    for other in others:
        with pytest.raises(Conflict, match="check"):
            place(database, now, **other)
    with pytest.raises(Conflict, match="check"):
        place(database, now + timedelta(hours=25), vars={"note": "x"})


def test_a_check_that_failed_allows_nothing(database: Database, now: datetime) -> None:
    end(database, place(database, now, check=True), replace(OK, outcome=RunOutcome.PARTIAL), now)
    with pytest.raises(Conflict, match="check"):
        place(database, now)


def test_without_a_check_there_is_a_reason_and_it_is_audited(database: Database, now: datetime) -> None:
    with pytest.raises(ValidationFailed, match="reason"):
        place(database, now, no_check_first=True, reason=" ")
    run = place(database, now, no_check_first=True, reason="the check cannot know")
    assert run.unchecked_reason == "the check cannot know"
    rows, _ = database.read_now(lambda tx: audit.page(tx, audit.Filter(teams=None, object=run.id), 10, 0))
    assert "the check cannot know" in rows[0].detail


def test_what_waits_is_bounded(database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_WAITING", 1)
    place(database, now, check=True)
    with pytest.raises(Conflict, match="wait already"):
        place(database, now, check=True)
    place(database, now, check=True, home="home-2")


def test_what_waits_is_cancelled_at_once_and_what_runs_is_asked(database: Database, now: datetime) -> None:
    waiting = place(database, now, check=True)
    assert database.write_now(lambda tx: service.cancel(tx, ADMIN, waiting.id, now)).status == "cancelled"
    assert not database.write_now(lambda tx: service.begin(tx, waiting.id, now))
    running = place(database, now, check=True)
    database.write_now(lambda tx: service.begin(tx, running.id, now))
    asked = database.write_now(lambda tx: service.cancel(tx, ADMIN, running.id, now))
    assert (asked.status, asked.cancel_at is not None) == ("running", True)
    ended = end(database, place(database, now, check=True), OK, now)
    with pytest.raises(Conflict):
        database.write_now(lambda tx: service.cancel(tx, ADMIN, ended.id, now))


def test_a_run_ends_once_and_is_told_in_order(database: Database, now: datetime) -> None:
    run = place(database, now, check=True)
    database.write_now(lambda tx: service.begin(tx, run.id, now))
    lines = [{"kind": "play", "at": "", "play": "P"}, {"kind": "host", "at": "", "host": "pve1", "state": "ok"}]
    database.write_now(lambda tx: service.note(tx, run.id, lines, now))
    ended = end(database, run, OK, now)
    assert end(database, run, replace(OK, outcome=RunOutcome.UNKNOWN), now) == ended
    shown = service.rendered(ended)
    assert (shown.status, shown.outcome, shown.events, shown.hosts["pve1"].ok) == ("completed", "ok", 2, 1)
    told, total = database.read_now(lambda tx: events.of_run(tx, run.id, 50, 0, 0))
    assert [one["kind"] for one in told] == ["play", "host", "ended"]
    assert total == 3
    behind = told[0]["seq"]
    missed = database.read_now(lambda tx: events.missed_of_run(tx, run.id, behind))
    assert [one.payload["record"]["kind"] for one in missed.items] == ["host", "ended"]
    fleet, _ = database.read_now(lambda tx: events.page(tx, ADMIN, 50, 0, "playbook", "", 0))
    assert [one["kind"] for one in fleet] == ["playbook.ended", "playbook.started", "playbook.ordered"]


def test_what_nobody_follows_any_more_is_unknown(database: Database, now: datetime) -> None:
    run = place(database, now, check=True)
    database.write_now(lambda tx: service.begin(tx, run.id, now))
    for home, later, status in (
        ("home-2", timedelta(minutes=1), "running"),
        ("home-1", timedelta(hours=1), "running"),
        ("home-2", timedelta(hours=1), "failed"),
    ):
        database.write_now(lambda tx, home=home, later=later: service.abandon(tx, home, now + later))  # type: ignore[misc]
        assert database.read_now(lambda tx: service.visible(tx, ADMIN, run.id)).status == status


def test_old_runs_go_by_age_and_by_number(database: Database, now: datetime) -> None:
    runs = [end(database, place(database, now, check=True), OK, now + timedelta(seconds=n)) for n in range(3)]
    terms = Settings(playbook_keep_runs=2)
    assert database.write_now(lambda tx: service.forget(tx, "home-1", terms, now)) == [runs[0].id]
    later = now + timedelta(days=31)
    assert len(database.write_now(lambda tx: service.forget(tx, "home-1", Settings(), later))) == 2
    with pytest.raises(NotFound):
        database.read_now(lambda tx: service.visible(tx, ADMIN, runs[1].id))
    assert database.read_now(lambda tx: store.open_ones(tx, "home-1")) == []


def test_only_who_answers_for_all_teams_names_hosts_that_nobody_knows(database: Database, now: datetime) -> None:
    line = "10.0.0.9 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPvY1sFvHvn"
    new = [NewHost(name="pve9", address="10.0.0.9")]

    def aim(person: Person, **asked: Any) -> None:
        request = PlaybookRunRequest(playbook="touch", **asked)
        database.read_now(lambda tx: service.aim(tx, person, request))

    aim(ADMIN, new_hosts=new, host_keys=[line], limit=["new"])
    with pytest.raises(ValidationFailed, match="ssh-keyscan"):
        aim(ADMIN, host_keys=["10.0.0.9 -o ProxyCommand=id"])
    with pytest.raises(ValidationFailed, match="twice"):
        aim(ADMIN, new_hosts=[*new, *new])
    database.write_now(
        lambda tx: tx.connection.execute(team_table.insert().values(id="team-2", name="2", created_at=0))
    )
    for asked in ({"new_hosts": new}, {"host_keys": [line]}):
        with pytest.raises(Forbidden, match="more than one team"):
            aim(ADMIN, **asked)
        aim(replace(ADMIN, is_admin=True), **asked)


def test_a_check_for_other_new_hosts_allows_nothing(database: Database, now: datetime) -> None:
    end(database, place(database, now, check=True, new_hosts=[NewHost(name="a", address="10.0.0.1")]), OK, now)
    with pytest.raises(Conflict):
        place(database, now, new_hosts=[NewHost(name="a", address="10.0.0.2")])
    run = place(database, now, new_hosts=[NewHost(name="a", address="10.0.0.1")])
    assert service.rendered(run).new_hosts == [NewHost(name="a", address="10.0.0.1")]
