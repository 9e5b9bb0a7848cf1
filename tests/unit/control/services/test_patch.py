"""Patch orders on both databases: keys, filters, what they are aimed at."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import patch as service
from nanny_ops.control.services import script as scripts
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store import upkeep
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.proxmox_tables import guests
from nanny_ops.control.store.upkeep import Upkeep
from nanny_ops.errors import Conflict, Forbidden, NoScriptForTarget, NotFound, ValidationFailed
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.patch import PatchRequest

PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
ASKED = PatchRequest(agent_id="agent-1", mode="dry-run")
#: What a container that Proxmox VE calls centos has told of itself, and the script for it; debian is from before it.
SYSTEMS = [("", "dnf"), ("centos:7", "yum"), ("rocky:9.4", "dnf"), ("debian:12", "dnf")]


@pytest.fixture
def agent(database: Database, now: datetime) -> Agent:
    made = Agent(
        "agent-1", teams.DEFAULT, "pve1", "proxmox", "debian", "1", "", "6.8", "linux", [], "active", micros(now)
    )
    database.write_now(lambda tx: agents.add(tx, made))
    database.write_now(lambda tx: scripts.ship(tx, now))
    return made


def place(
    database: Database, now: datetime, request: PatchRequest = ASKED, key: str = "", person: Person = PERSON
) -> tuple[Operation, bool]:
    return database.write_now(lambda tx: service.place(tx, person, request, key, now))


@pytest.mark.usefixtures("agent")
def test_a_key_is_good_for_a_day(database: Database, now: datetime) -> None:
    first, new = place(database, now, key="k")
    assert new
    assert place(database, now + timedelta(hours=23), key="k") == (first, False)
    with pytest.raises(Conflict):
        place(database, now, replace(ASKED, mode="apply"), key="k")
    other = Person("user-2", "b@example.com", "b", False, PERSON.roles)
    assert place(database, now, key="k", person=other)[1]
    assert place(database, now + timedelta(hours=25), key="k")[1]
    assert place(database, now)[1]
    assert place(database, now)[1]


@pytest.mark.usefixtures("agent")
def test_a_page_can_be_narrowed_by_mode(database: Database, now: datetime) -> None:
    placed, _ = place(database, now, replace(ASKED, mode="apply"))
    place(database, now)
    found, total = database.read_now(lambda tx: store.page(tx, "patch", [teams.DEFAULT], 10, 0, mode="apply"))
    assert ([operation.id for operation in found], total) == ([placed.id], 1)


def test_a_guest_decides_about_its_script(database: Database, agent: Agent, now: datetime) -> None:
    for vmid, ostype, extra in (
        (100, "debian", {}),
        (101, "gentoo", {}),
        (102, "debian", {"gone_at": 1}),
        (103, "", {}),
    ):
        row = _guest(vmid, ostype, **extra)
        database.write_now(lambda tx, row=row: tx.connection.execute(guests.insert(), [row]))
    aimed = {vmid: replace(ASKED, vmid=str(vmid)) for vmid in (100, 101, 102, 103, 104)}
    assert place(database, now, aimed[100])[0].target == "lxc:100"
    with pytest.raises(NoScriptForTarget, match="gentoo"):
        place(database, now, aimed[101])
    with pytest.raises(Conflict, match="gone"):
        place(database, now, aimed[102])
    assert place(database, now, aimed[103])[0].script_id == place(database, now, aimed[104])[0].script_id


@pytest.mark.rows("C2")
@pytest.mark.parametrize(
    ("system", "name"), [("", "dnf"), ("centos:7", "yum"), ("rocky:9.4", "dnf"), ("debian:12", "dnf")]
)
def test_a_containers_own_word_tells_the_version_that_proxmox_does_not(
    database: Database, agent: Agent, now: datetime, system: str, name: str
) -> None:
    database.write_now(lambda tx: tx.connection.execute(guests.insert(), [_guest(105, "centos")]))
    if system:
        identity, _, version = system.partition(":")
        body = {"system": {"id": identity, "version": version}}
        kept = Upkeep(scope=agent.id, target="lxc:105", team_id=teams.DEFAULT, body=body)
        database.write_now(lambda tx: upkeep.put(tx, kept))
    assert place(database, now, replace(ASKED, vmid="105"))[0].script_id.rpartition("-")[0] == name


def _guest(vmid: int, ostype: str, **extra: Any) -> dict[str, Any]:
    return {
        "id": f"g{vmid}", "team_id": teams.DEFAULT, "scope": "agent-1", "vmid": vmid, "kind": "lxc", "name": "ct",
        "node": "pve1", "status": "running", "ostype": ostype, "tags": "", "body": {}, "reported_by": "agent-1",
        "created_at": 0, "updated_at": 0, "gone_at": None, **extra,
    }  # fmt: skip


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"agent_id": "agent-2"}, NotFound),
        ({"script_id": "none"}, NotFound),
        ({"vmid": "vm-100"}, Conflict),
        ({"lxc_id": "qemu-100"}, ValidationFailed),
        ({"conffiles": "hold-back", "protect": "prefer-snapshot"}, Conflict),
        ({"exclude": ["ok", "../x"]}, ValidationFailed),
        ({"expires_at": "2026-01-31T01:59:59Z"}, ValidationFailed),
        ({"expires_at": "soon"}, ValidationFailed),
    ],
)
def test_what_cannot_be_ordered(
    database: Database, now: datetime, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        place(database, now, replace(ASKED, **changes))


@pytest.mark.usefixtures("agent")
def test_a_viewer_who_ordered_may_read_and_others_not(database: Database, now: datetime) -> None:
    placed, _ = place(database, now)
    viewer = Person("user-9", "v@example.com", "v", False, {teams.DEFAULT: "viewer"})
    demoted = Person(PERSON.id, PERSON.email, "op", False, viewer.roles)
    assert database.read_now(lambda tx: service.readable(tx, demoted, placed.id)) == placed
    with pytest.raises(Forbidden):
        database.read_now(lambda tx: service.readable(tx, viewer, placed.id))
    with pytest.raises(Forbidden):
        database.write_now(lambda tx: service.withdraw(tx, viewer, placed.id, now))


@pytest.mark.usefixtures("agent")
def test_cancelling_twice_ends_it_once(database: Database, now: datetime) -> None:
    placed, _ = place(database, now)
    first, new = database.write_now(lambda tx: service.withdraw(tx, PERSON, placed.id, now))
    again, newer = database.write_now(lambda tx: service.withdraw(tx, PERSON, placed.id, now))
    assert (first, new, newer) == (again, True, False)
    assert service.rendered(first).reason == "Cancelled by op@example.com."
