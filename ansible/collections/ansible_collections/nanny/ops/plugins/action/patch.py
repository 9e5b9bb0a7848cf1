# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patch a target that has no agent, over the connection that Ansible has to it; no Python is needed there."""

from __future__ import annotations

import shlex
import time
import uuid

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase
from ansible_collections.nanny.ops.plugins.module_utils.order import diff_of
from ansible_collections.nanny.ops.plugins.plugin_utils import carried, verdict
from ansible_collections.nanny.ops.plugins.plugin_utils.report import masked
from ansible_collections.nanny.ops.plugins.plugin_utils.script_run import Lost, Refused, ScriptRun, Unheard

HOLD = {"name": {"type": "str", "required": True}, "reason": {"type": "str", "default": ""}}
SPEC = {
    "mode": {"type": "str", "choices": ["apply", "dry-run"], "default": "apply"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "holds": {"type": "list", "elements": "dict", "options": HOLD, "default": []},
    "only": {"type": "list", "elements": "str", "default": []},
    "security_only": {"type": "bool", "default": False},
    "dist_upgrade": {"type": "bool", "default": False},
    "autoremove": {"type": "bool", "default": False},
    "conffiles": {"type": "str", "choices": ["keep", "hold-back"], "default": "keep"},
    "repair": {"type": "bool", "default": False},
    "lock_timeout_seconds": {"type": "int", "default": 300},
    "timeout_seconds": {"type": "int", "default": 3600},
    "script": {"type": "path"},
    "script_args": {"type": "str", "default": ""},
    "reboot": {"type": "str", "choices": ["never", "if-required"], "default": "never"},
    "reboot_timeout_seconds": {"type": "int", "default": 600},
    "accept": {"type": "list", "elements": "str", "default": []},
    "output": {"type": "bool", "default": False},
}
#: A connection that is root in its container already; become would look for sudo there.
ROOT_ALREADY = "proxmox_pct_remote"
#: With something to read a connection makes no terminal, which would change the ends of lines.
NOTHING = b"\n"


class ActionModule(ActionBase):
    """Brings a script to the target, runs it, and tells what it came to."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Run the task."""
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(SPEC)
        if options["timeout_seconds"] < 1:
            raise AnsibleActionFail("timeout_seconds is one second at least.")
        if self._task.check_mode:
            options["mode"] = "dry-run"
        environment = {}
        self._compute_environment_string(environment)
        run = ScriptRun(self._ask, self._reset, time.sleep, "nanny-run-" + uuid.uuid4().hex, environment)
        try:
            system, _life = run.look()
        except Unheard as unheard:
            raise AnsibleConnectionFailure(to_text(unheard)) from unheard
        return self._told(run, options, self._patched(run, options, system, task_vars["inventory_hostname"]))

    def _patched(self, run, options, system, name):
        """Return what is told of the script's run, and how it ended, None where that is not known."""

        def told(outcome, reason, ended=None):
            return verdict.operation(name, options["mode"], outcome, reason, ended, options["holds"]), ended

        script, why = self._script(options["script"], system)
        if not script:
            return told("unsupported", why)
        try:
            ended = run.run(script, _interpreter(script), _arguments(options), options["timeout_seconds"])
        except Refused as refusal:
            return told(*verdict.refused(refusal.word, refusal.more))
        except Lost as lost:
            return told("unknown", str(lost))
        try:
            run.clear()
        except Unheard as unheard:
            self._display.warning("What the run has left in /var/tmp could not be removed: %s" % unheard)
        return told(*verdict.judged(ended, options["timeout_seconds"]), ended)

    def _script(self, path, system):
        if path:
            with open(self._find_needle("files", path), "rb") as file:
                return file.read(), ""
        found = carried.words(system)
        name, why = carried.script_for(found)
        if name:
            return carried.script(name), ""
        return b"", why or "No carried script serves %s; name one with the option script." % (
            ", ".join(found) or "an unknown system"
        )

    def _told(self, run, options, patched):
        """Return the task's result, after a restart where one is wanted and needed."""
        operation, ended = patched
        good = operation["outcome"] in (*verdict.GOOD, *options["accept"])
        rebooted = good and self._restarted(run, options, operation)
        good = good and operation["outcome"] != "not_rebooted"
        packages = bool(operation["package_list"])
        in_doubt = operation["outcome"] in ("unknown", "timed_out") and operation["package_list"] is None
        would = operation["mode"] == "apply" or self._task.check_mode
        result = {
            "changed": would and (packages or rebooted or in_doubt),
            "failed": not good,
            "msg": "%s: %s" % (operation["outcome"], operation["reason"]),
            "operation": operation,
            "rebooted": rebooted,
            "diff": diff_of(operation),
        }
        if options["output"] and ended:
            outputs = {"stdout": ended.stdout, "stderr": ended.stderr}
            result.update({key: masked(value.decode("utf-8", "replace")) for key, value in outputs.items()})
        return result

    def _restarted(self, run, options, operation):
        """Restart the target where that is wanted and needed, and tell whether it came up again."""
        needed = (operation["report"] or {}).get("reboot_required")
        if options["reboot"] == "never" or options["mode"] != "apply" or not needed:
            return False
        limit = options["reboot_timeout_seconds"]
        try:
            if run.restart(limit, time.monotonic):
                operation["report"].update(reboot_required=False, reboot_why=[])
                return True
            why = "The target was patched and asked to restart, and did not begin anew within %d s." % limit
        except Refused as refusal:
            why = "The target was patched, and cannot restart: %s" % verdict.refused(refusal.word, refusal.more)[1]
        except Unheard as unheard:
            why = "The target was patched, and could not be asked to restart: %s" % unheard
        operation.update(status="failed", outcome="not_rebooted", reason=why)
        return False

    def _ask(self, line, stdin):
        """Run a line in the target's shell and return what it prints. Raises Unheard."""
        connection = self._connection
        try:
            if connection.transport.rpartition(".")[2] == ROOT_ALREADY or connection.become is None:
                code, out, err = connection.exec_command(
                    "/bin/sh -c " + shlex.quote(line), in_data=stdin or NOTHING, sudoable=False
                )
                out, err = to_text(out, errors="replace"), to_text(err, errors="replace")
            else:
                done = self._low_level_execute_command(line, in_data=stdin or NOTHING, encoding_errors="replace")
                code, out, err = done["rc"], done["stdout"], done["stderr"]
        except AnsibleError as wrong:
            raise Unheard(to_text(wrong)) from wrong
        if "nanny-run-" not in out:
            raise Unheard("exit code %s: %s" % (code, masked(err.strip()[-500:])))
        return out

    def _reset(self):
        try:
            self._connection.reset()
        except AnsibleError as wrong:
            raise Unheard(to_text(wrong)) from wrong


def _interpreter(script):
    """Return the words of the first line of a script that go before its path, as the kernel reads them."""
    line = script[:256].partition(b"\n")[0]
    words = line[2:].decode("utf-8", "replace").strip().split(None, 1) if line.startswith(b"#!") else []
    if not words:
        raise AnsibleActionFail("The script names no interpreter: it must begin with '#!'.")
    return words


def _arguments(options):
    """Return the arguments of a script: ``--dry-run`` first, options as single words, then its own."""
    words = ["--dry-run"] if options["mode"] == "dry-run" else []
    exclude = sorted(set(options["exclude"]) | {one["name"] for one in options["holds"]})
    for name, names in (("exclude", exclude), ("only", options["only"])):
        if names:
            words.append("--%s=%s" % (name, ",".join(names)))
    flags = ("security_only", "dist_upgrade", "autoremove", "repair")
    words.extend("--" + name.replace("_", "-") for name in flags if options[name])
    if options["conffiles"] != "keep":
        words.append("--conffiles=" + options["conffiles"])
    words.append("--lock-timeout=%d" % options["lock_timeout_seconds"])
    try:
        return words + shlex.split(options["script_args"])
    except ValueError as wrong:
        raise AnsibleActionFail("script_args cannot be split into words: %s" % wrong) from wrong
