"""Sentences of Proxmox VE and the errors they mean."""

import pytest

from nanny_ops import errors
from nanny_ops.machine.proxmox.refusal import meaning
from tests.unit.machine.proxmox.recorded import changes


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("post_lxc_start--already_running", errors.GuestRunning),
        ("post_lxc_start--locked", errors.GuestLocked),
        ("post_lxc_stop--not_running", errors.GuestStopped),
        ("post_lxc_reboot--not_running", errors.GuestStopped),
        ("post_lxc_snapshot--dir_not_available", errors.SnapshotImpossible),
        ("post_lxc_rollback--nonexistent", errors.GuestLocked),
        ("delete_lxc_snapshot--ok", errors.GuestLocked),
        ("noquorum_post_start_103", errors.NoQuorum),
        ("noquorum_post_snapshot_106", errors.NoQuorum),
        ("post_qemu_agent_exec--not_running", errors.GuestStopped),
        ("post_qemu_agent_exec--no_agent", errors.GuestAgentOff),
        ("get_qemu_agent_exec_status--bad_pid", errors.GuestProgramLost),
    ],
)
def test_recorded_refusals_have_names(name: str, error: type[errors.ProxmoxError]) -> None:
    entry = changes()[name]
    text = entry["final"]["exitstatus"] if "final" in entry else entry["reason"]
    found = meaning(text, "It")
    assert type(found) is error
    assert found.message.startswith("It: ")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("QEMU guest agent is not running", errors.GuestAgentSilent),
        ("VM 203 qmp command 'guest-ping' failed - got timeout", errors.GuestAgentSilent),
        ("Agent error: Command guest-exec has been disabled", errors.GuestAgentForbids),
        ("cfs-lock 'file-user_cfg' error: no quorum!", errors.NoQuorum),
    ],
)
def test_other_refusals_have_names(text: str, error: type[errors.ProxmoxError]) -> None:
    assert type(meaning(text, "It")) is error


def test_the_lock_is_named() -> None:
    found = meaning("CT is locked (snapshot-delete)", "Guest 103")
    assert found is not None
    assert (found.message, found.details["lock"]) == (
        "Guest 103: the guest is locked (snapshot-delete).",
        "snapshot-delete",
    )


def test_an_unknown_sentence_has_no_name() -> None:
    assert meaning("you can't start a CT if it's a template", "It") is None
