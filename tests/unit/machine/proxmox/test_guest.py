"""From the API's words about guests to the wire's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanny_ops.machine.proxmox import guest


@pytest.mark.rows("PVE-31")
def test_the_pseudo_snapshot_is_none_and_the_oldest_comes_first() -> None:
    found = guest.snapshots(
        [
            {"name": "b", "snaptime": 20, "parent": "a"},
            {"name": "current", "running": 1},
            {"name": "a", "snaptime": "10"},
        ]
    )
    assert [(one["name"], one["at"], one["parent"]) for one in found] == [("a", 10, ""), ("b", 20, "a")]


def test_the_newest_backup_of_each_guest() -> None:
    entries = [
        {"volid": "s:1", "vmid": 101, "ctime": 10, "size": 5, "content": "backup"},
        {"volid": "s:2", "vmid": "101", "ctime": 30, "size": 6, "content": "backup"},
        {"volid": "s:3", "vmid": 101, "ctime": 20, "content": "backup"},
        {"volid": "s:iso", "content": "iso", "ctime": 99},
    ]
    assert guest.newest_backups(entries) == {101: {"last_at": 30, "last_volume": "s:2", "last_size": 6}}


def test_replication_by_guest() -> None:
    found = guest.replications(
        [{"id": "101-0", "guest": 101, "target": "pve2", "fail_count": 2, "error": "no route\n", "last_sync": 5}]
    )
    assert (found[101][0]["error"], found[101][0]["fail_count"], found[101][0]["disabled"]) == ("no route", 2, False)


def test_addresses_that_others_can_reach() -> None:
    texts = ("127.0.0.1", "::1", "fe80::1", "2001:db8::5", "192.0.2.5", "nonsense", "fd00::1%{{ 7 }}")
    ip = [{"ip-address": text} for text in texts]
    assert guest.addresses([{"name": "eth0", "ip-addresses": ip}, {"name": "lo"}]) == ["192.0.2.5", "2001:db8::5"]
    assert guest.addresses(None) == []


@pytest.mark.rows("PVE-11")
@pytest.mark.parametrize("text", ["web;prod", "prod,web", "web prod;web", ";prod;;web;"])
def test_tags_are_sorted_as_the_api_sorts_them(text: str) -> None:
    assert guest.tags(text) == "prod;web"


@settings(max_examples=50, deadline=None)
@given(st.none() | st.integers() | st.floats() | st.text(max_size=10))
def test_whatever_stands_for_a_number_is_a_number(value: object) -> None:
    assert guest.whole(value) >= 0
