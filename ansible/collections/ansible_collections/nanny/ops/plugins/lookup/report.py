# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup of what became of orders."""

from __future__ import annotations

DOCUMENTATION = r"""
name: report
short_description: What became of patches
version_added: 0.1.0
description:
  - Returns patch orders with their packages and their reports, by their ids or the newest for a target.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane.plugin
options:
  _terms:
    description: Ids of orders. Without any, the newest order that fits the options.
    type: list
    elements: str
  agent_id:
    description: The agent of the node.
    type: str
  vmid:
    description: The guest.
    type: int
  mode:
    description: What kind of order.
    type: str
    choices: [apply, dry-run]
  status:
    description: How it must stand.
    type: str
    choices: [pending, delivered, running, completed, failed, cancelled, expired]
"""

EXAMPLES = r"""
---
- name: What became of the last patch of this guest?
  ansible.builtin.debug:
    msg: "{{ lookup('nanny.ops.report', agent_id=nanny.agent_id, vmid=nanny.vmid, mode='apply').outcome }}"
"""

RETURN = r"""
_raw:
  description: The orders, each with V(outcome), V(package_list) and V(report); none where none fits.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.nanny.ops.plugins.module_utils.control_plane import ControlPlaneError, control_plane

CONNECTION = ("url", "token", "ca_file", "validate_certs", "request_timeout", "request_tries")
FILTERS = ("agent_id", "vmid", "mode", "status")


class LookupModule(LookupBase):
    """Looks orders up."""

    def run(self, terms, variables=None, **kwargs):
        """Return the orders that are meant."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            plane = control_plane({name: self.get_option(name) for name in CONNECTION})
            ids = list(terms) or self._newest(plane)
            return [plane.ask("patch", operation_id=one) for one in ids]
        except ControlPlaneError as wrong:
            raise AnsibleLookupError(str(wrong)) from wrong

    def _newest(self, plane):
        filters = {name: self.get_option(name) for name in FILTERS}
        return [one["id"] for one in plane.every("patches", most=1, **filters)]
