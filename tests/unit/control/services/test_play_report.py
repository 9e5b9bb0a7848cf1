"""Reports of plays: taken once, without secrets, within a team."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import play_report as service
from nanny_ops.control.services import retention
from nanny_ops.control.services.principal import Person
from nanny_ops.control.settings import Settings
from nanny_ops.control.store import event as events
from nanny_ops.control.store import play_report as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.play_report import Report
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.play_report import MOST_LETTERS, PlayHost, PlayReportRequest, PlayTask

PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
VIEWER = Person("user-2", "viewer@example.com", "viewer", False, {teams.DEFAULT: "viewer"})
STRANGER = Person("user-3", "other@example.com", "other", False, {"team-other": "operator"})
LEAKY = PlayTask(host="pve1", task="Write", state="changed", message="token: abcdef", diff="-a\n+password=hunter2\n")
HIDDEN = PlayTask(host="pve1", task="Hide", state="failed", hidden=True, message="abc", diff="abc")


def asked(**more: Any) -> PlayReportRequest:
    told = {
        "playbook": "site.yml",
        "check": True,
        "started_at": "2026-01-31T02:00:00Z",
        "ended_at": "2026-01-31T02:00:41Z",
        "hosts": {"pve1": PlayHost(ok=3, changed=1), "pve2": PlayHost(ok=3)},
        "tasks": [LEAKY, HIDDEN],
    }
    return PlayReportRequest(**{**told, **more})


def take(
    database: Database, now: datetime, said: PlayReportRequest, key: str = "", who: Person = PERSON
) -> tuple[Report, bool]:
    return database.write_now(lambda tx: service.take(tx, who, said, key, now))


def test_a_report_is_taken_once_and_told_once(database: Database, now: datetime) -> None:
    first, new = take(database, now, asked(), "k")
    assert new
    again, new = take(database, now + timedelta(minutes=1), asked(), "k")
    assert (again.id, new) == (first.id, False)
    with pytest.raises(Conflict, match="another request"):
        take(database, now, asked(check=False), "k")
    (told,) = [one for one in database.read_now(lambda tx: events.after(tx, 0, 10)) if one.kind == "play.ended"]
    counted = {"check": True, "outcome": "changed", "hosts": 2, "changed": 1, "failed": 0, "unreachable": 0}
    assert told.payload["record"]["detail"] == counted


def test_secrets_become_stars_and_what_is_hidden_has_its_name_alone(database: Database, now: datetime) -> None:
    made, _ = take(database, now, asked())
    report = database.read_now(lambda tx: service.visible(tx, PERSON, made.id))
    leaky, hidden = service.detail(PERSON, report).tasks
    assert (leaky.message, leaky.diff) == ("token: ******", "-a\n+password=*******\n")
    assert (hidden.task, hidden.message, hidden.diff) == ("Hide", "", "")
    assert [one.diff for one in service.detail(VIEWER, report).tasks] == ["", ""]


def test_a_report_belongs_to_a_team(database: Database, now: datetime) -> None:
    made, _ = take(database, now, asked())
    with pytest.raises(NotFound):
        database.read_now(lambda tx: service.visible(tx, STRANGER, made.id))
    with pytest.raises(NotFound):
        take(database, now, asked(team_id=teams.DEFAULT), who=STRANGER)
    with pytest.raises(Forbidden):
        take(database, now, asked(), who=VIEWER)


@pytest.mark.parametrize(
    ("hosts", "outcome"),
    [
        ({}, "ok"),
        ({"a": PlayHost(ok=1)}, "ok"),
        ({"a": PlayHost(ok=1), "b": PlayHost(changed=1)}, "changed"),
        ({"a": PlayHost(failures=1, changed=1), "b": PlayHost(changed=1)}, "failed"),
        ({"a": PlayHost(failures=1), "b": PlayHost(unreachable=1)}, "unreachable"),
    ],
)
def test_the_worst_of_any_host_is_what_it_came_to(
    database: Database, now: datetime, hosts: dict[str, PlayHost], outcome: str
) -> None:
    assert take(database, now, asked(hosts=hosts))[0].outcome == outcome


@pytest.mark.parametrize("ended", ["2026-01-31T01:00:00Z", "yesterday"])
def test_times_that_cannot_be_are_refused(database: Database, now: datetime, ended: str) -> None:
    with pytest.raises(ValidationFailed, match="ended_at"):
        take(database, now, asked(ended_at=ended))


def test_a_report_that_would_fill_the_disk_is_refused(database: Database, now: datetime) -> None:
    task = PlayTask(host="pve1", task="Write", state="changed", message="m" * 808, diff="d" * 7192)
    full = [task] * (MOST_LETTERS // 8000)
    assert take(database, now, asked(tasks=full))[1]
    with pytest.raises(ValidationFailed, match=r"2000001 letters.*leave out diffs"):
        take(database, now, asked(tasks=[*full, PlayTask(host="pve1", task="Write", state="changed", diff="d")]))


def test_lists_are_narrowed_and_old_ones_go(database: Database, now: datetime) -> None:
    old, _ = take(database, now - timedelta(days=91), asked())
    young, _ = take(database, now, asked(check=False))

    def listed(**filters: Any) -> list[str]:
        return [one.id for one in database.read_now(lambda tx: store.page(tx, [teams.DEFAULT], 50, 0, **filters))[0]]

    assert listed() == [young.id, old.id]
    assert listed(checking=True, outcome="changed") == [old.id]
    database.write_now(lambda tx: retention.forget_old(tx, Settings(), now))
    assert listed() == [young.id]
    database.write_now(lambda tx: store.forget_beyond(tx, 1))
    assert listed() == [young.id]
    database.write_now(lambda tx: store.forget_beyond(tx, 0))
    assert listed() == []
