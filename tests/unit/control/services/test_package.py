"""What results tell about packages, and the question where an old one still is."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import package as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import inventory, proxmox
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store import package as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.package import Wanted
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.patch import PackageChange

WHO = Person("user-1", "a@example.com", "a", False, {teams.DEFAULT: "viewer"})


class Results:
    """Ends patch operations, a minute later each time."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database, self.now, self.count = database, now, 0
        for name in ("agent-1", "agent-2"):
            self.enrol(name)

    def enrol(self, name: str) -> None:
        row = agents.Agent(
            name, teams.DEFAULT, f"host-{name}", "debian", "debian", "1", "", "", "linux", [], "active",
            micros(self.now), last_seen=micros(self.now),
        )  # fmt: skip
        self.database.write_now(lambda tx: agents.add(tx, row))

    def end(
        self, mode: str, *changes: PackageChange, agent: str = "agent-1", target: str = "lxc:100", **asked: Any
    ) -> None:
        self.count, self.now = self.count + 1, self.now + timedelta(minutes=1)
        at = micros(self.now)
        done = Operation(
            f"patch-{self.count}", teams.DEFAULT, agent, "patch", "completed", target, {"mode": mode, **asked},
            "user-1", at, at, at,
        )  # fmt: skip

        def write(tx: store.Tx) -> None:
            operations.add(tx, done)
            service.remember(tx, done, changes, self.now)

        self.database.write_now(write)

    def known(self, name: str = "openssl", **wanted: Any) -> list[tuple[str, str, str]]:
        rows = self.database.read_now(lambda tx: store.sightings(tx, WHO.teams, Wanted(name=name, **wanted)))
        return [(row.target, row.installed, row.candidate) for row in rows]

    def below(self, version: str, **wanted: Any) -> list[dict[str, Any]]:
        asked = Wanted(name="openssl", **wanted)
        return self.database.read_now(lambda tx: service.find(tx, WHO, asked, version, 50, 0, self.now)).items


@pytest.fixture
def results(database: Database, now: datetime) -> Results:
    return Results(database, now)


def change(old: str, new: str, name: str = "openssl", action: str = "upgrade", **more: Any) -> PackageChange:
    return PackageChange(name=name, version=new, old_version=old, action=action, **more)


def test_a_dry_run_tells_what_is_pending_and_what_no_longer_is(results: Results) -> None:
    results.end("dry-run", change("1", "2"), change("5", "6", "bash"), change("", "1", "new", "install"))
    assert results.known(pending=True) == [("lxc:100", "1", "2")]
    results.end("dry-run", change("5", "7", "bash"))
    assert results.known() == [("lxc:100", "1", "1")]
    assert results.known("bash") == [("lxc:100", "5", "7")]
    assert results.known("new") == []  # it was only planned and never there


@pytest.mark.parametrize("asked", [{"only": ["bash"]}, {"exclude": ["openssl"]}, {"security_only": True}])
def test_a_dry_run_that_looked_at_some_says_nothing_of_the_rest(results: Results, asked: dict[str, Any]) -> None:
    results.end("dry-run", change("1", "2"))
    results.end("dry-run", **asked)
    assert results.known(pending=True) == [("lxc:100", "1", "2")]


def test_an_applied_change_leaves_nothing_pending(results: Results) -> None:
    results.end("dry-run", change("1", "2"), change("5", "6", "bash"), change("8", "9", "old"))
    results.end("apply", change("1", "2"), change("", "1", "new", "install"), change("8", "", "old", "remove"))
    assert results.known(pending=False) == [("lxc:100", "2", "2")]
    assert results.known("bash", pending=True) == [("lxc:100", "5", "6")]
    assert results.known("new") == [("lxc:100", "1", "1")]
    assert results.known("old") == []


def test_the_same_result_twice_changes_nothing(results: Results) -> None:
    for _ in range(2):
        results.end("apply", change("1", "2"))
    assert results.known() == [("lxc:100", "2", "2")]


def test_targets_are_apart(results: Results) -> None:
    results.end("dry-run", change("1", "2"), target="host")
    results.end("dry-run", change("1", "2"))
    results.end("dry-run")
    assert results.known(pending=True) == [("host", "1", "2")]
    assert results.known(target="lxc:100") == [("lxc:100", "1", "1")]
    assert results.known(agent_id="agent-2") == []


def test_versions_are_compared_as_debian_does(results: Results) -> None:
    for number, version in enumerate(["3.0.9-1", "3.0.15~rc1-1", "3.0.15-1", "1:1.0-1", "garbage", ""]):
        results.end("dry-run", change(version, "9"), target=f"lxc:{number + 1}")
    found = [item["installed"] for item in results.below("3.0.15-1")]
    assert found == ["3.0.9-1", "3.0.15~rc1-1", "garbage"]  # what cannot be compared is shown, not taken for good


@pytest.mark.parametrize("version", ["", "not a version", "abc", "3.0 1"])
def test_a_bad_bound_is_refused(results: Results, version: str) -> None:
    with pytest.raises(ValidationFailed, match="below"):
        results.below(version)


def test_a_row_names_the_machine_and_the_guest(results: Results) -> None:
    results.end("dry-run", change("1", "2", security=True))
    at = micros(results.now)
    guest = proxmox.Guest(
        "guest-1", teams.DEFAULT, "agent-1", None, 100, "lxc", "web1", "pve1", "running", "", "", {}, "agent-1", at, at
    )
    results.database.write_now(lambda tx: proxmox.put(tx, guest, known=False))
    row = results.below("2", security=True)[0]
    expected = {"hostname": "host-agent-1", "guest_name": "web1", "vmid": 100, "pending": True, "stale": False}
    assert {key: row[key] for key in expected} == expected
    results.database.write_now(lambda tx: inventory.mark_guests(tx, [guest.id], gone_at=at))
    assert results.below("2") == []  # a destroyed guest has no packages


def test_a_migrated_guest_is_not_counted_twice(results: Results) -> None:
    at = micros(results.now)
    lab = proxmox.Cluster("cluster-1", teams.DEFAULT, "lab-1", "lab", 2, 1, 1, {}, "agent-1", at, at)

    def join(tx: store.Tx) -> None:
        proxmox.put(tx, lab, known=False)
        for agent in ("agent-1", "agent-2"):
            proxmox.join(tx, agent, lab.id)

    results.database.write_now(join)
    results.end("dry-run", change("1", "2"), change("5", "6", "bash"))
    results.end("apply", change("1", "2"), agent="agent-2")
    assert results.known() == [("lxc:100", "2", "2")]
    assert results.known("bash", agent_id="agent-2") == [("lxc:100", "5", "6")]


def test_a_revoked_agents_machine_is_not_shown(results: Results) -> None:
    results.end("dry-run", change("1", "2"), target="host")
    results.database.write_now(lambda tx: agents.change(tx, "agent-1", status="revoked"))
    assert results.known() == []


def test_another_team_sees_nothing(results: Results) -> None:
    results.end("dry-run", change("1", "2"))
    assert results.database.read_now(lambda tx: store.sightings(tx, {"team-other"}, Wanted(name="openssl"))) == []
