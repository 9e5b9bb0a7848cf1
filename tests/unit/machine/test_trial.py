"""A version on trial: its starts are counted by a starter without Python, and after three it is given back."""

import subprocess
from pathlib import Path

import pytest

from nanny_ops.machine import trial
from nanny_ops.machine.update_verbs import SwitchUpdate, UpdatePhase
from nanny_ops.machine.versions import Versions
from tests.fakes.versions import make_prefix, make_version

ORDER = SwitchUpdate(order_id="update-1", claim="c", sha256="0" * 64)


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    made = make_prefix(tmp_path / "prefix")
    make_version(made.prefix, "2.0")
    trial.equip(made)
    trial.begin(made, ORDER, "2.0")
    made.switch("2.0")
    return made


def start(versions: Versions, *words: str) -> str:
    """Start as systemd or the agent does; return which version was started, where words are given."""
    argv = [str(versions.prefix / trial.START), *words]
    subprocess.run(argv, check=True, timeout=20, capture_output=True)
    return (versions.prefix / "started").read_text().splitlines()[-1] if words else ""


@pytest.mark.rows("F7")
def test_after_three_starts_without_a_word_the_version_before_is_back(versions: Versions) -> None:
    assert [start(versions, "run", "--x") for _ in range(5)] == ["2.0 run --x"] * 3 + ["1.0 run --x"] * 2
    state = trial.look(versions)
    assert (state.phase, state.current, state.order_id) == (UpdatePhase.RETURNED, "1.0", "update-1")
    assert "3 times" in state.reason


@pytest.mark.rows("F7")
def test_a_confirmed_version_stays_however_often_it_is_started(versions: Versions) -> None:
    start(versions)
    trial.confirm(versions)
    assert {start(versions, "run") for _ in range(5)} == {"2.0 run"}
    trial.end(versions)
    assert {start(versions, "run") for _ in range(2)} == {"2.0 run"}
    assert trial.look(versions).phase is UpdatePhase.NONE


def test_a_switch_that_was_cut_before_its_rename_still_starts_what_is_there(versions: Versions) -> None:
    versions.switch("1.0")
    assert start(versions, "run") == "1.0 run"
    assert trial.look(versions).phase is UpdatePhase.TRIAL


@pytest.mark.parametrize("text", ["", "x", "3; rm"])
def test_a_count_that_cannot_be_read_gives_the_version_back(versions: Versions, text: str) -> None:
    (versions.prefix / "trial/boots").write_text(text)
    assert start(versions, "run") == "1.0 run"


def test_without_a_version_to_go_back_to_the_new_one_is_started(versions: Versions) -> None:
    (versions.prefix / "trial/from").write_text("gone\n")
    assert {start(versions, "run") for _ in range(5)} == {"2.0 run"}


def test_releases_that_failed_are_remembered_some_of_them(versions: Versions) -> None:
    for number in range(trial.MOST_FAILED + 3):
        trial.remember(versions, f"{number}")
        trial.remember(versions, f"{number}")
    assert trial.failed(versions) == [str(number) for number in range(3, trial.MOST_FAILED + 3)]
    trial.forgive(versions, "5")
    assert "5" not in trial.failed(versions)
