#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of tokens with which machines enrol."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: enrollment_token_info
short_description: Tell which tokens with which machines enrol there are
version_added: 0.1.0
description:
  - Lists tokens with which machines enrol, newest first, without their secrets.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.INFO
options:
  name:
    description: Only tokens of this name.
    type: str
  condition:
    description: Only tokens of this condition.
    type: str
    choices: [usable, used_up, expired, revoked]
"""

EXAMPLES = r"""
---
- name: Look for what is still good
  nanny.ops.enrollment_token_info:
    condition: usable
  register: found
"""

RETURN = r"""
---
tokens:
  description: The tokens.
  returned: success
  type: list
  elements: dict
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
    last_used_at:
      description: When it was used last, to the minute, in UTC; none where it never was.
      type: str
      returned: always
      sample: "2026-01-31T02:00:00Z"
    uses:
      description: How often a machine enrolled with it.
      type: int
      returned: always
      sample: 3
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run

SPEC = {
    "name": {"type": "str"},
    "condition": {"type": "str", "choices": ["usable", "used_up", "expired", "revoked"]},
}


def work(module, plane):
    """Return the tokens that are wanted."""
    wanted = module.params["condition"]
    found = plane.every("enrollment tokens", name=module.params["name"] or None)
    return {"changed": False, "tokens": [one for one in found if not wanted or one["condition"] == wanted]}


def main():
    """Run as a module."""
    run(work, SPEC)


if __name__ == "__main__":
    main()
