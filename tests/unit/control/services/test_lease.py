"""Leases: one claim begins an order, one order at a time runs on a target, and silence is told once."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nanny_ops.control.services import lease as service
from nanny_ops.control.services import operation as operations
from nanny_ops.control.services import patch, result
from nanny_ops.control.services.principal import HostAgent, Person
from nanny_ops.control.store import agent as agents
from nanny_ops.control.store import audit, schema
from nanny_ops.control.store import event as events
from nanny_ops.control.store import operation as store
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, Tx, sqlite_url
from nanny_ops.control.store.operation import Operation
from nanny_ops.control.store.proxmox_tables import clusters
from nanny_ops.errors import Conflict, Fenced, Forbidden, Later, LeaseHeld, NotFound, TargetBusy
from nanny_ops.protocol.clock import micros
from nanny_ops.protocol.operation import Ack, AckAnswer, Renew
from nanny_ops.protocol.patch import ResultMetadata
from tests.unit.control.services.test_operation import order

ONE, TWO, FAR = (HostAgent(f"agent-{name}", teams.DEFAULT, name) for name in ("one", "two", "far"))
OPERATOR = Person("user-1", "op@example.com", "op", False, {teams.DEFAULT: "operator"})
VIEWER = Person("user-2", "viewer@example.com", "viewer", False, {teams.DEFAULT: "viewer"})
FOREIGNER = Person("user-3", "other@example.com", "other", False, {"team-other": "operator"})


@dataclass
class Plane:
    """A store in which two agents share a cluster and a third stands alone."""

    database: Database
    now: datetime
    placed: int = field(default=0)

    def place(self, agent: HostAgent = ONE, target: str = "lxc:100") -> str:
        """Order a patch and return its id; each is a second younger than the one before."""
        self.placed += 1
        made = order(self.now + timedelta(seconds=self.placed), f"patch-{self.placed}", agent)
        vmid = int(target.partition(":")[2]) if ":" in target else None
        self.database.write_now(lambda tx: operations.create(tx, replace(made, target=target, vmid=vmid)))
        return made.id

    def ask(self, operation_id: str, claim: str = "", agent: HostAgent = ONE) -> AckAnswer | Later:
        """Ask to begin."""
        ack = Ack(state="running", claim=claim)
        reply = self.database.write_now(lambda tx: service.acknowledge(tx, agent, operation_id, ack, self.now))
        said = reply.answer or reply.wait
        assert said is not None
        return said

    def begins(self, operation_id: str, claim: str, agent: HostAgent = ONE) -> int:
        """Ask to begin, be allowed to, and return the lease."""
        said = self.ask(operation_id, claim, agent)
        assert isinstance(said, AckAnswer)
        assert (said.status, said.proceed, said.lease_seconds) == ("running", True, service.LEASE)
        return said.lease

    def ends(self, operation_id: str, agent: HostAgent = ONE, receipt: str = "r", **said: object) -> Operation:
        """Report a success."""
        metadata = ResultMetadata(operation_id=operation_id, success=True, **said)  # type: ignore[arg-type]
        taken = self.database.write_now(lambda tx: result.take(tx, agent, operation_id, metadata, receipt, self.now))
        return taken.operation

    def row(self, operation_id: str) -> Operation:
        """Return an operation as it is stored."""
        found = self.database.read_now(lambda tx: store.find(tx, operation_id))
        assert found is not None
        return found

    def told(self, topic: str) -> list[tuple[str, str]]:
        """Return kind and id of every event on a topic."""
        found = self.database.read_now(lambda tx: events.after(tx, 0, 100))
        return [(event.kind, event.payload["record"]["id"]) for event in found if event.topic == topic]


@pytest.fixture
def plane(tmp_path: Path, now: datetime) -> Iterator[Plane]:
    database = Database(sqlite_url(tmp_path))
    schema.upgrade(database)
    yield filled(database, now)
    database.close()


def filled(database: Database, now: datetime) -> Plane:
    facts = {"cluster_id": "c", "cluster_name": "c", "nodes": 2, "quorate": 1, "version": 1, "body": {}}
    facts |= {"created_at": 0, "updated_at": 0, "reported_by": "x"}
    database.write_now(lambda tx: teams.ensure_default(tx, micros(now)))
    database.write_now(
        lambda tx: tx.connection.execute(clusters.insert().values(id="cluster-1", team_id=teams.DEFAULT, **facts))
    )
    for agent in (ONE, TWO, FAR):
        row = agents.Agent(
            agent.id, agent.team_id, agent.hostname, "debian", "debian", "1", "", "6.8", "linux", [], "active", 0
        )
        joined = replace(row, cluster_pk=None if agent is FAR else "cluster-1")
        database.write_now(lambda tx, joined=joined: agents.add(tx, joined))
    return Plane(database, now)


def test_the_same_claim_gets_the_same_lease_and_another_waits(plane: Plane) -> None:
    placed = plane.place()
    assert plane.begins(placed, "mine") == plane.begins(placed, "mine") == 1
    for claim in ("other", ""):
        waits = plane.ask(placed, claim)
        assert isinstance(waits, LeaseHeld)
        assert 0 < int(waits.headers["Retry-After"]) <= service.AGAIN_CLAIM
    assert plane.row(placed).claim == "mine"


@pytest.mark.rows("F11")
def test_a_lapsed_lease_is_never_given_on_and_its_holders_late_result_is_true(plane: Plane) -> None:
    placed = plane.place()
    lease = plane.begins(placed, "mine")
    plane.now += timedelta(seconds=service.LEASE)
    reply = plane.database.write_now(
        lambda tx: service.acknowledge(tx, ONE, placed, Ack(state="running", claim="other"), plane.now)
    )
    assert reply.ended is not None
    assert reply.answer is not None
    assert not reply.answer.proceed
    assert (plane.row(placed).status, plane.row(placed).outcome) == ("expired", "unknown")
    with pytest.raises(Fenced):
        plane.ends(placed)
    waits = plane.ask(plane.place(TWO), "next", TWO)
    assert isinstance(waits, TargetBusy), "what was begun may still run"
    assert plane.ends(placed, lease=lease).status == "completed"
    assert plane.row(placed).held_until is None


def test_a_result_is_taken_from_the_holder_only(plane: Plane) -> None:
    placed = plane.place()
    lease = plane.begins(placed, "mine")
    for said in ({}, {"lease": lease + 1}, {"claim": "other"}):
        with pytest.raises(Fenced):
            plane.ends(placed, **said)
    assert plane.ends(placed, claim="mine").status == "completed"
    assert plane.ends(placed, lease=lease).status == "completed", "the same result again"
    with pytest.raises(Fenced):
        plane.ends(placed, receipt="another", lease=lease + 1)


def test_an_agent_that_knows_no_leases_is_served(plane: Plane) -> None:
    placed = plane.place()
    for _ in range(2):
        said = plane.ask(placed)
        assert isinstance(said, AckAnswer)
        assert (said.proceed, said.lease) == (True, 0)
    assert isinstance(plane.ask(placed, "late claim"), LeaseHeld)
    answer = plane.database.write_now(lambda tx: service.renew(tx, ONE, placed, Renew(lease=0), plane.now))
    assert (answer.proceed, plane.row(placed).lease_until) == (True, None)
    plane.now += timedelta(hours=1)
    assert plane.database.write_now(lambda tx: service.note_silence(tx, plane.now)) == []
    assert plane.ends(placed).status == "completed"


@pytest.mark.rows("F11")
def test_silence_is_told_once_and_ends_with_the_next_word(plane: Plane) -> None:
    placed = plane.place()
    lease = plane.begins(placed, "mine")
    plane.now += timedelta(seconds=service.LEASE - 1)
    assert (
        plane.database.write_now(lambda tx: service.renew(tx, ONE, placed, Renew(lease=lease), plane.now)).lease
        == lease
    )
    plane.now += timedelta(seconds=service.LEASE - 1)
    assert plane.database.write_now(lambda tx: service.note_silence(tx, plane.now)) == []
    plane.now += timedelta(seconds=1)
    for ids in ([placed], []):
        silent = plane.database.write_now(lambda tx: service.note_silence(tx, plane.now))
        assert [one.id for one in silent] == ids
    assert patch.rendered(plane.row(placed)).silent_since is not None
    with pytest.raises(Fenced):
        plane.database.write_now(lambda tx: service.renew(tx, ONE, placed, Renew(lease=lease + 1), plane.now))
    plane.database.write_now(lambda tx: service.renew(tx, ONE, placed, Renew(lease=lease), plane.now))
    assert patch.rendered(plane.row(placed)).silent_since is None
    assert plane.told(service.TOPIC) == [("lease_lapsed", placed), ("lease_renewed", placed)]
    noted = plane.database.read_now(lambda tx: audit.after(tx, audit.Filter(None, object=placed), 0))
    assert [row.action for row in noted] == ["patch.create", "lease.lapsed", "lease.renewed"]


@pytest.mark.rows("F1")
def test_what_is_remarked_while_it_runs_is_the_reason_until_it_is_taken_back(plane: Plane) -> None:
    placed = plane.place()
    lease = plane.begins(placed, "mine")
    reasons = []
    for remark in ("It is silent.", "It is silent.", ""):
        said = Renew(lease=lease, remark=remark)
        plane.database.write_now(lambda tx, said=said: service.renew(tx, ONE, placed, said, plane.now))
        reasons.append(plane.row(placed).reason)
    assert reasons == ["It is silent.", "It is silent.", ""]
    assert plane.told(service.TOPIC) == [("remark", placed), ("remark", placed)]


def test_a_cancelled_run_keeps_its_target_until_it_is_known_to_be_over(plane: Plane) -> None:
    placed, other = plane.place(), plane.place()
    lease = plane.begins(placed, "mine")
    plane.database.write_now(
        lambda tx: operations.cancel(tx, store.find(tx, placed) or order(plane.now), "x", plane.now)
    )
    assert isinstance(plane.ask(other, "b"), TargetBusy)
    answer = plane.database.write_now(lambda tx: service.renew(tx, ONE, placed, Renew(lease=lease), plane.now))
    assert (answer.status, answer.proceed) == ("cancelled", False)
    said = plane.ask(placed, "mine")
    assert isinstance(said, AckAnswer)
    assert not said.proceed
    plane.begins(other, "b")
    assert isinstance(plane.ask(plane.place(), "c"), TargetBusy)
    plane.now += timedelta(seconds=60) + service.REPORT_GRACE + timedelta(seconds=1)
    assert other in [one.id for one in plane.database.write_now(lambda tx: operations.sweep(tx, plane.now))]


def test_a_person_releases_the_target_of_a_run_whose_agent_is_lost(plane: Plane) -> None:
    placed, other = plane.place(), plane.place()
    plane.begins(placed, "mine")
    assert isinstance(plane.ask(other, "b"), TargetBusy)
    assert plane.row(other).reason == f"It waits: {placed} comes first on lxc:100."

    def release(tx: Tx, who: Person = OPERATOR) -> Operation:
        return patch.release(tx, who, placed, plane.now)

    with pytest.raises(Conflict, match="cancel it before"):
        plane.database.write_now(release)
    plane.database.write_now(lambda tx: patch.withdraw(tx, OPERATOR, placed, plane.now))
    assert patch.rendered(plane.row(placed)).holds_until is not None
    for stranger, error in ((VIEWER, Forbidden), (FOREIGNER, NotFound)):
        with pytest.raises(error):
            plane.database.write_now(lambda tx, who=stranger: release(tx, who))
    told = len(plane.told("patch_operations"))
    assert [patch.rendered(plane.database.write_now(release)).holds_until for _ in range(2)] == [None, None]
    assert plane.told("patch_operations")[told:] == [("create", other)]
    noted = plane.database.read_now(lambda tx: audit.after(tx, audit.Filter(None, action="patch.release"), 0))
    assert [row.object for row in noted] == [placed]
    plane.begins(other, "b")
    assert plane.row(other).reason == ""
    said = plane.ask(placed, "mine")
    assert isinstance(said, AckAnswer)
    assert not said.proceed
    assert plane.ends(placed, claim="mine").status == "completed"
    assert isinstance(plane.ask(plane.place(), "c"), TargetBusy)


def test_one_target_has_one_run_across_a_cluster(database: Database, now: datetime) -> None:
    """Also on PostgreSQL: the comparison of targets is its own SQL."""
    plane = filled(database, now)
    first, second, host, far = (
        plane.place(),
        plane.place(TWO),
        plane.place(ONE, "host"),
        plane.place(FAR),
    )
    others_host = plane.place(TWO, "host")
    lease = plane.begins(first, "a")
    assert isinstance(plane.ask(second, "b", TWO), TargetBusy)
    plane.begins(host, "c")
    plane.begins(others_host, "d", TWO)
    plane.begins(far, "e", FAR)
    third = plane.place(ONE)
    assert isinstance(plane.ask(third, "f"), TargetBusy)
    plane.ends(first, lease=lease)
    assert plane.told("patch_operations")[-2:] == [("create", second), ("create", third)]
    assert isinstance(plane.ask(third, "f"), TargetBusy), "the older one comes first"
    plane.begins(second, "b", TWO)
    plane.ends(second, TWO, claim="b")
    plane.begins(third, "f")


def test_who_does_not_ask_any_more_loses_its_place(plane: Plane) -> None:
    running, silent, patient = plane.place(), plane.place(TWO), plane.place()
    lease = plane.begins(running, "a")
    assert isinstance(plane.ask(silent, "b", TWO), TargetBusy)
    plane.ends(running, lease=lease)
    assert isinstance(plane.ask(patient, "c"), TargetBusy)
    plane.now += timedelta(seconds=service.PLACE)
    plane.begins(patient, "c")
