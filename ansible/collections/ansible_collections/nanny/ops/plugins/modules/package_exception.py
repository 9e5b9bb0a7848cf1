#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that are held back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: package_exception
short_description: Hold packages back, or end that
version_added: 0.1.0
description:
  - An exception keeps a package as it is in every order that is placed while it counts, and every result names it.
  - Orders that are placed already keep what they were placed with.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.CHANGES
options:
  package:
    description: The name of the package.
    type: str
    required: true
  state:
    description: Whether the package is held back where O(scope) says.
    type: str
    choices: [present, absent]
    default: present
  reason:
    description: Why, for those who find it later. Needed for O(state=present).
    type: str
  scope:
    description:
      - V(fleet) is all of the team.
      - V(group) is every agent and guest with the tag O(tag).
      - V(host) is the host of O(agent_id) itself, not its guests.
      - V(guest) is the guest O(guest_id), wherever it moves.
    type: str
    choices: [fleet, group, host, guest]
    default: fleet
  tag:
    description: The tag for O(scope=group).
    type: str
    default: ""
  agent_id:
    description: The agent for O(scope=host).
    type: str
    default: ""
  guest_id:
    description: The guest for O(scope=guest), by the control plane's id of it.
    type: str
    default: ""
  expires_at:
    description: Until when, in UTC and ISO 8601; until it is removed unless given.
    type: str
    default: ""
"""

EXAMPLES = r"""
---
- name: Containers need the old containerd until the fix is out
  nanny.ops.package_exception:
    package: containerd
    reason: 1.7.29 breaks Docker in containers
    scope: group
    tag: docker
    expires_at: "2026-03-01T00:00:00Z"

- name: The fix is out
  nanny.ops.package_exception:
    package: containerd
    scope: group
    tag: docker
    state: absent
"""

RETURN = r"""
---
held:
  description: The exception that counts now; none for O(state=absent).
  returned: success
  type: dict
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
    active:
      description: Whether it counts.
      type: bool
      returned: always
      sample: true
ended:
  description: Ids of the exceptions that were ended, since they were not wanted or said something else.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run
from ansible_collections.nanny.ops.plugins.module_utils.calls import EXCEPTION
from ansible_collections.nanny.ops.plugins.module_utils.instant import same_instant

SPEC = {
    "package": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "reason": {"type": "str"},
    "scope": {"type": "str", "choices": ["fleet", "group", "host", "guest"], "default": "fleet"},
    "tag": {"type": "str", "default": ""},
    "agent_id": {"type": "str", "default": ""},
    "guest_id": {"type": "str", "default": ""},
    "expires_at": {"type": "str", "default": ""},
}
#: What tells where a package is held back, and what tells how.
PLACE = ("package", "scope", "tag", "agent_id", "guest_id")
SAID = ("reason", "expires_at")


def work(module, plane):
    """Hold back, say it anew, or end it; the new one counts before the old one ends."""
    options = module.params
    place = {name: options[name] for name in PLACE}
    there = [one for one in plane.every("exceptions", active=True) if place == {name: one[name] for name in PLACE}]
    wanted = {name: options[name] for name in EXCEPTION} if options["state"] == "present" else None
    fitting = [one for one in there if wanted and _says(one, wanted)][:1]
    unwanted = [one for one in there if one not in fitting]
    made = fitting[0] if fitting else None
    changed = bool(unwanted) or bool(wanted and not fitting)
    if changed and not module.check_mode:
        if wanted and not fitting:
            made = plane.ask("add exception", body=wanted)
        for one in unwanted:
            plane.ask("end exception", exception_id=one["id"])
    return {
        "changed": changed,
        "held": made,
        "ended": [one["id"] for one in unwanted],
        "diff": {"before": _shown(there[:1]), "after": _shown([wanted] if wanted else [])},
    }


def _says(one, wanted):
    return one["reason"] == wanted["reason"] and same_instant(one["expires_at"], wanted["expires_at"])


def _shown(rows):
    return {name: row.get(name) or "" for row in rows for name in PLACE + SAID}


def main():
    """Run as a module."""
    run(
        work,
        SPEC,
        required_if=[
            ("state", "present", ("reason",)),
            ("scope", "group", ("tag",)),
            ("scope", "host", ("agent_id",)),
            ("scope", "guest", ("guest_id",)),
        ],
    )


if __name__ == "__main__":
    main()
