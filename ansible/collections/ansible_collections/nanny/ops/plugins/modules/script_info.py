#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which patch scripts there are."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: script_info
short_description: Tell which patch scripts there are
version_added: 0.1.0
description:
  - Lists versions of scripts, newest first, without their content.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.INFO
options:
  name:
    description: Only versions of scripts of this name.
    type: str
  script_id:
    description: Only this version.
    type: str
"""

EXAMPLES = r"""
---
- name: Which scripts are there?
  nanny.ops.script_info:
  register: found
"""

RETURN = r"""
---
scripts:
  description: The versions.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id, which orders name.
      type: str
      returned: always
      sample: own-0123456789abcdef
    name:
      description: Its name.
      type: str
      returned: always
      sample: refresh-only
    sha256:
      description: The hash of its bytes.
      type: str
      returned: always
      sample: 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
    shipped:
      description: Whether it came with the control plane.
      type: bool
      returned: always
      sample: true
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run

SPEC = {"name": {"type": "str"}, "script_id": {"type": "str"}}


def work(module, plane):
    """Return the scripts that are wanted."""
    options = module.params
    if options["script_id"]:
        return {"changed": False, "scripts": [plane.ask("script", script_id=options["script_id"])]}
    return {"changed": False, "scripts": plane.every("scripts", name=options["name"])}


def main():
    """Run as a module."""
    run(work, SPEC, mutually_exclusive=[("name", "script_id")])


if __name__ == "__main__":
    main()
