"""The closed catalogue: which part of the helper does what a verb asks."""

import logging
from functools import partial

from nanny_ops.helper.deeds import Deeds
from nanny_ops.helper.judge import Judge, check_update
from nanny_ops.helper.prunes import Prunes
from nanny_ops.helper.reboots import Reboots
from nanny_ops.machine import carrier, staging, tracer
from nanny_ops.machine.commands import perform_command
from nanny_ops.machine.perform_update import perform_update
from nanny_ops.machine.prune_verbs import ForgetPrune, LookPrune, StartPrune
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
from nanny_ops.machine.verbs import (
    CancelJob,
    DescribeHelper,
    DescribeTracing,
    ForgetJob,
    ForgetReboot,
    HelperAnswer,
    HelperVerb,
    LearnKeys,
    LookJob,
    LookReboot,
    RunCommand,
    StartReboot,
    StartScript,
)

log = logging.getLogger(__name__)


class Catalogue:
    """Carries out verbs; may be called from many threads."""

    def __init__(self, judge: Judge, deeds: Deeds, reboots: Reboots, prunes: Prunes, uid: int = 0) -> None:
        """Take the parts, and whose files are taken."""
        self._judge, self._deeds, self._reboots, self._prunes = judge, deeds, reboots, prunes
        self._uid = uid

    def do(self, verb: HelperVerb | UpdateVerb) -> HelperAnswer | UpdateState:
        """Carry out one verb; blocks. Raises VerbRefused, MachineError."""
        match verb:
            case StartScript() | LookJob() | CancelJob() | ForgetJob():
                return self._deeds.do(verb)
            case StartReboot() | LookReboot() | ForgetReboot():
                return self._reboots.do(verb)
            case StartPrune() | LookPrune() | ForgetPrune():
                return self._prunes.do(verb)
            case DescribeHelper():
                return self._judge.describe()
            case LearnKeys(keys=told):
                return self._judge.learn(told)
            case RunCommand():
                self._judge.permit_command(verb)
                log.info("event=command_run name=%s target=%s", verb.name, verb.vmid or "host")
                return perform_command(verb, run=carrier.errand())  # what is looked at lies outside this sandbox
            case DescribeTracing():
                return tracer.describe()
            case StageUpdate() | SwitchUpdate() | ConfirmUpdate() | EndUpdate() | LookUpdate():
                return self._update(verb)

    def _update(self, verb: UpdateVerb) -> UpdateState:
        match verb:
            case StageUpdate():
                judged = self._judge.judge_release(verb)
                log.info("event=release_staged operation=%s release=%s", verb.order_id, verb.release_id)
                return perform_update(judged, stage=partial(staging.stage, uid=self._uid))
            case SwitchUpdate():
                if not self._is_on_trial(verb):  # what was begun is ended, whatever the hour
                    self._judge.permit_switch(verb)
                log.info("event=release_switched operation=%s sha256=%s", verb.order_id, verb.sha256)
                return perform_update(verb)
            case ConfirmUpdate() | EndUpdate():
                check_update(verb)
                return perform_update(verb)
            case LookUpdate():
                return perform_update(verb)

    def _is_on_trial(self, verb: SwitchUpdate) -> bool:
        state = perform_update(LookUpdate())
        return (state.phase, state.order_id, state.sha256) == (UpdatePhase.TRIAL, verb.order_id, verb.sha256)
