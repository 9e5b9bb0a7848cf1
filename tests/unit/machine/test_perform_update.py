"""The verbs about versions, each asked twice; and a process killed after any step goes on from there."""

from functools import partial
from pathlib import Path

import pytest

from nanny_ops.errors import MachineError, VerbRefused
from nanny_ops.machine import staging, trial
from nanny_ops.machine.perform_update import perform_update
from nanny_ops.machine.update_verbs import (
    ConfirmUpdate,
    EndUpdate,
    LookUpdate,
    StageUpdate,
    SwitchUpdate,
    UpdatePhase,
    UpdateState,
    UpdateVerb,
)
from nanny_ops.machine.versions import NO_VERSIONS, Versions
from tests.fakes.versions import FakeRun, make_prefix, release


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return make_prefix(tmp_path / "prefix")


def do(verb: UpdateVerb, versions: Versions, owner: str = "") -> UpdateState:
    stage = partial(staging.stage, run=FakeRun(versions.prefix), processes=Path("/nonexistent"))
    return perform_update(verb, find=lambda: versions, owner=lambda: owner, stage=stage)


@pytest.mark.rows("F7")
def test_an_update_from_the_first_look_to_the_last(tmp_path: Path, versions: Versions) -> None:
    order = release(tmp_path, "2.0")
    switch = SwitchUpdate(order_id="update-1", claim="c", sha256=order.sha256)
    trial.remember(versions, order.sha256)
    assert do(LookUpdate(), versions).phase is UpdatePhase.NONE
    with pytest.raises(MachineError):
        do(switch, versions)
    for _ in range(2):
        staged = do(order, versions)
        assert (staged.phase, staged.current) == (UpdatePhase.NONE, "1.0")
    for _ in range(2):
        tried = do(switch, versions)
        assert (tried.phase, tried.claim, tried.current) == (UpdatePhase.TRIAL, "c", tried.target)
    with pytest.raises(MachineError):
        do(release(tmp_path, "3.0", order_id="update-2"), versions)
    with pytest.raises(MachineError, match="on trial"):
        do(SwitchUpdate(order_id="update-2", claim="c", sha256=order.sha256), versions)
    for early in (ConfirmUpdate(order_id="another"), EndUpdate(order_id="update-1")):
        assert do(early, versions).phase is UpdatePhase.TRIAL
    for _ in range(2):
        confirmed = do(ConfirmUpdate(order_id="update-1"), versions)
        assert (confirmed.phase, confirmed.failed) == (UpdatePhase.CONFIRMED, [])
    for _ in range(2):
        assert do(EndUpdate(order_id="update-1"), versions).phase is UpdatePhase.NONE


def test_no_version_makes_room_while_another_is_switched_to(tmp_path: Path, versions: Versions) -> None:
    order = release(tmp_path, "2.0")
    do(order, versions)
    switch = SwitchUpdate(order_id="update-1", claim="c", sha256=order.sha256)
    with staging.alone(versions), pytest.raises(MachineError, match="being made ready"):
        do(switch, versions)
    assert do(LookUpdate(), versions).phase is UpdatePhase.NONE

    def late(stage: StageUpdate, where: Versions) -> str:
        do(switch, where)  # in the moment before the other one begins
        return staging.stage(stage, where, run=FakeRun(where.prefix), processes=Path("/nonexistent"))

    with pytest.raises(MachineError, match="on trial"):
        perform_update(
            release(tmp_path, "3.0", order_id="update-2"), find=lambda: versions, owner=lambda: "", stage=late
        )
    assert versions.home("1.0").is_dir()


def test_a_package_managers_installation_is_left_alone(tmp_path: Path, versions: Versions) -> None:
    for verb in (release(tmp_path, "2.0"), ConfirmUpdate(order_id="x"), EndUpdate(order_id="x")):
        with pytest.raises(VerbRefused, match="apt install"):
            do(verb, versions, "apt install --only-upgrade nanny-agent")
    state = perform_update(LookUpdate(), find=lambda: None, owner=lambda: NO_VERSIONS)
    assert state.owner == NO_VERSIONS


def test_a_version_that_was_given_back_tells_so_until_it_is_told(tmp_path: Path, versions: Versions) -> None:
    order = release(tmp_path, "2.0")
    do(order, versions)
    do(SwitchUpdate(order_id="update-1", claim="c", sha256=order.sha256), versions)
    trial.give_back(versions, "It did not come up.")
    state = do(LookUpdate(), versions)
    assert (state.phase, state.current, state.reason) == (UpdatePhase.RETURNED, "1.0", "It did not come up.")
    assert do(EndUpdate(order_id="update-1", failed=order.sha256), versions).failed == [order.sha256]
