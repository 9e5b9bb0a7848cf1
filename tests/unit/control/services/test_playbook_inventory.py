"""The inventory of a team: names and addresses, nothing that Ansible would evaluate, nothing of another team."""

from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import playbook_inventory
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.agent import Agent
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.proxmox_tables import guests
from nanny_ops.control.store.tables import teams as team_table
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import micros

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
EVIL = "{{ lookup('pipe', 'id') }}"


def _agent(name: str, ip: str, **more: Any) -> Agent:
    values = {"team_id": teams.DEFAULT, "hostname": name, "primary_ip": ip, "status": "active", **more}
    rest = {"platform": "debian", "platform_family": "debian", "version": "1", "kernel_version": "6", "os_type": "x"}
    return Agent(**{"id": f"agent-{name}-{ip}"[:64], "all_ips": [], "created_at": 0, **rest, **values})


def _guest(vmid: int, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"guest-{vmid}", "team_id": teams.DEFAULT, "scope": "agent-1", "vmid": vmid, "kind": "lxc", "name": name,
        "node": "pve 1", "status": "running", "ostype": "debian", "tags": "web;db-1", "reported_by": "agent-1",
        "body": {"addresses": ["127.0.0.1", f"10.0.1.{vmid}/24"]}, "created_at": 0, "updated_at": 0, **more,
    }  # fmt: skip


@pytest.fixture
def inventory(database: Database, now: datetime) -> playbook_inventory.Inventory:
    """Return the inventory of a fleet in which some are dead, foreign, or not what they should be."""
    there = [
        _agent("pve1", "10.0.0.1", tags=["prod"]),
        _agent("pve1", "10.0.0.2"),
        _agent("gone", "10.0.0.3", status="revoked"),
        _agent("evil", EVIL),
        _agent("zone", f"2001:db8::1%{EVIL}"),
        _agent(EVIL, "10.0.0.4"),
        _agent("late", "", all_ips=["::1", "fe80::1", "10.0.0.5"]),
        _agent("foreign", "10.0.0.6", team_id="team-other", all_ips=["fd00::6"]),
        _agent("liar", "10.0.0.6", all_ips=["fd00:0::6", "::ffff:127.0.0.1"]),
    ]
    database.write_now(
        lambda tx: tx.connection.execute(team_table.insert().values(id="team-other", name="o", created_at=micros(now)))
    )
    for one in there:
        database.write_now(lambda tx, one=one: agents.add(tx, one))  # type: ignore[misc]
    rows = [_guest(100, "web1"), _guest(101, "stopped", status="stopped"), _guest(102, "mute", body={})]
    rows += [_guest(103, "odd", tags=EVIL), _guest(104, "foreign", team_id="team-other")]
    rows += [_guest(106, "lying", body={"addresses": ["10.0.1.104/24", "10.0.0.6/24"]})]
    rows += [_guest(105, "zoned", body={"addresses": [f"2001:db8::2%{EVIL}/64"]})]
    database.write_now(lambda tx: tx.connection.execute(guests.insert(), rows))
    return database.read_now(lambda tx: playbook_inventory.build(tx, teams.DEFAULT))


def test_what_can_be_reached_is_there_and_nothing_else(inventory: playbook_inventory.Inventory) -> None:
    second = next(name for name in inventory.hosts if name.startswith("pve1-"))
    assert {name: about["ansible_host"] for name, about in inventory.hosts.items()} == {
        "pve1": "10.0.0.1", second: "10.0.0.2", "late": "10.0.0.5", "web1": "10.0.1.100", "odd": "10.0.1.103",
    }  # fmt: skip
    assert inventory.groups["tag_prod"] == {"pve1"}
    assert inventory.groups["node_pve_1"] == {"web1", "odd"}
    assert inventory.groups["tag_db_1"] == {"web1"}


def test_nothing_in_it_is_a_template(inventory: playbook_inventory.Inventory) -> None:
    assert "{{" not in str(inventory.only([]))


def test_a_limit_leaves_no_others_data(inventory: playbook_inventory.Inventory) -> None:
    found = inventory.only(["pve1", "tag_web"])["all"]
    assert set(found["hosts"]) == {"pve1", "web1"}
    assert found["children"]["agents"] == {"hosts": {"pve1": {}}}
    for wrong in ("all:!pve1", "@/etc/passwd", "nope"):
        with pytest.raises(ValidationFailed, match="no host or group"):
            inventory.only([wrong])


def test_new_hosts_come_beside_those_that_are_known(inventory: playbook_inventory.Inventory) -> None:
    inventory.welcome({"pve9": "10.0.0.9", "pve1": "10.0.0.1"})
    found = inventory.only(["new"])["all"]
    assert found["hosts"]["pve9"] == {"ansible_host": "10.0.0.9"}
    assert "nanny_agent_id" in found["hosts"]["pve1"]
    for name, address in ((EVIL, "10.0.0.9"), ("a", EVIL), ("a", "127.0.0.1"), ("pve1", "10.0.0.7")):
        with pytest.raises(ValidationFailed, match="new_hosts"):
            inventory.welcome({name: address})


def test_no_host_is_taken_for_the_control_plane_or_for_a_group(database: Database) -> None:
    database.write_now(lambda tx: agents.add(tx, _agent("localhost", "10.0.0.1")))
    rows = [_guest(100, "127.0.0.1"), _guest(101, "agents"), _guest(102, "tag_prod"), _guest(103, "localhost.lan")]
    database.write_now(lambda tx: tx.connection.execute(guests.insert(), rows))
    found = database.read_now(lambda tx: playbook_inventory.build(tx, teams.DEFAULT))
    assert len(found.hosts) == 5
    assert not {"localhost", "127.0.0.1", "agents", "tag_prod"} & found.hosts.keys()
    assert {"127.0.0.1-100", "localhost.lan"} <= found.hosts.keys()
    for name in ("localhost", "all", "cluster_one"):
        with pytest.raises(ValidationFailed, match="plain name"):
            found.welcome({name: "10.0.0.9"})
