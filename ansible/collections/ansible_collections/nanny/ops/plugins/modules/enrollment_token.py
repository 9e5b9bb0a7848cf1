#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens with which machines enrol without a person."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: enrollment_token
short_description: Make or end tokens with which machines enrol
version_added: 0.1.0
description:
  - A machine that is given such a token enrols its agent without a person.
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

  max_uses:
    description: How many machines may enrol with it.
    type: int
    default: 1
  ranges:
    description: Networks from which it may be used, such as V(192.0.2.0/24); from anywhere unless given.
    type: list
    elements: str
    default: []
  tags:
    description: Tags that the enrolled agents get.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
---
- name: A token for one host that lives ten minutes
  nanny.ops.enrollment_token:
    name: "{{ inventory_hostname }}"
    expires_in: 600
    force: true
  delegate_to: localhost
  no_log: true
  register: enrollment

- name: Nobody enrols with the token of the old rack any more
  nanny.ops.enrollment_token:
    name: rack 3
    state: absent
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
from ansible_collections.nanny.ops.plugins.module_utils.calls import ENROLLMENT
from ansible_collections.nanny.ops.plugins.module_utils.tokens import ENROLLMENT_TOKENS, ensure

SPEC = {
    "name": {"type": "str"},
    "token_id": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "force": {"type": "bool", "default": False},
    "expires_in": {"type": "int"},
    "team_id": {"type": "str"},
    "max_uses": {"type": "int", "default": 1},
    "ranges": {"type": "list", "elements": "str", "default": []},
    "tags": {"type": "list", "elements": "str", "default": []},
}


def work(module, plane):
    """Make, keep, replace or end tokens."""
    return ensure(module, plane, ENROLLMENT_TOKENS, {name: module.params[name] for name in ENROLLMENT})


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
