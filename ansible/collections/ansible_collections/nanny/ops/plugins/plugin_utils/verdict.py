# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to, in the words of nanny-ops: an outcome, and a reason that a person understands."""

from __future__ import annotations

from ansible_collections.nanny.ops.plugins.plugin_utils import report
from ansible_collections.nanny.ops.plugins.plugin_utils.carried import DATA

GOOD = ("ok", "nothing_to_do")
#: Why a script was not begun, by the word that the target tells.
REFUSED = {
    "busy": ("blocked", "Another patch run is at work on the target; there is one at a time."),
    "torn": ("checksum_mismatch", "The script that arrived on the target is not the one that was sent."),
    "lacks": ("unsupported", "The target lacks %s."),
    "interpreter": ("interpreter_missing", "The script wants %s, which the target does not have."),
    "folder": ("agent_error", "The script could not be laid into a private folder in /var/tmp: %s"),
    "root": ("refused", "Patches need root: connect as root, or use become."),
}


def refused(word, more):
    """Return outcome and reason for a script that was not begun."""
    outcome, reason = REFUSED.get(word, ("agent_error", "The target said: %s" % word))
    if "No space left on device" in more:
        outcome = "disk_full"
    more = report.plain(report.masked(more))[:300]
    return outcome, reason % more if "%s" in reason else reason


def judged(ended, limit):
    """Return outcome and reason for a script that has ended."""
    if ended.code in DATA["timeout_codes"] and ended.seconds >= limit:
        return "timed_out", "The script was ended after %d s with all its children." % limit
    if ended.code != 0:
        return _meant(ended), _failure(ended)
    try:
        found = report.packages(ended.stdout)
    except ValueError as wrong:
        return "bad_output", str(wrong)
    if not found:
        return "nothing_to_do", "There is nothing to update."
    return "ok", "%d package%s." % (len(found), "s" if len(found) > 1 else "")


def _meant(ended):
    word, outcome = DATA["meant"].get(str(ended.code), ("", "script_failed"))
    said = report.notes(ended.stdout)[1]
    return outcome if word and said == word else "script_failed"


def _failure(ended):
    text = report.masked(ended.stderr.decode("utf-8", "replace")[-4096:])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = ": " + report.plain(lines[-1][:300]) if lines else "."
    return "The script ended with exit code %d%s" % (ended.code, last)


def operation(name, mode, outcome, reason, ended=None, holds=()):
    """Return what is told of a run, named and shaped as an order of the control plane.

    ``holds`` are packages with the reasons for which they are held back.
    """
    told = {
        "id": None,
        "agent_id": None,
        "target": name,
        "mode": mode,
        "status": "completed" if outcome in GOOD else "failed",
        "outcome": outcome,
        "reason": reason,
        "exit_code": ended.code if ended else None,
        "duration": ended.seconds * 1000 if ended else None,
        "package_list": None,
        "package_count": None,
        "report": None,
    }
    if ended:
        told["report"] = report.without_secrets(report.notes(ended.stdout)[0])
        _name_holds(told["report"]["left"], {one["name"]: one.get("reason") or "" for one in holds})
        try:
            told["package_list"] = report.packages(ended.stdout)
            told["package_count"] = len(told["package_list"])
        except ValueError as wrong:
            told["report"]["notes"].append(str(wrong))
    return told


def _name_holds(left, reasons):
    for one in left:
        if one["why"] == "excluded" and one["name"] in reasons:
            one.update(why="exception", reason=reasons[one["name"]])
