"""Batches: placed together, seen together, cancelled together, and of nobody else's team."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from nanny_ops.control.services import event as events
from nanny_ops.control.services import patch_batch as service
from nanny_ops.control.services.principal import Person
from nanny_ops.control.store import operation as operations
from nanny_ops.control.store.database import Database
from nanny_ops.errors import Conflict, Forbidden, NotFound, ValidationFailed
from nanny_ops.protocol.patch import PatchTerms
from nanny_ops.protocol.patch_batch import BatchRequest, PatchBatch, Select
from nanny_ops.protocol.patch_order import Hook
from tests.unit.control.services import batch_site
from tests.unit.control.services.batch_site import PERSON, TEAM

ASKED = BatchRequest(order=PatchTerms(mode="dry-run", security_only=True), select=Select(tags=["web", "db"]))

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def site(database: Database, now: datetime) -> Database:
    batch_site.build(database, now)
    return database


def place(
    site: Database, now: datetime, request: BatchRequest = ASKED, key: str = "", person: Person = PERSON
) -> tuple[PatchBatch, bool]:
    return site.write_now(lambda tx: service.place(tx, person, request, key, now))


def test_each_target_gets_an_order_and_the_others_a_reason(site: Database, now: datetime) -> None:
    batch, new = place(site, now)
    assert (new, batch.state, batch.placed, batch.left_out, batch.summary) == (True, "open", 2, 1, {"pending": 2})
    assert [(one.target, one.name, one.agent_id) for one in batch.targets] == [
        ("lxc:100", "web1", "a1"), ("lxc:101", "web2", "a2"),
    ]  # fmt: skip
    assert [(one.target, one.why) for one in batch.skipped] == [("lxc:102", "stopped")]
    order = site.read_now(lambda tx: operations.get(tx, batch.targets[0].operation_id, "patch", [TEAM]))
    assert order is not None
    assert (order.batch_id, order.request["security_only"]) == (batch.id, True)


def test_a_preview_places_nothing(site: Database, now: datetime) -> None:
    batch, _ = place(site, now, replace(ASKED, dry=True))
    assert (batch.dry, batch.state, batch.id, len(batch.targets)) == (True, "preview", "", 2)
    assert site.read_now(lambda tx: operations.page(tx, "patch", [TEAM], 9, 0))[1] == 0
    assert site.read_now(lambda tx: service.page(tx, PERSON, 9, 0)) == ([], 0)


def test_what_is_wrong_for_one_target_leaves_that_one_out(site: Database, now: datetime) -> None:
    batch, _ = place(site, now, replace(ASKED, select=Select(), all=True))
    assert {one.target: one.why for one in batch.skipped if one.why in {"refused", "no_script"}} == {
        "qemu:106": "refused", "lxc:108": "no_script",
    }  # fmt: skip
    wide = BatchRequest(order=PatchTerms(mode="apply", protect="require-snapshot"), select=Select(vmids=[100]))
    refused, _ = place(site, now, wide)
    assert (refused.placed, refused.state, refused.skipped[0].why) == (0, "ended", "refused")
    assert "cannot do this" in refused.skipped[0].reason


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (replace(ASKED, select=Select()), ValidationFailed),
        (replace(ASKED, order=replace(ASKED.order, exclude=["-y"])), ValidationFailed),
        (replace(ASKED, order=replace(ASKED.order, expires_at="soon")), ValidationFailed),
        (replace(ASKED, order=replace(ASKED.order, hooks=[Hook(stage="pre", script_id="none")])), NotFound),
        (replace(ASKED, team_id="team-9"), NotFound),
    ],
)
def test_what_is_wrong_for_all_is_refused_whole(
    site: Database, now: datetime, request_: BatchRequest, error: type[Exception]
) -> None:
    with pytest.raises(error):
        place(site, now, request_)


def test_a_repeated_request_places_nothing_twice(site: Database, now: datetime) -> None:
    first, new = place(site, now, key="k")
    again, newer = place(site, now, key="k")
    assert (first, new, newer) == (again, True, False)
    with pytest.raises(Conflict):
        place(site, now, replace(ASKED, all=True), key="k")


def test_a_cancelled_batch_takes_back_what_is_open(site: Database, now: datetime) -> None:
    batch, _ = place(site, now)
    cancelled, ended = site.write_now(lambda tx: service.withdraw(tx, PERSON, batch.id, now))
    assert (cancelled.state, cancelled.summary, len(ended)) == ("ended", {"cancelled": 2}, 2)
    again, none = site.write_now(lambda tx: service.withdraw(tx, PERSON, batch.id, now))
    assert (again, none) == (cancelled, [])
    told, _ = site.read_now(lambda tx: events.page(tx, PERSON, 9, 0, "batch", "", 0))
    assert [(one["kind"], one["object"]) for one in told] == [
        ("batch.cancelled", f"batch/{batch.id}"),
        ("batch.placed", f"batch/{batch.id}"),
    ]
    assert told[1]["detail"] == {"placed": 2, "left_out": batch.left_out, "mode": batch.order.mode}


def test_others_see_no_batch_and_viewers_cancel_none(site: Database, now: datetime) -> None:
    batch, _ = place(site, now)
    viewer = Person("user-2", "v@example.com", "v", False, {TEAM: "viewer"})
    stranger: Any = Person("user-3", "s@example.com", "s", False, {})
    with pytest.raises(Forbidden):
        site.write_now(lambda tx: service.withdraw(tx, viewer, batch.id, now))
    with pytest.raises(Forbidden):
        place(site, now, person=viewer)
    with pytest.raises(NotFound):
        site.read_now(lambda tx: service.visible(tx, stranger, batch.id))
    listed, total = site.read_now(lambda tx: service.page(tx, viewer, 9, 0))
    assert (total, listed[0].summary, listed[0].targets) == (1, {"pending": 2}, [])
