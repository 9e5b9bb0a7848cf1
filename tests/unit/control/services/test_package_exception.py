"""Packages that are held back: whom an exception concerns, how it reaches the script, and when it ends."""

import shlex
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import event as events
from nanny_ops.control.services import package_exception as service
from nanny_ops.control.services import patch
from nanny_ops.control.services import script as scripts
from nanny_ops.control.services.principal import Person
from nanny_ops.control.services.record import record
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import audit
from nanny_ops.control.store import package_exception as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.proxmox_tables import guests
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.package_exception import ExceptionRequest
from nanny_ops.protocol.patch import PatchRecord, PatchRequest, script_argv
from nanny_ops.protocol.patch_order import Hold

PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
VIEWER = Person("user-2", "v@example.com", "v", False, {teams.DEFAULT: "viewer"})
STRANGER = Person("user-3", "s@example.com", "s", False, {})

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def site(database: Database, now: datetime) -> Database:
    """Return a store with one agent, and two containers on its node of which one is tagged."""
    made = Agent(
        "agent-1", teams.DEFAULT, "pve1", "proxmox", "debian", "1", "", "6.8", "linux", [], "active", micros(now)
    )
    database.write_now(lambda tx: agents.add(tx, made))
    database.write_now(lambda tx: scripts.ship(tx, now))
    rows = [_guest(100, "db;prod"), _guest(101, "web")]
    database.write_now(lambda tx: tx.connection.execute(guests.insert(), rows))
    return database


def _guest(vmid: int, tags: str) -> dict[str, Any]:
    return {
        "id": f"guest-{vmid}", "team_id": teams.DEFAULT, "scope": "agent-1", "vmid": vmid, "kind": "lxc", "name": "ct",
        "node": "pve1", "status": "running", "ostype": "debian", "tags": tags, "body": {}, "reported_by": "agent-1",
        "created_at": 0, "updated_at": 0,
    }  # fmt: skip


def add(site: Database, now: datetime, package: str, **more: Any) -> store.Held:
    asked = ExceptionRequest(package=package, reason=f"because of {package}", **more)
    return site.write_now(lambda tx: service.add(tx, PERSON, asked, now))


def placed(site: Database, now: datetime, **more: Any) -> Operation:
    request = PatchRequest(agent_id="agent-1", mode="apply", **more)
    return site.write_now(lambda tx: patch.place(tx, PERSON, request, "", now))[0]


def argv(operation: Operation) -> list[str]:
    """Return what the script is called with, as the agent makes it of the record that travels."""
    told = {name: value for name, value in record(operation).items() if name not in {"hooks", "probes", "holds"}}
    travelled = PatchRecord(**told)
    return script_argv(travelled, shlex.split(travelled.script_args))


@pytest.mark.rows("C1")
def test_exceptions_reach_the_script_those_of_one_container_too(site: Database, now: datetime) -> None:
    add(site, now, "containerd")
    add(site, now, "postgresql-16", scope="group", tag="DB")
    add(site, now, "pve-kernel", scope="host", agent_id="agent-1")
    add(site, now, "nginx", scope="guest", guest_id="guest-101")
    assert argv(placed(site, now, vmid="100")) == ["--exclude=containerd,postgresql-16"]
    assert argv(placed(site, now, vmid="101", exclude=["vim", "nginx"])) == ["--exclude=vim,nginx,containerd"]
    assert argv(placed(site, now)) == ["--exclude=containerd,pve-kernel"]


def test_the_order_says_why_a_package_is_left_and_until_when(site: Database, now: datetime) -> None:
    until = stamp(now + timedelta(days=1))
    add(site, now, "nginx")
    add(site, now, "nginx", scope="guest", guest_id="guest-100", expires_at=until)
    shown = patch.rendered(placed(site, now, vmid="100"))
    assert shown.holds == [Hold(name="nginx", reason="because of nginx", expires_at=until, scope="guest")]
    later = placed(site, now + timedelta(days=2), vmid="100")
    assert [hold.scope for hold in patch.rendered(later).holds] == ["fleet"]


def test_what_is_held_cannot_be_ordered_by_name(site: Database, now: datetime) -> None:
    add(site, now, "nginx")
    with pytest.raises(Conflict, match="because of nginx"):
        placed(site, now, only=["nginx"])


def test_a_removed_one_counts_no_more_and_both_are_in_the_audit(site: Database, now: datetime) -> None:
    row = add(site, now, "nginx")
    for _ in range(2):
        removed = site.write_now(lambda tx: service.remove(tx, PERSON, row.id, now))
    assert not service.rendered(removed, now).active
    assert placed(site, now).request["exclude"] == []
    told = site.read_now(lambda tx: audit.page(tx, audit.Filter(teams=None), 50, 0))[0]
    assert [one.action for one in told if one.object == row.id] == ["exception.remove", "exception.create"]
    told, _ = site.read_now(lambda tx: events.page(tx, PERSON, 9, 0, "exception", "", 0))
    assert {(one["kind"], one["name"]) for one in told} >= {
        ("exception.added", "nginx"),
        ("exception.removed", "nginx"),
    }


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"package": "linux-*"}, ValidationFailed),
        ({"package": "-y"}, ValidationFailed),
        ({"scope": "group"}, ValidationFailed),
        ({"tag": "web"}, ValidationFailed),
        ({"scope": "host", "agent_id": "agent-9"}, NotFound),
        ({"scope": "guest", "guest_id": "guest-9"}, NotFound),
        ({"expires_at": "2026-01-31T01:59:59Z"}, ValidationFailed),
    ],
)
def test_what_means_nothing_is_refused(site: Database, now: datetime, asked: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        add(site, now, **{"package": "nginx", **asked})


def test_others_see_none_and_viewers_change_none(site: Database, now: datetime) -> None:
    row = add(site, now, "nginx")
    assert site.read_now(lambda tx: service.visible(tx, VIEWER, row.id)) == row
    with pytest.raises(Forbidden):
        site.write_now(lambda tx: service.remove(tx, VIEWER, row.id, now))
    with pytest.raises(NotFound):
        site.read_now(lambda tx: service.visible(tx, STRANGER, row.id))
    other = replace(row, id="exception-2", removed_at=1)
    site.write_now(lambda tx: store.add(tx, other))
    assert site.read_now(lambda tx: store.page(tx, [teams.DEFAULT], 9, 0, micros(now))) == ([row], 1)
    assert site.read_now(lambda tx: store.page(tx, STRANGER.teams, 9, 0, None)) == ([], 0)
