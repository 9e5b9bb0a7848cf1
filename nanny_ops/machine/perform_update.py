"""Carry out the verbs about the agent's own versions: in a daemon that is root, or in the privileged helper."""

from collections.abc import Callable

from nanny_ops.errors import MachineError
from nanny_ops.machine import staging, trial
from nanny_ops.machine import versions as layout
from nanny_ops.machine.staging import refusal
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
from nanny_ops.machine.versions import Versions
from nanny_ops.protocol.operation import Outcome

Find = Callable[[], Versions | None]


def perform_update(
    verb: UpdateVerb,
    *,
    find: Find = layout.found,
    owner: Callable[[], str] = layout.owner,
    stage: Callable[[StageUpdate, Versions], str] = staging.stage,
) -> UpdateState:
    """Do what a verb asks and tell how the versions stand; blocks. Raises VerbRefused, MachineError."""
    versions = find()
    if isinstance(verb, LookUpdate):
        if versions is None:
            return UpdateState(owner=owner())
        return trial.look(versions)
    why = owner()
    if versions is None or why:
        raise refusal(why or layout.NO_VERSIONS, Outcome.REFUSED)
    try:
        _change(verb, versions, stage)
    except OSError as wrong:
        raise MachineError(f"The versions below {versions.prefix} cannot be changed: {wrong}") from wrong
    return trial.look(versions)


def _change(verb: UpdateVerb, versions: Versions, stage: Callable[[StageUpdate, Versions], str]) -> None:
    match verb:
        case StageUpdate():
            stage(verb, versions)
        case SwitchUpdate():
            with staging.alone(versions):  # else what is switched to might just make room for another release
                _switch(verb, versions)
        case ConfirmUpdate(order_id=order_id):
            state = trial.look(versions)
            if state.order_id == order_id and state.phase is UpdatePhase.TRIAL:
                trial.confirm(versions)
                trial.forgive(versions, state.sha256)
        case EndUpdate(order_id=order_id, failed=failed):
            if failed:
                trial.remember(versions, failed)
            state = trial.look(versions)  # one that still runs is ended by its outcome, and by nobody's word
            if state.order_id == order_id and state.phase is not UpdatePhase.TRIAL:
                trial.end(versions)


def _switch(verb: SwitchUpdate, versions: Versions) -> None:
    name = versions.installed().get(verb.sha256)
    if name is None:
        raise MachineError("The release to switch to is not installed.")
    state = trial.look(versions)
    if state.phase is UpdatePhase.TRIAL and (state.order_id, state.sha256) != (verb.order_id, verb.sha256):
        raise MachineError("A version is on trial; another one has to wait.")  # else there were no way back
    if state.phase is not UpdatePhase.TRIAL or state.order_id != verb.order_id:
        trial.equip(versions)
        trial.begin(versions, verb, name)
    versions.switch(name)
