"""ansible-runner: run a playbook, hand each event to the caller. The one file that imports it."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nanny_ops.control.playbooks import pass_on
from nanny_ops.control.playbooks.catalogue import shipped_collections
from nanny_ops.control.playbooks.descent import MARK
from nanny_ops.control.playbooks.folder import Ending, Folder, Order
from nanny_ops.control.playbooks.happening import Account
from nanny_ops.protocol.playbook_run import RunOutcome

#: Seconds between two looks at whether the run is to end.
TICK = 1
#: What ansible-runner reads from its folder: it writes no output of its own, since that would hold secrets.
SETTINGS = {"suppress_output_file": True, "suppress_ansible_output": True, "pexpect_timeout": TICK}
#: Variables of the control plane's environment that Ansible needs; no other, and so no secret, is handed on.
INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SSH_AUTH_SOCK", "TMPDIR", "TZ", "USER")

#: Where Ansible looks for collections unless it is told otherwise.
COLLECTIONS = ("~/.ansible/collections", "/usr/share/ansible/collections")


def environment(order: Order, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a run: what Ansible needs, its settings, and paths instead of secrets."""
    kept = {name: inherited[name] for name in INHERITED if name in inherited}
    kept["PATH"] = f"{Path(sys.executable).parent}:{kept.get('PATH', '/usr/bin:/bin')}"
    kept.setdefault("LANG", "C.UTF-8")
    kept |= {
        MARK: order.run_id,
        "ANSIBLE_INVENTORY_ENABLED": "ansible.builtin.yaml",
        "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner switches it off otherwise
        "ANSIBLE_NOCOLOR": "1",
        # Else what a host tells of itself goes before what inventory and roles say, such as where a token is sent.
        "ANSIBLE_INJECT_FACT_VARS": "False",
    }
    named = {
        "ANSIBLE_PRIVATE_KEY_FILE": order.ssh_key_file,
        "ANSIBLE_VAULT_PASSWORD_FILE": order.vault_password_file,
        "ANSIBLE_REMOTE_USER": order.remote_user,
        "NANNY_OPS_URL": order.url,
        "NANNY_OPS_CA_FILE": order.ca_file,
    }
    if order.known_hosts_file or order.host_keys_file:
        files = (order.known_hosts_file or "~/.ssh/known_hosts", order.host_keys_file)
        quoted = " ".join(f'"{path}"' for path in files if path)
        named["ANSIBLE_SSH_COMMON_ARGS"] = f"-o 'UserKnownHostsFile={quoted}'"
    if order.ansible_home:  # a service's user may have no home that can be written
        named["ANSIBLE_HOME"] = order.ansible_home
        named["ANSIBLE_COLLECTIONS_PATH"] = ":".join([*map(str, shipped_collections()), *COLLECTIONS])
    return kept | {name: value for name, value in named.items() if value}


def run(
    folder: Folder,
    order: Order,
    account: Account,
    cancelled: Callable[[], bool],
    printed: Callable[[str], None],
    finish: Callable[[], object],
) -> Ending:
    """Run to the end; ``account`` gets each event, ``printed`` what Ansible prints with it.

    ``finish`` kills what is left, before ansible-runner waits for the end of their output.
    """
    import ansible_runner  # a control plane that runs no playbooks has it not

    stopped: list[bool] = []

    def handle(event: dict[str, Any]) -> bool:
        account.take(event)
        if event.get("stdout"):
            printed(event["stdout"])
        return False  # ansible-runner need not keep it

    def stop() -> bool:
        if cancelled():
            stopped.append(True)
            finish()
        return bool(stopped)

    playbook = Path(order.playbook)
    (folder.runner / "env" / "settings").write_text(json.dumps(SETTINGS))
    ended = ansible_runner.run(
        private_data_dir=str(folder.runner),
        project_dir=str(playbook.parent),
        binary=sys.executable,
        cmdline=shlex.join(["-P", "-m", pass_on.__name__, *(["--check"] if order.check else []), str(playbook)]),
        inventory=str(folder.runner / "inventory.json"),
        ident="run",
        forks=order.forks,
        quiet=True,
        fact_cache_type="memory",
        event_handler=handle,
        cancel_callback=stop,
    )
    return ending(account, ended.rc)


def ending(account: Account, exit_code: int | None) -> Ending:
    """Return what a run came to by its recap; without one Ansible itself failed."""
    hosts = account.hosts
    lost = sorted(host for host, stats in hosts.items() if stats["unreachable"])
    failed = sorted(host for host, stats in hosts.items() if stats["failures"])
    bad = {*lost, *failed}
    if not account.complete:
        outcome = RunOutcome.PLAY_FAILED
        reason = "Ansible ended before its recap: " + (" ".join(account.lines) or "it said nothing.")
    elif bad:
        whole = RunOutcome.UNREACHABLE if not failed else RunOutcome.PLAY_FAILED
        outcome = RunOutcome.PARTIAL if hosts.keys() - bad else whole
        words = [f"failed on {_listed(failed)}"] if failed else []
        words += [f"{_listed(lost)} could not be reached"] if lost else []
        reason = f"It {' and '.join(words)}." if failed else f"{words[0]}."
    elif not hosts:
        outcome, reason = RunOutcome.NOTHING_TO_DO, "No host matched."
    elif exit_code:
        outcome, reason = RunOutcome.PLAY_FAILED, f"Ansible ended with {exit_code}."
    else:
        outcome, reason = RunOutcome.OK, ""
    return Ending(outcome=outcome, reason=reason[:2000], exit_code=exit_code, hosts=hosts, left_out=account.left_out)


def _listed(names: list[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")
