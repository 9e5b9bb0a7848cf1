"""Which stretch of time is looked at; what is found in it is in test_rollup.py."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from nanny_ops.control.services import history
from nanny_ops.control.store.proxmox import Guest
from nanny_ops.errors import ValidationFailed
from nanny_ops.protocol.clock import micros, stamp


def guest(created_at: int) -> Guest:
    values: dict[str, Any] = dict.fromkeys(("id", "team_id", "scope", "name", "node", "status", "ostype", "tags"), "x")
    return Guest(
        **values, cluster_pk=None, vmid=101, kind="lxc", body={}, reported_by="a", created_at=created_at, updated_at=0
    )


def test_each_resolution_looks_back_as_far_as_is_usual(now: datetime) -> None:
    for resolution, length in history.USUAL.items():
        found = history.asked(guest(0), resolution, None, None, now)  # type: ignore[arg-type]
        assert (found.until - found.since, found.key) == (length, "lxc/101")


def test_nothing_before_the_guest_was_there(now: datetime) -> None:
    born = micros(now - timedelta(hours=1))
    assert history.asked(guest(born), "1d", None, None, now).since == born - history.SLOT


def test_no_future(now: datetime) -> None:
    later = stamp(now + timedelta(days=2))
    assert history.asked(guest(0), "raw", None, later, now).until == micros(now)
    with pytest.raises(ValidationFailed, match="since"):
        history.asked(guest(0), "raw", later, None, now)
