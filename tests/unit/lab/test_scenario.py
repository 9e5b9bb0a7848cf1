"""Which scenarios are played, how Molecule is told, and the table in the end."""

import os
from pathlib import Path

import pytest

from nanny_ops.errors import SettingsError
from nanny_ops.lab import scenario
from nanny_ops.lab.yard_keeper import OWNER


def test_scenarios_are_directories_with_a_plan(tmp_path: Path) -> None:
    for name in ("b", "a", "shared"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        (tmp_path / name / "molecule.yml").touch()
    assert scenario.names(tmp_path) == ["a", "b"]
    assert scenario.chosen([], ["a", "b"]) == ["a", "b"]
    assert scenario.chosen(["b"], ["a", "b"]) == ["b"]
    with pytest.raises(SettingsError, match="no scenario 'c'; there is: a, b"):
        scenario.chosen(["c"], ["a", "b"])


def test_all_are_played_and_told_also_after_a_failure() -> None:
    times = iter([0.0, 12.34, 20.0, 21.0])
    played = scenario.play(["a", "b"], {"a": 2, "b": 0}.__getitem__, lambda: next(times))
    assert [str(one).split() for one in played] == [["a", "FAILED", "(2)", "12.3", "s"], ["b", "passed", "1.0", "s"]]


def test_machines_end_with_a_test_and_outlive_a_converge() -> None:
    assert scenario.environment({}, "test")[OWNER] == str(os.getpid())
    assert OWNER not in scenario.environment({}, "converge")
    assert OWNER not in scenario.environment({}, "test", ["--destroy", "never"])


def test_an_unknown_scenario_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert scenario.main(["nowhere"]) == 2
    assert "There is no scenario 'nowhere'" in capsys.readouterr().err
