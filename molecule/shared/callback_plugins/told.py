# Copyright: nanny-ops contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells a scenario what a playbook did."""

from __future__ import annotations

DOCUMENTATION = """
name: told
type: aggregate
short_description: Writes which tasks were done, changed something, or failed to a file
description: One JSON document at the end, with the names of tasks for each host, and the failures with their messages.
options:
  path:
    description: Where to write; in a directory the file is told.PLAYBOOK.json, and a later run of a playbook counts.
    type: path
    required: true
    env:
      - name: MOLECULE_TOLD
"""

import json
from pathlib import Path

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Writes to the file that MOLECULE_TOLD names, at the end; no result goes there, for it may hold secrets."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "told"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display=None, options=None):
        """Begin with nothing."""
        super().__init__(display, options)
        self._done, self._changed, self._failed, self._playbook = {}, {}, [], ""

    def v2_playbook_on_start(self, playbook):
        """Note what is played."""
        self._playbook = Path(playbook._file_name).name

    def v2_runner_on_ok(self, result):
        """Note a task that was done."""
        host, task = result.host.get_name(), result.task.name or result.task.action
        self._done.setdefault(host, []).append(task)
        changed = self._changed.setdefault(host, [])
        if result.result.get("changed"):
            changed.append(task)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """Note a task that failed, unless that does not matter."""
        if not ignore_errors:
            self._note(result)

    def v2_runner_on_unreachable(self, result):
        """Note a host that was not reached."""
        self._note(result)

    def v2_playbook_on_stats(self, stats):
        """Write it all."""
        told = {"done": self._done, "changed": self._changed, "failed": self._failed}
        path = Path(self.get_option("path"))
        if path.is_dir():
            path /= f"told.{self._playbook}.json"
        path.write_text(json.dumps(told), encoding="utf-8")

    def _note(self, result):
        task = result.task.name or result.task.action
        said = str(result.result.get("msg", ""))
        self._failed.append({"host": result.host.get_name(), "task": task, "message": said})
