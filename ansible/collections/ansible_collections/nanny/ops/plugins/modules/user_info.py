#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of people's accounts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: user_info
short_description: Tell which people's accounts there are
version_added: 0.1.0
description:
  - Lists accounts by address, closed ones too; needs the role V(admin), and of a token the scope V(admin).
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.INFO
options:
  email:
    description: Only the account of this address.
    type: str
"""

EXAMPLES = r"""
---
- name: Who is there
  nanny.ops.user_info:
  register: people
"""

RETURN = r"""
---
users:
  description: The accounts.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
      returned: always
      sample: user-71c2
    email:
      description: Its address.
      type: str
      returned: always
      sample: op@example.com
    name:
      description: How the person is called.
      type: str
      returned: always
      sample: op
    is_admin:
      description: Whether it is admin of the whole installation.
      type: bool
      returned: always
      sample: false
    roles:
      description: Its role by team.
      type: dict
      returned: always
      sample: {team-default: operator}
    disabled:
      description: Whether it is closed.
      type: bool
      returned: always
      sample: false
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run

SPEC = {"email": {"type": "str"}}


def work(module, plane):
    """Return the accounts that are wanted."""
    return {"changed": False, "users": plane.every("users", email=module.params["email"] or None)}


def main():
    """Run as a module."""
    run(work, SPEC)


if __name__ == "__main__":
    main()
