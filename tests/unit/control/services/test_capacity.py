"""How many patches run at once: bounds hold, the oldest goes first, and nobody waits for ever."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nanny_ops.control.services import lease
from nanny_ops.control.services.capacity import LAST, Bounds
from nanny_ops.control.services.lease import PLACE
from nanny_ops.control.services.principal import HostAgent
from nanny_ops.control.store import inventory, storage
from nanny_ops.control.store import operation as rows
from nanny_ops.control.store import team as teams
from nanny_ops.control.store.database import Database, sqlite_url
from nanny_ops.control.store.storage import Storage
from nanny_ops.errors import Later
from nanny_ops.protocol.operation import Ack, AckAnswer
from tests.unit.control.services import batch_site
from tests.unit.control.services.test_lease import ONE, TWO, Plane, filled

BOUNDS = Bounds(node=2, storage=1, cluster=3)


@pytest.fixture
def plane(tmp_path: Path, empty_store: Path, now: datetime) -> Iterator[Plane]:
    shutil.copyfile(empty_store, tmp_path / empty_store.name)
    database = Database(sqlite_url(tmp_path))
    yield filled(database, now)
    database.close()


def ask(plane: Plane, operation_id: str, agent: HostAgent = ONE, bounds: Bounds = BOUNDS) -> AckAnswer | Later:
    ack = Ack(state="running", claim=f"claim-{operation_id}")
    reply = plane.database.write_now(lambda tx: lease.acknowledge(tx, agent, operation_id, ack, plane.now, bounds))
    said = reply.answer or reply.wait
    assert said is not None
    return said


def began(plane: Plane, operation_id: str, agent: HostAgent = ONE) -> bool:
    return isinstance(ask(plane, operation_id, agent), AckAnswer)


def claimed(plane: Plane, operation_id: str, agent: HostAgent = ONE) -> None:
    plane.ends(operation_id, agent, claim=f"claim-{operation_id}")


@pytest.mark.rows("R5")
def test_a_node_and_a_cluster_have_a_bound_and_the_oldest_goes_first(plane: Plane) -> None:
    first, second, third, fourth = (plane.place(target=f"lxc:{100 + number}") for number in range(4))
    assert [began(plane, one) for one in (first, second, fourth, third)] == [True, True, False, False]
    assert plane.row(third).reason == "It waits: 2 patches run on this node; 2 may run at once."
    elsewhere, last = (plane.place(TWO, f"lxc:{200 + number}") for number in range(2))
    claimed(plane, first)
    assert not began(plane, fourth), "the younger one takes no place that the older one asks for"
    assert began(plane, third)
    assert not began(plane, elsewhere, TWO), "three run in the cluster, or would"
    claimed(plane, second)
    claimed(plane, third)
    assert began(plane, fourth)
    assert began(plane, elsewhere, TWO)
    assert began(plane, last, TWO)


def test_who_is_told_to_wait_asks_again_before_it_loses_its_place(plane: Plane) -> None:
    assert LAST < PLACE
    for number in range(60):
        said = ask(plane, plane.place(target=f"lxc:{100 + number}"))
        if isinstance(said, Later):
            assert 0 < said.details["retry_after"] <= LAST


def test_an_older_one_that_waits_for_its_own_target_or_asks_no_more_stops_nobody(plane: Plane) -> None:
    first, same, other, late = (plane.place(target=target) for target in ("lxc:1", "lxc:1", "lxc:2", "lxc:3"))
    assert began(plane, first)
    assert not began(plane, same)
    assert began(plane, other), "the older one waits for its target, not for the node"
    assert not began(plane, late)
    youngest = plane.place(target="lxc:4")
    claimed(plane, other)
    plane.now += timedelta(seconds=PLACE + 1)
    assert began(plane, youngest), "the agent of the older one has not asked for long"


def test_who_makes_room_wakes_the_oldest_that_wait(plane: Plane) -> None:
    first, second, third = (plane.place(target=f"lxc:{number}") for number in (1, 2, 3))
    assert [began(plane, one) for one in (first, second, third)] == [True, True, False]
    told = len(plane.told("patch_operations"))
    claimed(plane, first)
    assert ("create", third) in plane.told("patch_operations")[told:]


def test_protected_guests_of_one_storage_have_a_bound_of_their_own(plane: Plane) -> None:
    at = 1
    disks = {1: "shared:vm-1-disk-0,size=8G", 2: "shared:vm-2-disk-0", 3: "local:vm-3-disk-0"}
    guests = [
        batch_site.guest(vmid, "ct", "one", at, scope="cluster-1", cluster_pk="cluster-1", reported_by=ONE.id,
                         body={"rootfs": disk, "mp0": "/srv,mp=/srv", "node": "one"})
        for vmid, disk in disks.items()
    ]  # fmt: skip
    seen = [_storage("shared", shared=True), _storage("local", shared=False)]
    plane.database.write_now(lambda tx: (inventory.add_guests(tx, guests), storage.put(tx, seen, [])))
    placed = {vmid: plane.place(target=f"lxc:{vmid}") for vmid in (1, 2, 3)}
    for one in placed.values():
        asked = {**plane.row(one).request, "protect": "require-snapshot"}
        plane.database.write_now(lambda tx, one=one, asked=asked: rows.change(tx, one, request=asked))
    wide = replace(BOUNDS, node=9, cluster=9)
    assert isinstance(ask(plane, placed[1], bounds=wide), AckAnswer)
    assert isinstance(ask(plane, placed[2], bounds=wide), Later)
    assert "storage shared" in plane.row(placed[2]).reason
    assert isinstance(ask(plane, placed[3], bounds=wide), AckAnswer)


def _storage(name: str, *, shared: bool) -> Storage:
    return Storage(
        name, teams.DEFAULT, "cluster-1", "cluster-1", "one", name, "zfspool", "available", shared, "rootdir", 0, 1,
        ONE.id, 0, 0,
    )  # fmt: skip
