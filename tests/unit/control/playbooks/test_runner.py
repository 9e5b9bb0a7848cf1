"""What Ansible is given, and what its recap means."""

from dataclasses import replace
from typing import Any

import pytest

from nanny_ops.control.playbooks import runner
from nanny_ops.control.playbooks.folder import Order
from nanny_ops.control.playbooks.happening import Account
from nanny_ops.protocol.playbook_run import RunOutcome

ORDER = Order(
    run_id="run-1", playbook="/x/facts.yml", check=True, timeout=60, memory=512, forks=2, ssh_key_file="/etc/key"
)


def test_no_secret_of_the_control_plane_is_handed_on() -> None:
    given = runner.environment(ORDER, {"NANNY_SECRET_KEY": "s", "NANNY_DATABASE_URL": "s", "HOME": "/root"})
    assert not [name for name, value in given.items() if value == "s"]
    assert given["HOME"] == "/root"
    assert given["ANSIBLE_PRIVATE_KEY_FILE"] == "/etc/key"
    assert given["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    assert given["ANSIBLE_INJECT_FACT_VARS"] == "False"
    assert "ANSIBLE_VAULT_PASSWORD_FILE" not in given
    assert "ANSIBLE_HOME" not in given


def test_ansible_needs_no_home_that_can_be_written() -> None:
    given = runner.environment(replace(ORDER, ansible_home="/data/playbooks/ansible"), {})
    assert given["ANSIBLE_HOME"] == "/data/playbooks/ansible"
    assert given["ANSIBLE_COLLECTIONS_PATH"].endswith("~/.ansible/collections:/usr/share/ansible/collections")


def account(complete: bool = True, **hosts: dict[str, int]) -> Account:
    """Make the account of a run with this recap."""
    none = dict.fromkeys(("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored"), 0)
    return Account(lambda _event: None, complete=complete, hosts={name: none | told for name, told in hosts.items()})


@pytest.mark.parametrize(
    ("told", "exit_code", "outcome", "reason"),
    [
        (account(a={"ok": 1}), 0, RunOutcome.OK, ""),
        (account(), 0, RunOutcome.NOTHING_TO_DO, "No host matched."),
        (account(a={"ok": 1}, b={"failures": 1}), 2, RunOutcome.PARTIAL, "It failed on b."),
        (account(a={"unreachable": 1}), 4, RunOutcome.UNREACHABLE, "a could not be reached."),
        (
            account(a={"unreachable": 1}, b={"failures": 1}),
            2,
            RunOutcome.PLAY_FAILED,
            "It failed on b and a could not be reached.",
        ),
        (account(complete=False), 1, RunOutcome.PLAY_FAILED, "Ansible ended before its recap: it said nothing."),
        (account(a={"ok": 1}), 250, RunOutcome.PLAY_FAILED, "Ansible ended with 250."),
    ],
)
def test_the_recap_decides(told: Account, exit_code: int, outcome: RunOutcome, reason: str) -> None:
    found: Any = runner.ending(told, exit_code)
    assert (found.outcome, found.reason, found.exit_code) == (outcome, reason, exit_code)
