"""An order that a fresh policy forbids is refused at once; where its word is old or missing the agent decides alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import patch, reboot, update
from nanny_ops.control.services import policy as service
from nanny_ops.control.services import script as scripts
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import policy as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Conflict, NotFound
from nanny_ops.protocol.clock import micros, stamp
from nanny_ops.protocol.feature import REBOOT
from nanny_ops.protocol.patch import PatchRequest
from nanny_ops.protocol.policy import PolicyReport
from nanny_ops.protocol.reboot import RebootRequest
from nanny_ops.protocol.update import UpdateRequest

PERSON = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})


@pytest.fixture
def agent(database: Database, now: datetime) -> Agent:
    words = ("proxmox", "debian", "1", "", "6.8", "linux")
    made = Agent("agent-1", teams.DEFAULT, "pve1", *words, [], "active", micros(now), features=[REBOOT])
    database.write_now(lambda tx: agents.add(tx, made))
    database.write_now(lambda tx: scripts.ship(tx, now))
    return made


async def tell(database: Database, at: datetime, **policy: Any) -> None:
    row = service.row("agent-1", teams.DEFAULT, PolicyReport(file="/p.toml", **policy), at)
    await database.append_all((store.telling(on_sqlite=database.sqlite), row))


def order(database: Database, now: datetime, mode: Any = "apply", vmid: str = "") -> str:
    request = PatchRequest(agent_id="agent-1", mode=mode, vmid=vmid)
    return database.write_now(lambda tx: patch.place(tx, PERSON, request, "", now))[0].target


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"modes": ["dry-run"]}, r"pve1 does not allow the mode apply \(/p.toml\)"),
        ({"operations": ["investigation"]}, "operations of the kind patch"),
        ({"targets": ["101"]}, "the target host"),
        ({"scripts": ["0" * 64]}, "with SHA-256 "),
    ],
)
async def test_what_a_fresh_policy_forbids_is_not_placed(
    database: Database, agent: Agent, now: datetime, policy: dict[str, Any], reason: str
) -> None:
    assert order(database, now) == "host"  # nothing was told yet
    await tell(database, now, **policy)
    with pytest.raises(Conflict, match=reason):
        order(database, now + service.FRESH)
    assert order(database, now + service.FRESH + timedelta(seconds=1)) == "host"
    await tell(database, now + timedelta(seconds=1))  # the owner has widened it
    assert order(database, now) == "host"
    assert agent.id == "agent-1"


@pytest.mark.usefixtures("agent")
async def test_what_it_allows_is_placed(database: Database, now: datetime) -> None:
    await tell(database, now, operations=["patch"], modes=["dry-run"], targets=["101"], times=["sat"])
    assert order(database, now, "dry-run", "101") == "lxc:101"
    with pytest.raises(Conflict, match="the target 102"):
        order(database, now, "dry-run", "102")


@pytest.mark.usefixtures("agent")
async def test_reboots_and_updates_are_asked_about_too(database: Database, now: datetime) -> None:
    await tell(database, now, operations=["patch"])
    with pytest.raises(Conflict, match="the kind reboot"):
        database.write_now(lambda tx: reboot.place(tx, PERSON, RebootRequest(agent_id="agent-1"), "", now))
    with pytest.raises(Conflict, match="the kind update"):
        database.write_now(lambda tx: update.place(tx, PERSON, UpdateRequest(agent_id="agent-1"), now))
    await tell(database, now, operations=["reboot", "update"])
    order, _ = database.write_now(lambda tx: reboot.place(tx, PERSON, RebootRequest(agent_id="agent-1"), "", now))
    assert order.vmid is None
    with pytest.raises(NotFound, match="release"):
        database.write_now(lambda tx: update.place(tx, PERSON, UpdateRequest(agent_id="agent-1"), now))


async def test_people_see_the_newest_word(database: Database, agent: Agent, now: datetime) -> None:
    assert database.read_now(lambda tx: service.shown(tx, agent)) is None
    await tell(database, now, threshold=2)
    await tell(database, now - timedelta(minutes=1), threshold=1)  # one that was held up on its way
    shown = database.read_now(lambda tx: service.shown(tx, agent))
    assert shown is not None
    assert (shown.threshold, shown.reported_at) == (2, stamp(now))
    assert database.read_now(lambda tx: store.told(tx, agent.id, {"team-other"})) is None
