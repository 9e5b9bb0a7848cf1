#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patch a target that has no agent. What is done stands in the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: patch
short_description: Patch a target that has no agent
version_added: 0.1.0
description:
  - Runs the same patch scripts that agents run, over the connection that Ansible has to the target, and tells the
    result in the same shape. No control plane and no agent takes part, and no Python is needed on the target.
  - The script is chosen by the target's os-release. It is checked by its SHA-256 on the target, runs in a session of
    its own with a time limit that it carries with it, and goes on when the connection is lost; then its result is
    asked for.
  - One such run is at work on a target at a time. A second one, or a job of an agent in the same container, ends as
    V(blocked) with nothing changed.
  - The target needs root, POSIX C(sh), and C(flock), C(setsid), C(sha256sum), C(timeout) and the like of util-linux and
    coreutils or of busybox.
  - In check mode it is a dry run, so that packages that would be changed are told.
  - A run that ends in anything but V(ok) or V(nothing_to_do) fails the task with the reason, unless O(accept) names it.
author:
  - The authors of nanny-ops (@nanny-ops)
options:
  mode:
    description: Whether to apply, or only to tell what would be done.
    type: str
    choices: [apply, dry-run]
    default: apply
  exclude:
    description: Packages that stay as they are.
    type: list
    elements: str
    default: []
  holds:
    description:
      - Packages that are held back, each with the reason. They stay as they are and are told in
        RV(operation.report) with V(exception) and the reason. Nothing is marked on the target.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The package.
        type: str
        required: true
      reason:
        description: Why it is held back.
        type: str
        default: ""
  only:
    description: Of what can be upgraded, these packages only.
    type: list
    elements: str
    default: []
  security_only:
    description: Only what the distribution itself calls a security update.
    type: bool
    default: false
  dist_upgrade:
    description: Also what needs other packages to be removed.
    type: bool
    default: false
  autoremove:
    description: Also remove what nothing needs any more.
    type: bool
    default: false
  conffiles:
    description: Whether an administrator's own files are kept, or packages that would ask are left alone.
    type: str
    choices: [keep, hold-back]
    default: keep
  repair:
    description: Repair a transaction that was cut short before.
    type: bool
    default: false
  lock_timeout_seconds:
    description: Seconds to wait for another package manager.
    type: int
    default: 300
  timeout_seconds:
    description: Seconds the script may run. Then it is ended with all its children.
    type: int
    default: 3600
  script:
    description:
      - A script of your own on the controller, looked for as files are; it runs by its C(#!).
      - It is told its options and judged by its output as the carried ones are.
    type: path
  script_args:
    description: Further arguments of the script, split as a shell splits words, but never run by one.
    type: str
    default: ""
  reboot:
    description:
      - Whether the target is restarted where the script tells that it needs it. A restart is proved by another boot
        id, or in a container by another start of its first process.
    type: str
    choices: [never, if-required]
    default: never
  reboot_timeout_seconds:
    description: Seconds within which the target must have begun anew and answer.
    type: int
    default: 600
  accept:
    description: Outcomes that do not fail the task beside V(ok) and V(nothing_to_do), such as V(partial).
    type: list
    elements: str
    default: []
  output:
    description: Whether to return what the script printed, without what looks like a secret.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode, as a dry run.
    support: full
  diff_mode:
    description: Tells packages with their versions before and after.
    support: full
seealso:
  - module: nanny.ops.operation
    description: The same by an agent, with snapshots, probes and the way back.
"""

EXAMPLES = r"""
---
- name: Bring security updates, and restart what needs it
  nanny.ops.patch:
    security_only: true
    reboot: if-required
  register: patched

- name: Tell what came
  ansible.builtin.debug:
    msg: "{{ patched | nanny.ops.package_changes | map(attribute='name') }}"

- name: Everything but the database, for a dead repository of others is no reason to stop
  nanny.ops.patch:
    holds:
      - name: postgresql-16
        reason: the vendor has not released its extension for 16.9
    accept: [partial]
"""

RETURN = r"""
---
operation:
  description: What came of it, in the shape of an order of the control plane.
  returned: always
  type: dict
  contains:
    id:
      description: None, as nothing of it is written down anywhere.
      type: str
      returned: always
      sample: null
    target:
      description: The host's name in the inventory.
      type: str
      returned: always
      sample: web1
    mode:
      description: V(apply) or V(dry-run).
      type: str
      returned: always
      sample: apply
    status:
      description: V(completed) or V(failed).
      type: str
      returned: always
      sample: completed
    outcome:
      description: What it came to, in a word, such as V(ok), V(nothing_to_do), V(partial), V(blocked) or V(timed_out).
      type: str
      returned: always
      sample: ok
    reason:
      description: The same in a sentence.
      type: str
      returned: always
      sample: 3 packages.
    exit_code:
      description: How the script ended; none if it was not begun, or nothing is known of it.
      type: int
      returned: always
      sample: 0
    duration:
      description: Milliseconds the script ran.
      type: int
      returned: always
      sample: 41000
    package_list:
      description: Packages that were changed, or in a dry run would be; none if nobody told.
      type: list
      elements: dict
      returned: always
      sample: [{name: openssl, old_version: 3.0.14-1, version: 3.0.15-1, action: upgrade, security: true}]
    package_count:
      description: How many they are.
      type: int
      returned: always
      sample: 1
    report:
      description: What else is told of the run, such as what was left and whether it must be restarted.
      type: dict
      returned: always
      sample: {reboot_required: false}
rebooted:
  description: Whether the target was restarted and has come up again.
  returned: always
  type: bool
  sample: false
stdout:
  description: What the script printed on its output.
  returned: when O(output=true)
  type: str
  sample: "[]"
stderr:
  description: What the script printed on its error output.
  returned: when O(output=true)
  type: str
  sample: ""
"""
