"""Attacks on the helper's other verbs, over its socket: what owner or catalogue forbid is refused, and logged."""

import asyncio
import os
from typing import Any

import pytest

from nanny_ops.agent.helper_socket import HelperSocket
from nanny_ops.errors import VerbRefused
from nanny_ops.machine.verbs import (
    DescribeHelper,
    ForgetReboot,
    LearnKeys,
    LookReboot,
    RebootOrder,
    RunCommand,
    StartReboot,
)
from nanny_ops.protocol.signature import SigningKey, key_id
from tests.integration.test_helper import Helper, folder, helper
from tests.job_contract import KEY, PUBLIC

__all__ = ["folder", "helper"]
HOST = RebootOrder(reboot_id="r", kind="host", vmid=None, reason="", timeout_seconds=60)
NOBODY = RebootOrder(reboot_id="r", kind="lxc", vmid=None, reason="", timeout_seconds=60)


@pytest.mark.parametrize(
    ("verb", "word"),
    [
        (StartReboot(order=HOST), "kind reboot"),
        (StartReboot(order=NOBODY), "numbers"),
        (LookReboot(reboot_id="../jobs"), "id has"),
        (ForgetReboot(reboot_id="/etc"), "id has"),
        (RunCommand(name="sh", arguments={"-c": "id"}), "no command"),
        (RunCommand(name="journal", arguments={"unit": "--file=/etc/shadow"}), "cannot be asked"),
        (RunCommand(name="pct-config", arguments={"vmid": "101;id"}), "cannot be asked"),
        (RunCommand(name="free"), "does not allow the command"),
        (LearnKeys(keys=[SigningKey(key_id="k", public_key=PUBLIC, origin="offline")] * 65), "65 keys"),
    ],
    ids=range(9),
)
def test_what_the_owner_or_the_catalogue_forbids_is_refused_and_logged(helper: Helper, verb: Any, word: str) -> None:
    helper.policy("commands = ['df']\n")
    with pytest.raises(VerbRefused, match=word):
        asyncio.run(HelperSocket(helper.path).do(verb))
    assert f"event=verb_refused pid={os.getpid()} uid={os.geteuid()} verb={type(verb).__name__}" in helper.log
    assert not (helper.folder / "state" / "reboots").exists()


def test_it_says_by_what_it_judges_and_looks_by_command(helper: Helper) -> None:
    async def ask() -> Any:
        asked = HelperSocket(helper.path)
        return await asked.do(DescribeHelper()), await asked.do(RunCommand(name="df"))

    facts, output = asyncio.run(ask())
    assert (facts.keys, facts.keys_from, facts.problem) == ([key_id(KEY.public_key().public_bytes_raw())], "file", "")
    assert (output.exit_code, "/" in output.stdout) == (0, True)
