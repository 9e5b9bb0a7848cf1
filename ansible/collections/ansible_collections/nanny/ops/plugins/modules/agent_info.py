#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of agents."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: agent_info
short_description: Tell which agents there are and how they are
version_added: 0.1.0
description:
  - Lists the agents of the teams of the token, or shows one with the policy of its machine.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.INFO
options:
  agent_id:
    description: Only this agent.
    type: str
  hostname:
    description: Only agents on a host of this name.
    type: str
"""

EXAMPLES = r"""
---
- name: Look for agents that are not heard
  nanny.ops.agent_info:
  register: found

- name: Say which
  ansible.builtin.debug:
    msg: "{{ found.agents | rejectattr('health_status', 'eq', 'healthy') | map(attribute='hostname') }}"
"""

RETURN = r"""
---
agents:
  description: The agents by name, those too that were revoked.
  returned: success
  type: list
  elements: dict
  contains:
    agent_id:
      description: Its id.
      type: str
      returned: always
      sample: agent-6c0f
    hostname:
      description: The name of its host.
      type: str
      returned: always
      sample: pve3.example.com
    status:
      description: V(active) or V(revoked).
      type: str
      returned: always
      sample: active
    health_status:
      description: V(healthy), V(stale), V(offline) or V(unknown), judged by its silence.
      type: str
      returned: always
      sample: healthy
    last_seen:
      description: When it was heard last, in UTC.
      type: str
      returned: always
      sample: "2026-01-31T02:00:00Z"
    version:
      description: Which release it is.
      type: str
      returned: always
      sample: 0.1.0
    policy:
      description: What the owner of its machine allows, for O(agent_id) alone.
      type: dict
      returned: when O(agent_id) is given
      sample: {}
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run

SPEC = {"agent_id": {"type": "str"}, "hostname": {"type": "str"}}


def work(module, plane):
    """Return the agents that are wanted."""
    options = module.params
    if options["agent_id"]:
        return {"changed": False, "agents": [plane.ask("agent", agent_id=options["agent_id"])]}
    return {"changed": False, "agents": plane.every("agents", hostname=options["hostname"] or None)}


def main():
    """Run as a module."""
    run(work, SPEC, mutually_exclusive=[("agent_id", "hostname")])


if __name__ == "__main__":
    main()
