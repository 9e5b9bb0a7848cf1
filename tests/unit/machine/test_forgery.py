"""Hooks are verified as the script is, just before anything begins."""

import hashlib
from dataclasses import replace

from nanny_ops.machine.forgery import forged
from nanny_ops.machine.job import seal
from nanny_ops.machine.plan import HookScript, Plan
from nanny_ops.machine.verbs import ScriptJob
from nanny_ops.protocol.operation import Outcome

BODY = b"#!/bin/sh\n"
SUM = hashlib.sha256(BODY).hexdigest()
HOOK = HookScript(stage="pre", script_id="h", script=BODY, sha256=SUM)


def order(*hooks: HookScript) -> ScriptJob:
    return ScriptJob(
        job_id="op-1",
        vmid=None,
        script=BODY,
        sha256=SUM,
        argv=[],
        timeout_seconds=1,
        dry_run=False,
        output_cap=1,
        plan=Plan(hooks=list(hooks)),
    )


def test_a_hook_that_was_swapped_or_is_not_signed_is_found() -> None:
    good = order(HOOK)
    assert forged(good, seal(good)) is None
    for bad, outcome in (
        (replace(HOOK, script=b"#!/bin/sh\nrm\n"), Outcome.CHECKSUM_MISMATCH),
        (replace(HOOK, threshold=1), Outcome.SIGNATURE_INVALID),
    ):
        spoiled = order(bad)
        problem = forged(spoiled, seal(spoiled))
        assert problem is not None
        assert problem.outcome is outcome


def test_an_order_with_another_plan_has_another_seal() -> None:
    assert seal(order()) != seal(order(HOOK)) != seal(order(replace(HOOK, sha256="0" * 64)))
