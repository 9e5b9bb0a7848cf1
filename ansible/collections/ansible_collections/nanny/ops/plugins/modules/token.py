#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of automation, and of agents without refresh."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: token
short_description: Make or end tokens of automation and of agents
version_added: 0.1.0
description:
  - A token of kind V(operator) acts for its owner within its scopes; one of kind V(agent) speaks for one agent.
  - Only a signed-in person may make tokens with the scopes that their own token lacks; the control plane says so.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.CHANGES
options:
  state:
    description:
      - V(present) makes sure that one usable token has this name and these settings.
      - A usable token of the name with other settings is replaced by a new one, and then ended.
      - V(absent) ends every usable token of the name, or the one with O(token_id).
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - Make a new token even where one fits, and end the old ones.
      - Needed whenever the secret is needed, since it is told only once.
    type: bool
    default: false
  name:
    description: Its name, by which it is found again. Needed for O(state=present).
    type: str
  token_id:
    description: Which token to end, by its id, for O(state=absent).
    type: str
  expires_in:
    description: Seconds that a new token lives. That one which is there ends earlier is no difference.
    type: int
  team_id:
    description: In which team; the first team of the token's owner unless given. Counts for new tokens only.
    type: str

  kind:
    description: For whom it speaks.
    type: str
    choices: [operator, agent]
    default: operator
  scopes:
    description: What a token of kind V(operator) may do.
    type: list
    elements: str
    choices: [read, patch, enrol, admin]
    default: []
  agent_id:
    description: For which agent a token of kind V(agent) speaks.
    type: str
"""

EXAMPLES = r"""
---
- name: A token for the nightly patches
  nanny.ops.token:
    name: nightly patches
    scopes: [read, patch]
    expires_in: 2592000
  no_log: true
  register: nightly
"""

RETURN = r"""
---
token_info:
  description: The token without its secret; in check mode none that would be made.
  returned: success
  type: dict
  contains:
    id:
      description: Its id.
      type: str
      returned: always
      sample: token-5a1e
    name:
      description: Its name.
      type: str
      returned: always
      sample: rack 4
    condition:
      description: V(usable), V(used_up), V(expired) or V(revoked).
      type: str
      returned: always
      sample: usable
    expires_at:
      description: Until when it is good, in UTC.
      type: str
      returned: always
      sample: "2026-02-01T02:00:00Z"
secret:
  description:
    - The token itself, where one was made. It is never shown again.
    - Use C(no_log) for tasks that make one.
  returned: success
  type: str
  sample: ""
revoked:
  description: Ids of the tokens that were ended.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run
from ansible_collections.nanny.ops.plugins.module_utils.calls import OWN
from ansible_collections.nanny.ops.plugins.module_utils.tokens import TOKENS, ensure

SPEC = {
    "name": {"type": "str"},
    "token_id": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "force": {"type": "bool", "default": False},
    "expires_in": {"type": "int"},
    "team_id": {"type": "str"},
    "kind": {"type": "str", "choices": ["operator", "agent"], "default": "operator"},
    "scopes": {
        "type": "list",
        "elements": "str",
        "choices": ["read", "patch", "enrol", "admin"],
        "default": [],
    },
    "agent_id": {"type": "str"},
}


def work(module, plane):
    """Make, keep, replace or end tokens."""
    return ensure(module, plane, TOKENS, {name: module.params[name] for name in OWN})


def main():
    """Run as a module."""
    run(
        work,
        SPEC,
        required_if=[("state", "present", ("name",)), ("state", "absent", ("name", "token_id"), True)],
        mutually_exclusive=[("name", "token_id")],
    )


if __name__ == "__main__":
    main()
