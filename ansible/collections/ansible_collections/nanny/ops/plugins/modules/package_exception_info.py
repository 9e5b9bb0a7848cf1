#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which packages are held back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: package_exception_info
short_description: Tell which packages are held back
version_added: 0.1.0
description:
  - Lists exceptions, newest first.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.INFO
options:
  active:
    description: Only those that count now.
    type: bool
    default: true
  package:
    description: Only those of this package.
    type: str
"""

EXAMPLES = r"""
---
- name: Which packages are held back?
  nanny.ops.package_exception_info:
  register: held
"""

RETURN = r"""
---
exceptions:
  description: The exceptions.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
      returned: always
      sample: exception-19ab
    package:
      description: What is held back.
      type: str
      returned: always
      sample: containerd
    reason:
      description: Why.
      type: str
      returned: always
      sample: 1.7.29 breaks Docker in containers
    scope:
      description: V(fleet), V(group), V(host) or V(guest).
      type: str
      returned: always
      sample: group
    active:
      description: Whether it counts.
      type: bool
      returned: always
      sample: true
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run

SPEC = {"active": {"type": "bool", "default": True}, "package": {"type": "str"}}


def work(module, plane):
    """Return the exceptions that are wanted."""
    wanted = module.params["package"]
    found = plane.every("exceptions", active=True if module.params["active"] else None)
    return {"changed": False, "exceptions": [one for one in found if not wanted or one["package"] == wanted]}


def main():
    """Run as a module."""
    run(work, SPEC)


if __name__ == "__main__":
    main()
