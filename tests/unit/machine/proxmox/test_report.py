"""A report says of each part how well it is known."""

from nanny_ops.machine.proxmox.delta import Delta
from nanny_ops.machine.proxmox.ledger import Ledger
from nanny_ops.machine.proxmox.report import Report
from nanny_ops.machine.proxmox.rights import Rights
from nanny_ops.machine.proxmox.scope import scope

ROWS = [
    {"type": "lxc", "vmid": 101, "node": "n", "id": "lxc/101"},
    {"type": "qemu", "vmid": 200, "node": "m", "id": "qemu/200"},
]


def report(rows: list[dict[str, object]] | None) -> Report:
    return Report(scope("n", [], rows, wide=True, others=[]), rows, Ledger(), Delta(), 1000.0)


def test_without_the_list_nothing_is_said_of_which_guests_there_are() -> None:
    unknown = report(None)
    unknown.lists(Rights({"/": {"VM.Audit": 1, "Datastore.Audit": 1}}))
    assert "guests" not in unknown.values
    assert unknown.ledger.facts() == []


def test_the_list_is_that_of_the_own_node() -> None:
    known = report(ROWS)
    known.lists(Rights({"/": {"VM.Audit": 1, "Datastore.Audit": 1}}))
    assert known.values["guests"] == [101]


def test_without_an_answer_about_rights_a_list_is_not_called_complete() -> None:
    unsure = report(ROWS)
    unsure.lists(Rights(None))
    assert "guests" not in unsure.values


def test_tasks_without_a_privilege_are_only_our_own() -> None:
    mine = report(ROWS)
    mine.tasks("n", [{"upid": "x"}], "Sys.Audit")
    assert mine.values["tasks"] == [{"upid": "x"}]
    assert mine.ledger.facts()[0]["state"] == "forbidden"
