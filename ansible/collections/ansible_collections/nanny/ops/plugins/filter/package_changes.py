# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter for the packages that orders changed."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.errors import AnsibleFilterError


def package_changes(orders, security=None, action=None, names=None):
    """Return the packages of one or many orders, or of results of tasks, one after the other."""
    if isinstance(orders, Mapping):
        orders = [orders]
    if not isinstance(orders, (list, tuple)):
        raise AnsibleFilterError("nanny.ops.package_changes takes an order, a result of a task, or a list of them")
    found = [change for order in orders for change in _of(order)]
    return [one for one in found if _fits(one, security, action, names)]


def _of(order):
    if not isinstance(order, Mapping):
        raise AnsibleFilterError("nanny.ops.package_changes cannot read '%s' as an order" % (order,))
    if "results" in order:  # a task with a loop
        return [change for one in order["results"] for change in _of(one)]
    order = order.get("operation", order) or {}
    where = {"target": order.get("target"), "agent_id": order.get("agent_id"), "operation_id": order.get("id")}
    return [{**one, **where} for one in order.get("package_list") or []]


def _fits(change, security, action, names):
    return (
        (security is None or bool(change.get("security")) == security)
        and action in (None, change.get("action"))
        and (names is None or change["name"] in names)
    )


class FilterModule:
    """Filters of this collection."""

    def filters(self):
        """Return them by name."""
        return {"package_changes": package_changes}
