"""What a token may see: the nearest path that is listed decides, and only what is handed on counts below it."""

import pytest

from nanny_ops.machine.proxmox.rights import Rights


@pytest.mark.parametrize(
    ("paths", "missing"),
    [
        ({"/": {"VM.Audit": 1}}, ""),
        ({"/": {"VM.Audit": 0}}, "VM.Audit"),
        ({"/": {"VM.Audit": 1}, "/vms": {}}, "VM.Audit"),
        ({"/vms": {"VM.Audit": 1}}, ""),
        ({"/vms/101": {"VM.Audit": 0}}, ""),
        ({"/vms": {"VM.Audit": 1}, "/vms/101": {"VM.Console": 1}}, "VM.Audit"),
        ({}, "VM.Audit"),
    ],
)
def test_one_guest(paths: dict[str, dict[str, int]], missing: str) -> None:
    assert Rights(paths).missing("/vms/101", "VM.Audit") == missing


def test_any_of_several_is_enough() -> None:
    rights = Rights({"/": {"Datastore.Audit": 1}})
    assert rights.missing("/", "Sys.Audit", "Datastore.Audit") == ""
    assert rights.missing("/", "Sys.Audit", "Sys.Modify") == "Sys.Audit|Sys.Modify"


def test_everything_below_a_path() -> None:
    assert Rights({"/": {"VM.Audit": 1}}).missing_below("/vms", "VM.Audit") == ""
    assert Rights({"/": {"VM.Audit": 1}, "/vms/9": {}}).missing_below("/vms", "VM.Audit") == "VM.Audit"
    assert Rights({"/vms/9": {"VM.Audit": 1}}).missing_below("/vms", "VM.Audit") == "VM.Audit"


def test_without_an_answer_nothing_is_held_against_a_token() -> None:
    assert Rights(None).missing("/", "Sys.Audit") == ""
    assert (Rights(None).known, Rights(None).none, Rights({}).none, Rights({"/": {}}).none) == (
        False,
        False,
        True,
        True,
    )
