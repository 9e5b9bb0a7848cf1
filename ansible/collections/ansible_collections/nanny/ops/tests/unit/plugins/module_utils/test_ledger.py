"""What is begun and done: taken by one at a time, resumed after a kill, never done twice."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.nanny.ops.plugins.module_utils.ledger import RUN, Ledger, LedgerError, owner_of, runs


@pytest.fixture
def ledger(tmp_path):
    """A ledger that is not there yet."""
    return Ledger(str(tmp_path / "deep" / "done"), "event-1")


@pytest.fixture
def me():
    """This process."""
    return owner_of(os.getpid())


def test_work_is_taken_once_and_done_once(ledger, me):
    assert (ledger.take(me), ledger.take(me)) == ("new", "mine")
    assert not ledger.is_done()
    assert (ledger.finish(), ledger.finish()) == (True, False)
    assert ledger.take(me) == "done"


def test_what_another_does_is_busy_until_it_is_gone(ledger, me):
    other = owner_of(os.getppid())
    assert ledger.take(other) == "new"
    assert ledger.take(me) == "busy"
    ledger._write({"state": "begun", "owner": {**other, "start": 1}})  # the number of a process that was
    assert ledger.take(me) == "resumed"


def test_nothing_of_another_boot_or_namespace_runs(me):
    assert runs(me)
    assert not runs({**me, "boot": "another"})
    assert not runs({**me, "namespace": "pid:[1]"})


def test_a_module_that_outlives_its_playbook_counts(me, tmp_path):
    run = str(tmp_path)
    left = subprocess.Popen([sys.executable, "-c", "input()"], env={RUN: run}, stdin=subprocess.PIPE)
    try:
        assert runs({**me, "start": 1, "run": run})
        assert not runs({**me, "start": 1, "run": run + "x"})
    finally:
        left.communicate()
    assert not runs({**me, "start": 1, "run": run})


def test_what_was_done_long_ago_is_forgotten(ledger, me):
    ledger.take(me)
    ledger.finish()
    ledger.forget(1)
    assert ledger.is_done()
    os.utime(ledger._path, (0, 0))
    ledger.forget(1)
    assert not ledger.is_done()
    ledger.take(me)
    os.utime(ledger._path, (0, 0))
    ledger.forget(1)
    assert ledger.take(me) == "mine"


@pytest.mark.parametrize("key", ["", "a/b", "..", "x" * 129, ".hidden"])
def test_a_key_is_the_name_of_a_file(key):
    with pytest.raises(LedgerError, match="cannot be a key"):
        Ledger("/nowhere", key)


def test_nobody_ends_what_nobody_began(ledger, tmp_path):
    with pytest.raises(LedgerError, match="nobody has begun"):
        ledger.finish()
    os.makedirs(str(tmp_path / "deep" / "done"))
    with pytest.raises(LedgerError, match="nobody has begun"):
        ledger.finish()
    (tmp_path / "deep" / "done" / "event-1.json").write_text("{")
    with pytest.raises(LedgerError, match="no file of this ledger"):
        ledger.is_done()
