# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play has come to so far: bounded, and without what it hides."""

from __future__ import annotations

from datetime import datetime, timezone

#: Hosts and tasks that are told, and so many more tasks that did not succeed; letters of a message, of a diff, and of
#: all of them together.
MOST_HOSTS, MOST_TASKS, RESERVE = 5000, 1500, 500
MESSAGE, DIFF, ALL = 1000, 8000, 1000000
NAME = 255
COUNTED = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")


class Play:
    """Gathers what hosts did in one playbook."""

    def __init__(self, playbook, check, version, clock):
        """Begin; ``clock`` returns seconds since 1970."""
        self._playbook, self._check, self._version, self._clock = playbook, check, version, clock
        self._began = clock()
        self._tasks, self._left_out, self._letters = [], 0, 0
        self._running, self._seconds = {}, {}

    def start(self, host, task_id):
        """Note that a host begins a task."""
        self._running[host, task_id] = self._clock()

    def end(self, host, task_id):
        """Note that a host has done a task; return how many seconds it took."""
        now = self._clock()
        seconds = max(0.0, now - self._running.pop((host, task_id), now))
        self._seconds[host] = self._seconds.get(host, 0.0) + seconds
        return round(seconds, 3)

    def tell(self, state, host, task, play, action, seconds, hidden=False, message="", diff=""):
        """Keep what changed or did not succeed, as long as there is room; of what is hidden, its name."""
        if len(self._tasks) >= MOST_TASKS + (0 if state == "changed" else RESERVE):
            self._left_out += 1
            return
        told = {
            "host": host[:NAME],
            "task": task[:NAME],
            "state": state,
            "play": play[:NAME],
            "action": action[:NAME],
            "seconds": seconds,
            "hidden": hidden,
            "message": "" if hidden else self._bounded(message, MESSAGE),
            "diff": "" if hidden else self._bounded(diff, DIFF),
        }
        self._tasks.append(told)

    def report(self, recap):
        """Return what is sent; ``recap`` maps a host to its counts, as Ansible gives them."""
        shown = sorted(recap)[:MOST_HOSTS]
        hosts = {
            host[:NAME]: dict(
                {name: recap[host].get(name, 0) for name in COUNTED}, seconds=round(self._seconds.get(host, 0.0), 3)
            )
            for host in shown
        }
        return {
            "playbook": (self._playbook or "unknown")[:NAME],
            "check": self._check,
            "started_at": _stamp(self._began),
            "ended_at": _stamp(max(self._began, self._clock())),
            "hosts": hosts,
            "tasks": self._tasks,
            "left_out": self._left_out,
            "ansible_version": self._version,
        }

    def _bounded(self, text, most):
        cut = text[: min(most, ALL - self._letters)]
        self._letters += len(cut)
        return cut


def since(recap, before):
    """Return counts without what was counted before: Ansible counts on where several playbooks are run at once."""
    rest = {}
    for host, counts in recap.items():
        earlier = before.get(host, {})
        left = {name: counts.get(name, 0) - earlier.get(name, 0) for name in COUNTED}
        if not earlier or any(left.values()):
            rest[host] = left
    return rest


def message_of(result):
    """Return why a task did not succeed: its own word, of a loop that of the first item which failed."""
    for one in _items(result):
        if isinstance(one, dict) and (one.get("failed") or one.get("unreachable")):
            return str(one.get("msg") or "")
    return str(result.get("msg") or "")


def diffs_of(result):
    """Return the differences that a task tells, of a loop those of each item that is not hidden."""
    found = []
    for one in _items(result) or [result]:
        diff = one.get("diff") if isinstance(one, dict) and not is_hidden(one) else None
        found += diff if isinstance(diff, list) else [diff] if diff else []
    return [one for one in found if isinstance(one, dict)]


def is_hidden(result):
    """Tell whether a play does not want this result to be seen."""
    return bool(result.get("_ansible_no_log")) or "censored" in result


def _items(result):
    found = result.get("results")
    return found if isinstance(found, list) else []


def _stamp(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")
