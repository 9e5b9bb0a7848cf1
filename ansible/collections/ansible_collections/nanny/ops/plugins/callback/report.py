# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports what plays come to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: report
type: aggregate
short_description: Reports results and drift of any play to the control plane
version_added: 0.1.0
description:
  - When a playbook has ended, tells the control plane its name, whether it only checked, how long it took, what each
    host came to, and the tasks that changed something or did not succeed.
  - A change that a check would make is drift; C(nanny-ops play list --drift) lists such checks.
  - Sends one request at the end, of at most 5000 hosts and 2000 tasks, and counts what it leaves out.
  - Never fails a play. A control plane that cannot be asked costs one warning, and at the end of the playbook
    O(request_tries) times O(request_timeout) seconds at most and the pauses between.
  - Of tasks with C(no_log) only the names are sent, of others no results but the message of a failure.
  - A playbook that is interrupted, or that Ansible cannot read, is not reported.
author:
  - The authors of nanny-ops (@nanny-ops)
requirements:
  - It must be enabled, for example with C(callbacks_enabled = nanny.ops.report) in C(ansible.cfg).
extends_documentation_fragment:
  - nanny.ops.control_plane.plugin
options:
  request_timeout:
    description: Seconds that one try of the request may take.
    type: int
    default: 5
    ini:
      - section: callback_nanny_ops_report
        key: request_timeout
    env:
      - name: NANNY_OPS_REPORT_TIMEOUT
  request_tries:
    description: How often it is tried. What has arrived is not counted twice.
    type: int
    default: 2
    ini:
      - section: callback_nanny_ops_report
        key: request_tries
    env:
      - name: NANNY_OPS_REPORT_TRIES
  report_diff:
    description:
      - Whether differences are sent, too, where the play was asked for them by C(--diff).
      - They may be whole files. Only operators see them in the control plane, what looks like a secret as stars.
    type: bool
    default: false
    ini:
      - section: callback_nanny_ops_report
        key: report_diff
    env:
      - name: NANNY_OPS_REPORT_DIFF
  team_id:
    description: To which team it is reported; the first one in which the token's owner is operator unless given.
    type: str
    ini:
      - section: callback_nanny_ops_report
        key: team_id
    env:
      - name: NANNY_OPS_REPORT_TEAM
"""

EXAMPLES = r"""
---
# ansible.cfg
# [defaults]
# callbacks_enabled = nanny.ops.report
#
# NANNY_OPS_URL=https://ops.example.com:8443 NANNY_OPS_TOKEN=... ansible-playbook site.yml --check
"""

import os
import time
import uuid

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__
from ansible_collections.nanny.ops.plugins.module_utils.control_plane import ControlPlaneError, control_plane
from ansible_collections.nanny.ops.plugins.module_utils.play import Play, diffs_of, is_hidden, message_of, since

CONNECTION = ("url", "token", "ca_file", "validate_certs", "request_timeout", "request_tries")


class CallbackModule(CallbackBase):
    """Gathers while a playbook runs, and sends when it has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "nanny.ops.report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display=None, options=None):
        """Begin with nothing."""
        super().__init__(display=display, options=options)
        self._playing, self._play, self._key, self._counted = None, "", "", {}

    def v2_playbook_on_start(self, playbook):
        """Begin to gather."""
        name = os.path.basename(getattr(playbook, "_file_name", "") or "")
        self._playing = Play(name, bool(context.CLIARGS.get("check")), __version__, time.time)
        self._key = str(uuid.uuid4())

    def v2_playbook_on_play_start(self, play):
        """Keep the name of the play."""
        self._play = play.get_name().strip()

    def v2_runner_on_start(self, host, task):
        """Note when a host begins a task."""
        if self._playing:
            self._playing.start(host.get_name(), task._uuid)

    def v2_runner_on_ok(self, result):
        """Keep what changed."""
        self._note(result, "changed" if result.is_changed() else "")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """Keep what failed."""
        self._note(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        """Keep what could not be reached."""
        self._note(result, "unreachable")

    def v2_runner_on_skipped(self, result):
        """Count the time."""
        self._note(result, "")

    def v2_playbook_on_stats(self, stats):
        """Send the report, unless nothing was played."""
        recap = {host: stats.summarize(host) for host in stats.processed}
        playing, self._playing = self._playing, None
        if playing is None:
            return
        body, self._counted = playing.report(since(recap, self._counted)), recap
        if self.get_option("team_id"):
            body["team_id"] = self.get_option("team_id")
        try:
            plane = control_plane({name: self.get_option(name) for name in CONNECTION})
            plane.ask("report play", body=body, key=self._key)
        except ControlPlaneError as wrong:
            self._display.warning("This play was not reported to the control plane. %s" % wrong)

    def _note(self, result, state):
        if not self._playing:
            return
        host, task = result.host.get_name(), result.task
        seconds = self._playing.end(host, task._uuid)
        if not state:
            return
        told = result.result
        hidden = is_hidden(told) or task.no_log is True
        message = message_of(told) if state != "changed" and not hidden else ""
        diff = self._diff(told) if state == "changed" and not hidden else ""
        self._playing.tell(
            state,
            host,
            task.get_name().strip(),
            self._play,
            str(task.action),
            seconds,
            hidden=hidden,
            message=message,
            diff=diff,
        )

    def _diff(self, told):
        found = diffs_of(told) if self.get_option("report_diff") else []
        return self._get_diff(found) if found else ""
