"""A target is held by one order at a time, and a reboot of the host by itself."""

from pathlib import Path

import pytest

from nanny_ops.errors import VerbRefused
from nanny_ops.machine import target_lock
from nanny_ops.machine.target_lock import folder_of, for_job, for_reboot, holders


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_lock, "TRIES", 1)


def test_two_orders_do_not_share_a_target(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    with for_job(jobs, "one", 101), for_job(jobs, "two", 102), for_job(jobs, "three", None):
        assert holders(folder_of(jobs)) == {"101": "one", "102": "two", "host": "three"}
        with pytest.raises(VerbRefused, match="one is at work on guest 101") as found, for_job(jobs, "four", 101):
            pytest.fail("it was taken twice")
        assert found.value.details["outcome"] == "blocked"
        with pytest.raises(VerbRefused, match="two is at work on guest 102"), for_reboot(jobs, "four", 102):
            pytest.fail("it was taken twice")
        with pytest.raises(VerbRefused, match="one, three, two is at work on this machine"):
            for_reboot(jobs, "four", None).__enter__()
    assert holders(folder_of(jobs)) == {}


def test_nothing_begins_beside_a_reboot_of_the_host(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    with for_reboot(jobs, "down", None):
        for vmid in (None, 101):
            with pytest.raises(VerbRefused, match="down is at work on this machine"), for_job(jobs, "one", vmid):
                pytest.fail("it was begun")
    with for_job(jobs, "one", 101):
        assert holders(folder_of(jobs)) == {"101": "one"}
