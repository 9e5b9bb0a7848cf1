"""Orders and readings in the words of agents from before the guide, on both databases."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import legacy as service
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.services.record import record
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import script as scripts
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database
from nanny_ops.control.store.operation import Operation
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.legacy import NANNYAGENT, LegacyMetrics, LegacySystem
from nanny_ops.protocol.patch import PackageChange, PatchRequest

AGENT = HostAgent("agent-1", teams.DEFAULT, "pve1", dialect=NANNYAGENT)
OTHER = HostAgent("agent-2", teams.DEFAULT, "pve2", dialect=NANNYAGENT)
ASKED = {"mode": "apply", "timeout_seconds": 60, "exclude": [], "only": [], "security_only": False, "script_args": ""}


def operation(now: datetime, **asked: Any) -> Operation:
    at = micros(now)
    placed = Operation(
        "patch-1", teams.DEFAULT, AGENT.id, "patch", "pending", "host", {**ASKED, **asked}, "user-1", at, at, at + 10**9
    )
    return replace(placed, script_id="apt-0123456789abcdef")


def script(script_id: str, now: datetime) -> scripts.Script:
    return scripts.Script(script_id, None, "apt", "", b"#!/bin/sh\n", "0" * 64, True, [], micros(now))


@pytest.fixture
def placed(database: Database, now: datetime) -> Operation:
    for agent in (AGENT, OTHER):
        row = agents.Agent(
            agent.id, agent.team_id, "pve1", "debian", "debian", "1", "", "6", "linux", [], "active", micros(now)
        )
        database.write_now(lambda tx, row=row: agents.add(tx, row))
    return database.write_now(lambda tx: operations.create(tx, operation(now)))


def test_fetching_its_script_begins_an_order_and_only_that(
    database: Database, placed: Operation, now: datetime
) -> None:
    right, wrong = script(placed.script_id or "", now), script("other-1", now)

    def fetch(agent: HostAgent, name: str, what: scripts.Script) -> None:
        database.write_now(lambda tx: service.fetched(tx, agent, name, what, now))

    for agent, name, what, error in (
        (AGENT, placed.id, wrong, ValidationFailed),
        (OTHER, placed.id, right, Forbidden),
        (AGENT, "patch-2", right, NotFound),
    ):
        with pytest.raises(error):
            fetch(agent, name, what)
    assert _present(database).status == "pending"
    fetch(AGENT, placed.id, right)
    fetch(AGENT, placed.id, right)  # the first answer may have been lost
    present = _present(database)
    assert (present.status, present.started_at) == ("running", micros(now))
    assert not service.never_began(present)


def test_an_order_that_ended_is_not_begun(database: Database, placed: Operation, now: datetime) -> None:
    database.write_now(lambda tx: operations.cancel(tx, placed, "no", now))
    with pytest.raises(Conflict):
        database.write_now(lambda tx: service.fetched(tx, AGENT, placed.id, script(placed.script_id or "", now), now))
    assert service.never_began(_present(database))


def _present(database: Database) -> Operation:
    found = database.read_now(lambda tx: store.find(tx, "patch-1"))
    assert found is not None
    return found


def test_an_agent_speaks_what_it_spoke_last(database: Database, placed: Operation) -> None:
    database.write_now(lambda tx: service.speak(tx, AGENT.id, NANNYAGENT))
    found = database.read_now(lambda tx: agents.some(tx, [AGENT.id, OTHER.id]))
    assert {name: agent.dialect for name, agent in found.items()} == {AGENT.id: "nannyagent", OTHER.id: "guide"}


@pytest.mark.parametrize(
    ("asked", "argument"),
    [
        ({}, ""),
        ({"exclude": ["nginx", "curl"]}, "--exclude=nginx,curl"),
        ({"security_only": True}, "--security-only"),
        ({"script_args": "'one word'"}, "one word"),
        ({"script_args": "two words"}, None),
        ({"exclude": ["nginx"], "security_only": True}, None),
        ({"only": ["nginx"], "script_args": "x"}, None),
    ],
)
def test_an_order_is_one_argument_or_is_not_told(now: datetime, asked: dict[str, Any], argument: str | None) -> None:
    told = service.record(record(operation(now, **asked)))
    request = PatchRequest(agent_id=AGENT.id, mode="apply", **asked)
    if argument is None:
        assert told is None
        with pytest.raises(ValidationFailed):
            service.check(vars(request))
        return
    service.check(vars(request))
    assert told is not None
    assert told["script_args"] == argument
    assert told["exclusions"] == asked.get("exclude")
    assert told["script_url"] == "/api/files/patch-1/apt-0123456789abcdef/apt.sh"


def test_an_investigation_has_every_field_of_theirs() -> None:
    told = {"id": "inv-1", "agent_id": "agent-1", "user_prompt": "why", "status": "pending", "priority": "low"}
    assert service.record({**told, "created_at": "2026-01-01T00:00:00.000Z"}) == {
        **told,
        "collectionId": "investigations",
        "collectionName": "investigations",
        "completed_at": "",
        "episode_id": "",
        "initiated_at": "2026-01-01T00:00:00.000Z",
        "metadata": {"initiated_by": "user"},
        "resolution_plan": "",
        "user_id": "",
    }


def test_nothing_is_made_up_for_a_reading(now: datetime) -> None:
    system = LegacySystem(
        cpu_percent=1,
        cpu_cores=2,
        memory_used_gb=0.5,
        memory_total_gb=1,
        disk_used_gb=1,
        disk_total_gb=2,
        disk_usage_percent=50,
    )
    reading, raw = service.flattened(AGENT, LegacyMetrics(system_metrics=system), now)
    kept = json.loads(raw)
    assert (reading.memory_total, reading.memory_usage, kept["memory_usage"]) == (2**30, 512.0, 512.0)
    assert (kept["dialect"], kept["timestamp"]) == ("nannyagent", "2026-01-31T02:00:00.000Z")
    unsaid = {"memory_free", "memory_available", "disk_free", "platform", "kernel_version", "all_ips", "version"}
    assert not unsaid & set(kept)


@pytest.mark.parametrize(
    ("code", "listed", "told"),
    [
        ("0", [PackageChange(name="nginx")], (True, "", 1)),
        ("0", [], (True, "", 0)),
        ("0", None, (True, "ok", 0)),
        ("1", None, (False, "", 0)),
        ("-1", None, (False, "", 0)),
    ],
)
def test_results_say_no_more_than_they_know(
    code: str, listed: list[PackageChange] | None, told: tuple[bool, str, int]
) -> None:
    found = service.result("patch-1", code, listed)
    assert (found.success, found.outcome, len(found.package_list)) == told
    assert found.exit_code == int(code)


@pytest.mark.parametrize("code", ["", "one", "1.5", "1e3", "99999999999", "٣"])
def test_an_exit_code_is_a_number(code: str) -> None:
    with pytest.raises(ValidationFailed):
        service.result("patch-1", code, None)


@pytest.mark.parametrize(
    ("status", "silence", "health"),
    [("active", 0, "healthy"), ("active", 301, "stale"), ("active", 901, "inactive"), ("revoked", 0, "inactive")],
)
def test_health_is_told_in_their_words(now: datetime, status: str, silence: int, health: str) -> None:
    seen = micros(now) - silence * 1_000_000
    row = agents.Agent("a", "t", "h", "debian", "debian", "1", "", "6", "linux", [], status, 0, last_seen=seen)
    assert service.state(row, now)["health"] == health
    assert service.shown(replace(row, last_seen=None), now)["last_seen"] == ""
