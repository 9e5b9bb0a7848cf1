"""What a reported thing is called, and how its release is written."""

import pytest

from nanny_ops.cli.proxmox import GUESTS, _useful, pick
from nanny_ops.cli.unit import release
from nanny_ops.errors import Conflict, NotFound

KNOWN = [{"id": "guest-1", "name": "web"}, {"id": "guest-2", "name": "web"}]


def test_a_release_is_the_number_alone() -> None:
    told = [release(text) for text in ("pve-manager/8.4.21/2606ac850d46da29", "9.0", None)]
    assert told == ["8.4.21", "9.0", ""]


def test_who_cannot_be_found_is_told_where_to_look() -> None:
    assert pick(KNOWN, "guest-2", ("id", "name"), "guest") == KNOWN[1]
    with pytest.raises(Conflict, match="guest list --json"):
        pick(KNOWN, "web", ("id", "name"), "guest")
    with pytest.raises(NotFound, match="'nanny-ops guest list' shows all"):
        pick(KNOWN, "db", ("id", "name"), "guest")


def test_columns_in_which_nothing_stands_are_left_out() -> None:
    row = {"vmid": 101, "name": "web", "status": "running", "lock": "", "pool": None, "tags": []}
    assert list(_useful(GUESTS, [row])) == ["vmid", "name", "status"]
    assert list(_useful(GUESTS, [])) == list(GUESTS)
