#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End the trust in an agent, or the rest of its node."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: agent
short_description: End the trust in an agent, or the rest of its node
version_added: 0.1.0
description:
  - An agent that is revoked is refused everywhere and stops; a person has to enrol it anew.
  - A node that failed several times in a row is given a rest from orders of batches; O(state=resumed) ends it.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.CHANGES
options:
  agent_id:
    description: Which agent, by its id. One of O(agent_id) and O(hostname) is needed.
    type: str
  hostname:
    description: Which agent, by the name of its host, where only one agent that is trusted has it.
    type: str
  state:
    description:
      - V(revoked) ends the trust in the agent and in all of its tokens.
      - V(resumed) ends the rest of its node, if it has one.
    type: str
    choices: [revoked, resumed]
    required: true
"""

EXAMPLES = r"""
---
- name: A node is taken out of service
  nanny.ops.agent:
    hostname: pve3.example.com
    state: revoked

- name: The cause of the failures is found, so orders may go on
  nanny.ops.agent:
    agent_id: "{{ nanny.agent_id }}"
    state: resumed
"""

RETURN = r"""
---
agent:
  description: The agent as the control plane shows it.
  returned: success
  type: dict
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
      sample: revoked
    health_status:
      description: V(healthy), V(stale), V(offline) or V(unknown), judged by its silence.
      type: str
      returned: always
      sample: offline
    features:
      description: What it can do beside plain orders.
      type: list
      elements: str
      returned: always
      sample: [reboot, qemu]
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run
from ansible_collections.nanny.ops.plugins.module_utils.order import agent_of

SPEC = {
    "agent_id": {"type": "str"},
    "hostname": {"type": "str"},
    "state": {"type": "str", "choices": ["revoked", "resumed"], "required": True},
}


def work(module, plane):
    """Bring the agent to the wanted state."""
    options = module.params
    agent = agent_of(plane, options["agent_id"], options["hostname"])
    revoking = options["state"] == "revoked"
    before = {"status": agent["status"], "resting": bool(agent["resting"])}
    after = dict(before, status="revoked") if revoking else dict(before, resting=False)
    changed = before != after
    if changed and not module.check_mode:
        name = "revoke agent" if revoking else "resume agent"
        plane.ask(name, repeat=True, agent_id=agent["agent_id"])
        agent = plane.ask("agent", agent_id=agent["agent_id"])
    return {"changed": changed, "agent": agent, "diff": {"before": before, "after": after}}


def main():
    """Run as a module."""
    one = [("agent_id", "hostname")]
    run(work, SPEC, required_one_of=one, mutually_exclusive=one)


if __name__ == "__main__":
    main()
