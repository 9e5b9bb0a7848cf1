# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a piece of work for the playbook that runs, or tells that it is done; see the documentation of the module."""

from __future__ import annotations

import os
import time

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.nanny.ops.plugins.module_utils.ledger import RUN, Ledger, LedgerError, owner_of

#: Seconds between two looks at work that another playbook is doing.
PAUSE = 0.5


class ActionModule(ActionBase):
    """Runs on the controller, as a child of the playbook that takes the work."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("key", "directory", "state", "wait", "keep_days"))

    def run(self, tmp=None, task_vars=None):
        """Take the work, or note that it is done."""
        result = super().run(tmp, task_vars)
        _spec, asked = self.validate_argument_spec(
            argument_spec={
                "key": {"type": "str", "required": True, "no_log": False},
                "directory": {"type": "path", "required": True},
                "state": {"type": "str", "choices": ["begun", "done"], "default": "begun"},
                "wait": {"type": "int", "default": 3600},
                "keep_days": {"type": "int", "default": 90},
            }
        )
        try:
            ledger = Ledger(asked["directory"], asked["key"])
            how = self._look if self._task.check_mode else self._finish if asked["state"] == "done" else self._take
            return {**result, **how(ledger, asked)}
        except (LedgerError, OSError) as wrong:
            raise AnsibleActionFail(str(wrong)) from wrong

    def _look(self, ledger, asked):
        done = ledger.is_done()
        return {"changed": not done, "mine": not done and asked["state"] == "begun", "resumed": False}

    def _finish(self, ledger, asked):
        changed = ledger.finish()
        ledger.forget(asked["keep_days"])
        return {"changed": changed, "mine": False, "resumed": False}

    def _take(self, ledger, asked):
        me, ends = owner_of(os.getppid(), os.environ.get(RUN, "")), time.monotonic() + asked["wait"]
        while True:
            found = ledger.take(me)
            if found != "busy":
                return {"changed": found in ("new", "resumed"), "mine": found != "done", "resumed": found == "resumed"}
            if time.monotonic() > ends:
                raise LedgerError(
                    "another playbook has been doing %s for longer than %d s" % (ledger.key, asked["wait"])
                )
            time.sleep(PAUSE)
