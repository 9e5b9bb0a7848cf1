"""Pools."""

import pytest

from nanny_ops.lab.pve.state.pool import Pool
from tests.unit.lab.pve.pretended import POWERLESS, Asking, asking


@pytest.fixture
def asked() -> Asking:
    made = asking()
    made.api.cluster.pools["production"] = Pool("production", vmids={101, 103}, storages={"local"})
    return made


@pytest.mark.rows("PVE-13")
def test_both_forms_tell_the_same(asked: Asking) -> None:
    old, new = asked.get("/pools/production"), asked.get("/pools?poolid=production")
    assert {row["id"] for row in old["members"]} == {row["id"] for row in new[0]["members"]}
    assert {row["type"] for row in old["members"]} == {"lxc", "storage"}


def test_a_pool_sums_up_what_runs_in_it(asked: Asking) -> None:
    row = next(row for row in asked.get("/cluster/resources") if row["type"] == "pool")
    assert row["maxmem"] == asked.api.cluster.guests[101].memory << 20


@pytest.mark.rows("PVE-15")
def test_who_may_see_no_pool_is_told_of_none(asked: Asking) -> None:
    assert asked.get("/pools", POWERLESS) == []
    assert asked.refusal("GET", "/pools?poolid=production", POWERLESS)[0] == 403
    assert asked.refusal("GET", "/pools/nosuch") == (500, "pool 'nosuch' does not exist")
