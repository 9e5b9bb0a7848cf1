"""What was begun and forgotten stays known."""

from pathlib import Path

import pytest

from nanny_ops.errors import MachineError
from nanny_ops.helper.ledger import Ledger


def test_a_job_is_remembered_across_processes(tmp_path: Path) -> None:
    path = tmp_path / "begun"
    assert "a" not in Ledger(path)
    Ledger(path).add("a")
    Ledger(path).add("a")
    assert "a" in Ledger(path)
    assert "b" not in Ledger(path)
    assert path.read_text() == "a\n"


def test_the_oldest_go(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "begun", cap=2)
    for name in ("a", "b", "c"):
        ledger.add(name)
    assert [name in ledger for name in ("a", "b", "c")] == [False, True, True]


def test_a_ledger_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "begun").write_bytes(b"\xff")
    with pytest.raises(MachineError, match="cannot be read"):
        assert "a" in Ledger(tmp_path / "begun")
    with pytest.raises(MachineError, match="cannot be written"):
        Ledger(tmp_path / "none" / "begun").add("a")
