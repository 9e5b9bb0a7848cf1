"""Every verb of the helper has a part that does it."""

from typing import Any, get_args

import pytest

from nanny_ops.errors import VerbRefused
from nanny_ops.helper.catalogue import Catalogue
from nanny_ops.machine.prune_verbs import ForgetPrune, LookPrune, PruneOrder, StartPrune
from nanny_ops.machine.verbs import (
    CancelJob,
    DescribeHelper,
    DescribeTracing,
    ForgetJob,
    ForgetReboot,
    HelperVerb,
    LearnKeys,
    LookJob,
    LookReboot,
    RebootOrder,
    RunCommand,
    ScriptJob,
    StartReboot,
    StartScript,
)

JOB = ScriptJob(job_id="a", vmid=None, script=b"", sha256="", argv=[], timeout_seconds=1, dry_run=True, output_cap=1)
VERBS = [
    StartScript(job=JOB),
    *(kind(job_id="a") for kind in (LookJob, CancelJob, ForgetJob)),
    StartReboot(order=RebootOrder(reboot_id="r", kind="host", vmid=None, reason="", timeout_seconds=60)),
    LookReboot(reboot_id="r"),
    ForgetReboot(reboot_id="r"),
    StartPrune(order=PruneOrder(prune_id="p", kind="lxc", vmid=100, snapshots=[], timeout_seconds=60)),
    LookPrune(prune_id="p"),
    ForgetPrune(prune_id="p"),
    DescribeHelper(),
    LearnKeys(keys=[]),
    RunCommand(name="df"),
    DescribeTracing(),
]


class Part:
    """Stands for a part of the helper and says which of its methods was asked."""

    def __init__(self, forbids: bool = False) -> None:
        self.asked: list[str] = []
        self.forbids = forbids

    def __getattr__(self, name: str) -> Any:
        def ask(*_values: Any) -> str:
            self.asked.append(name)
            if self.forbids:
                raise VerbRefused("No.")
            return name

        return ask


def test_no_verb_is_forgotten() -> None:
    assert {type(verb) for verb in VERBS} == set(get_args(HelperVerb))
    judge, deeds, reboots, prunes = Part(), Part(), Part(), Part()
    catalogue = Catalogue(judge, deeds, reboots, prunes)  # type: ignore[arg-type]
    assert all(catalogue.do(verb) is not None for verb in VERBS)
    assert (deeds.asked, reboots.asked, prunes.asked) == (["do"] * 4, ["do"] * 3, ["do"] * 3)
    assert judge.asked == ["describe", "learn", "permit_command"]


def test_a_command_that_is_not_permitted_is_not_run() -> None:
    with pytest.raises(VerbRefused):
        Catalogue(Part(forbids=True), Part(), Part(), Part()).do(RunCommand(name="df"))  # type: ignore[arg-type]
