# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An order on its way: who carries it out, whether it has ended, what it came to."""

from __future__ import annotations

from ansible_collections.nanny.ops.plugins.module_utils.control_plane import ControlPlaneError

OPEN = ("pending", "delivered", "running")
GOOD = ("ok", "nothing_to_do")


def agent_of(plane, agent_id, hostname):
    """Return the agent with an id or the one of a host. Raises ControlPlaneError where there is none, or several."""
    if agent_id:
        return plane.ask("agent", agent_id=agent_id)
    known = plane.every("agents", hostname=hostname)
    trusted = [one for one in known if one["status"] != "revoked"] or known[:1]
    if not trusted:
        raise ControlPlaneError("There is no agent on a host '%s' in the teams of this token." % hostname)
    if len(trusted) > 1:
        ids = ", ".join(sorted(one["agent_id"] for one in trusted))
        raise ControlPlaneError("Several agents are on hosts named '%s': say which by its id: %s." % (hostname, ids))
    return trusted[0]


def body_of(options, names, agent_id):
    """Return the request for an order: what was given of ``names``, for an agent and its guest."""
    body = {name: _given(options[name]) for name in names if options[name] is not None}
    body["agent_id"] = agent_id
    if options["vmid"] is not None:
        body["vmid"] = options["vmid"]
    return body


def _given(value):
    """Return a value without the suboptions that were not given."""
    if isinstance(value, list):
        return [_given(one) for one in value]
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if one is not None}
    return value


def wait(ask, is_over, timeout, clock, sleep, interval=2.0, longest=15.0):
    """Ask until something is over or ``timeout`` seconds have passed; return the last answer.

    The pauses grow from ``interval`` to ``longest`` seconds, so that what is quick is heard of soon.
    """
    until, pause = clock() + timeout, interval
    found = ask()
    while not is_over(found) and clock() < until:
        sleep(min(pause, max(0.0, until - clock())))
        pause = min(longest, pause * 1.3)
        found = ask()
    return found


def has_ended(operation):
    """Tell whether nothing more will come of an order."""
    return operation["status"] not in OPEN


def lines(packages, version):
    """Return packages as lines of a diff, with the version that the key ``version`` tells."""
    rows = sorted((one["name"], one.get(version) or "") for one in packages or [])
    return "".join("%s %s\n" % row for row in rows if row[1])


def diff_of(operation):
    """Return what an order changed, or would change, as Ansible shows differences."""
    packages = operation.get("package_list") or []
    if not packages:
        return {}
    return {
        "before_header": "packages before",
        "after_header": "packages after",
        "before": lines(packages, "old_version"),
        "after": lines(packages, "version"),
    }
