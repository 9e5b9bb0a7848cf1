"""Inventories get every host and guest once, page by page, each with the agent that can carry out its orders."""

from datetime import datetime

import pytest

from nanny_ops.control.services import host as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.host import HostRow
from tests.unit.control.services.fleet_site import Site

WHO = Person("user-1", "x@example.com", "x", False, {teams.DEFAULT: "viewer"})


@pytest.fixture
def site(database: Database, now: datetime) -> Site:
    """Three nodes, whose speaker is not where the guests are."""
    made = Site(database, now)
    made.add(
        101,
        "pve1",
        extra={
            "addresses": ["127.0.0.1/8", "0.0.0.0", "::", "fe80::1/64", "fd00::1%{{ 7 }}", "10.0.0.7/24"],
            "tags": "Web;prod",
        },
    )
    made.add(102, "pve2", status="stopped", extra={"pool": "shop", "ostype": "alpine"})
    made.add(201, "pve3", kind="qemu")
    made.all_say()
    seen = micros(made.now)
    database.write_now(lambda tx: [agents.change(tx, one.id, last_seen=seen) for one in made.agents.values()])
    return made


def rows(site: Site, limit: int = 1000, offset: int = 0, who: Person = WHO) -> tuple[list[HostRow], int]:
    return site.database.read_now(lambda tx: service.page(tx, who, limit, offset, site.now))


def test_hosts_come_before_guests_each_with_its_agent(site: Site) -> None:
    found, total = rows(site)
    assert total == 6
    assert [(row.name, row.target, row.agent_id) for row in found] == [
        ("pve1", "host", "agent-pve1"),
        ("pve2", "host", "agent-pve2"),
        ("pve3", "host", "agent-pve3"),
        ("g101", "lxc:101", "agent-pve1"),
        ("g102", "lxc:102", "agent-pve2"),
        ("g201", "qemu:201", "agent-pve3"),
    ]
    web, shop = found[3], found[4]
    assert (web.address, web.tags, web.status, web.cluster, web.upkeep) == (
        "10.0.0.7", ["web", "prod"], "running", "lab", "unknown",
    )  # fmt: skip
    assert (shop.pool, shop.os, shop.status, shop.address) == ("shop", "alpine", "stopped", "")
    assert web.facts["vmid"] == 101


@pytest.mark.parametrize("limit", [1, 2, 4, 6])
def test_pages_make_up_the_whole(site: Site, limit: int) -> None:
    whole, total = rows(site)
    pages = [rows(site, limit, offset)[0] for offset in range(0, total, limit)]
    assert [row for page in pages for row in page] == whole
    assert all(len(page) <= limit for page in pages)
    assert rows(site, limit, total) == ([], total)


def test_what_a_silent_or_revoked_agent_told_is_unknown(site: Site) -> None:
    def silence(agent: str, **values: object) -> None:
        site.database.write_now(lambda tx: agents.change(tx, agent, **values))

    silence("agent-pve1", last_seen=micros(site.now) - 3_600_000_000)
    silence("agent-pve2", status="revoked")
    found = {row.name: row for row in rows(site)[0]}
    assert (found["pve1"].status, found["g101"].status, found["g101"].agent_id) == ("offline", "unknown", "agent-pve1")
    assert "pve2" not in found
    assert (found["g102"].status, found["g102"].agent_id) == ("unknown", None)


def test_another_team_sees_nothing(site: Site) -> None:
    stranger = Person("user-2", "y@example.com", "y", False, {"team-other": "operator"})
    assert rows(site, who=stranger) == ([], 0)
