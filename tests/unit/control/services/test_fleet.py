"""What people see of a thing says who told it, when, and whether the teller is still there."""

from datetime import datetime, timedelta

import pytest

from nanny_ops.control.services import fleet
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import proxmox as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.errors import NotFound
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.enrollment import OFFLINE_AFTER
from tests.unit.control.services.fleet_site import Site

WHO = Person("user-1", "a@example.com", "a", False, {teams.DEFAULT: "viewer"})


@pytest.fixture
def told(database: Database, now: datetime) -> Database:
    at = micros(now)
    row = agents.Agent(
        "agent-1", teams.DEFAULT, "pve1", "debian", "debian", "1", "192.0.2.1", "6.8", "linux", [], "active", at,
        last_seen=at,
    )  # fmt: skip
    node = store.Node("node-1", teams.DEFAULT, "agent-1", None, "pve1", "", 1, "8", {"x": [1]}, "agent-1", at, at)
    database.write_now(lambda tx: (agents.add(tx, row), store.put(tx, node, known=False)))
    return database


@pytest.mark.parametrize(("silence", "stale"), [(0, False), (OFFLINE_AFTER, False), (OFFLINE_AFTER + 1, True)])
def test_a_silent_teller_makes_it_stale(told: Database, now: datetime, silence: int, stale: bool) -> None:
    later = now + timedelta(seconds=silence)
    seen = told.read_now(lambda tx: fleet.nodes(tx, WHO, 50, 0, "", "", later)).items[0]
    assert (seen["stale"], seen["freshness_seconds"]) == (stale, silence)
    assert (seen["agent_id"], seen["agent_hostname"]) == ("agent-1", "pve1")


def test_a_revoked_teller_makes_it_stale(told: Database, now: datetime) -> None:
    told.write_now(lambda tx: agents.change(tx, "agent-1", status="revoked"))
    assert told.read_now(lambda tx: fleet.node(tx, WHO, "node-1", now))["stale"] is True


def test_one_thing_comes_with_all_that_was_said(told: Database, now: datetime) -> None:
    assert told.read_now(lambda tx: fleet.node(tx, WHO, "node-1", now))["reported"] == {"x": [1]}
    with pytest.raises(NotFound, match="node-2"):
        told.read_now(lambda tx: fleet.node(tx, WHO, "node-2", now))


@pytest.mark.rows("F17", "PVE-15")
def test_what_a_token_may_not_see_stands_with_the_cluster_and_what_a_node_keeps_back_with_its_guests(
    database: Database, now: datetime
) -> None:
    site = Site(database, now, nodes=("pve1",))
    site.add(101, "pve1")
    bad = [("rights", "", "forbidden"), ("guests", "", "forbidden"), ("guest.backup", "pve1", "failed")]
    lines = [{"section": section, "object": thing, "state": state} for section, thing, state in bad]
    good = [{"section": section, "object": "", "state": "ok"} for section in ("guest.backup", "guest.agent")]
    site.says("pve1", site.report("pve1", facts=[*lines, *good]))

    def known(shown: dict[str, object]) -> dict[str, str]:
        return {one["section"]: one["state"] for one in shown["known"]}  # type: ignore[attr-defined]

    guest = site.stored()[101]
    told = database.read_now(lambda tx: fleet.cluster(tx, WHO, str(guest.cluster_pk), site.now))
    assert known(told) == {"rights": "forbidden", "guests": "forbidden"}
    of_guest = known(database.read_now(lambda tx: fleet.guest(tx, WHO, guest.id, site.now)))
    assert of_guest == {"rights": "forbidden", "guests": "forbidden", "guest.backup": "failed"}, "and no guest agent"
    listed = database.read_now(lambda tx: fleet.guests(tx, WHO, 50, 0, store.GuestFilter(fact="forbidden"), site.now))
    assert listed.items[0]["trouble"] == {"forbidden": 2, "failed": 1}
    stale = store.GuestFilter(fact="stale")
    assert database.read_now(lambda tx: fleet.guests(tx, WHO, 50, 0, stale, site.now)).total == 0


def test_a_list_of_what_is_not_there_says_what_there_is(told: Database, now: datetime) -> None:
    def guests(**wanted: str) -> int:
        return told.read_now(lambda tx: fleet.guests(tx, WHO, 50, 0, store.GuestFilter(**wanted), now)).total

    with pytest.raises(NotFound, match=r"no node 'nope'. There are: pve1\."):
        guests(node="nope")
    with pytest.raises(NotFound, match=r"no cluster 'nope'. There are: none\."):
        guests(cluster="nope")
    with pytest.raises(NotFound, match="nope"):
        told.read_now(lambda tx: fleet.everything(tx, WHO, "nope", now))
    assert guests(node="pve1") == 0
