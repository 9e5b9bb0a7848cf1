#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of patches and reboots."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: operation_info
short_description: Tell of patches and reboots
version_added: 0.1.0
description:
  - Shows one order with its packages and its report, or lists orders, newest first.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.INFO
options:
  kind:
    description: What kind of orders.
    type: str
    choices: [patch, reboot]
    default: patch
  operation_id:
    description: Only this order, with everything that is told of it.
    type: str
  agent_id:
    description: Only orders for this agent.
    type: str
  vmid:
    description: Only patches of this guest.
    type: int
  status:
    description: Only orders that stand so.
    type: str
    choices: [pending, delivered, running, completed, failed, cancelled, expired]
  outcome:
    description: Only orders that came to this.
    type: str
  mode:
    description: Only patches of this mode.
    type: str
    choices: [apply, dry-run]
  limit:
    description: How many orders at the most.
    type: int
    default: 100
"""

EXAMPLES = r"""
---
- name: What went wrong last?
  nanny.ops.operation_info:
    status: failed
    limit: 10
  register: failed
"""

RETURN = r"""
---
operations:
  description: The orders. In a list they have neither their packages nor their report.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
      returned: always
      sample: patch-8d2b
    status:
      description: V(pending), V(delivered), V(running), V(completed), V(failed), V(cancelled) or V(expired).
      type: str
      returned: always
      sample: completed
    outcome:
      description: What it came to, in a word; none while it is open.
      type: str
      returned: always
      sample: ok
    target:
      description: V(host), or the guest such as V(lxc:101).
      type: str
      returned: always
      sample: lxc:101
    package_list:
      description: Packages that were changed, or in a dry run would be.
      type: list
      elements: dict
      returned: when O(operation_id) names a patch that has ended
      sample: [{name: openssl, old_version: 3.0.14-1, version: 3.0.15-1, action: upgrade, security: true}]
    report:
      description: What else is told of the run, such as what was left, steps, probes and whether it must be restarted.
      type: dict
      returned: when O(operation_id) names a patch that has ended
      sample: {reboot_required: false}
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run

SPEC = {
    "kind": {"type": "str", "choices": ["patch", "reboot"], "default": "patch"},
    "operation_id": {"type": "str"},
    "agent_id": {"type": "str"},
    "vmid": {"type": "int"},
    "status": {
        "type": "str",
        "choices": ["pending", "delivered", "running", "completed", "failed", "cancelled", "expired"],
    },
    "outcome": {"type": "str"},
    "mode": {"type": "str", "choices": ["apply", "dry-run"]},
    "limit": {"type": "int", "default": 100},
}
FILTERS = {"patch": ("agent_id", "vmid", "status", "outcome", "mode"), "reboot": ("agent_id", "status", "outcome")}


def work(module, plane):
    """Return the orders that are wanted."""
    options = module.params
    if options["operation_id"]:
        place = "operation_id" if options["kind"] == "patch" else "reboot_id"
        return {"changed": False, "operations": [plane.ask(options["kind"], **{place: options["operation_id"]})]}
    filters = {name: options[name] for name in FILTERS[options["kind"]]}
    listed = "patches" if options["kind"] == "patch" else "reboots"
    return {"changed": False, "operations": plane.every(listed, most=options["limit"], **filters)}


def main():
    """Run as a module."""
    run(work, SPEC)


if __name__ == "__main__":
    main()
