"""How a daemon that updated itself starts anew: systemd does it, or the starter in this process's place."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nanny_ops.agent.trial import Ground
from nanny_ops.machine import trial
from nanny_ops.machine.update_verbs import UpdatePhase
from nanny_ops.machine.versions import Versions, found, running

#: Exit code that makes systemd start the agent again (EX_TEMPFAIL of sysexits.h).
AGAIN = 75


@dataclass
class Restart:
    """Whether this process is to be followed by another; asked for from within, carried out at its very end."""

    versions: Versions | None = field(default_factory=found)
    wanted: bool = False

    def ground(self, folder: Path, words: Sequence[str]) -> Ground:
        """Return where this process stands; ``words`` follow ``run`` on its command line."""
        name = running() if self.versions is not None else ""
        return Ground(running=name, restart=self.ask, folder=folder, words=tuple(words))

    def ask(self) -> None:
        """End this process as SIGTERM does, to be started anew."""
        self.wanted = True
        os.kill(os.getpid(), signal.SIGTERM)

    def end(self, code: int, environ: Mapping[str, str]) -> int:
        """Return the exit code for systemd; elsewhere become the next start."""
        if not self.wanted and not (code and self._on_trial()):
            return code
        if "INVOCATION_ID" not in environ and self.versions is not None:
            sys.stdout.flush()
            starter = str(self.versions.prefix / trial.START)
            os.execv(starter, [starter, *sys.argv[1:]])  # noqa: S606  no shell: the starter that root wrote
        return AGAIN

    def _on_trial(self) -> bool:
        """Tell whether a failing start must be tried again, whatever it failed of: it may be this version's fault."""
        if self.versions is None:
            return False
        state = trial.look(self.versions)
        return state.phase is UpdatePhase.TRIAL and state.target == running()
