# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of what an order of a patch may say."""

from __future__ import annotations


class ModuleDocFragment:
    """What a patch does, what it spares, what must be there before it and what must be true after it."""

    DOCUMENTATION = r"""
options:
  script_id:
    description: Which script; the shipped one that fits the target unless given.
    type: str
  script_args:
    description: Further arguments of the script, split as a shell splits words, but never run by one.
    type: str
  exclude:
    description: Packages that stay as they are.
    type: list
    elements: str
  only:
    description: Of what can be upgraded, these packages only.
    type: list
    elements: str
  security_only:
    description: Only what the distribution itself calls a security update.
    type: bool
  dist_upgrade:
    description: Also what needs other packages to be removed.
    type: bool
  autoremove:
    description: Also remove what nothing needs any more.
    type: bool
  conffiles:
    description: Whether an administrator's own files are kept, or packages that would ask are left alone.
    type: str
    choices: [keep, hold-back]
  repair:
    description: Repair a transaction that was cut short before.
    type: bool
  lock_timeout_seconds:
    description: Seconds to wait for another package manager.
    type: int
  protect:
    description: What must be there before anything is changed, so that a guest can be set back.
    type: str
    choices: [none, prefer-snapshot, require-snapshot, require-backup]
  backup_max_age_hours:
    description: How old the newest backup may be.
    type: int
  backup_storage:
    description: Where a backup is made if none is young enough.
    type: str
  rollback:
    description: Whether a guest that is not healthy afterwards is set back to its snapshot.
    type: str
    choices: [auto, never]
  snapshot_keep:
    description: How many snapshots of orders a guest keeps.
    type: int
  snapshot_max_age_hours:
    description: How old they may become.
    type: int
  start_stopped:
    description: Start a stopped guest for this, and stop it again.
    type: bool
  bake_seconds:
    description: Seconds to wait after the script before the target is looked at.
    type: int
  hooks:
    description: Scripts that are run before or after.
    type: list
    elements: dict
    suboptions:
      stage:
        description: When.
        type: str
        choices: [pre, post]
        required: true
      script_id:
        description: Which script.
        type: str
        required: true
      args:
        description: Its arguments.
        type: list
        elements: str
      timeout_seconds:
        description: Seconds it may take.
        type: int
      on_failure:
        description: What its failure means.
        type: str
        choices: [must-succeed, ignore, always]
  probes:
    description: What must be true of the target afterwards. Only the fields of its kind count.
    type: list
    elements: dict
    suboptions:
      kind:
        description: What is looked at.
        type: str
        choices: [unit, tcp, http, command, load, services]
        required: true
      unit:
        description: The systemd unit that must be active.
        type: str
      host:
        description: Address to connect to; the target itself unless given.
        type: str
      port:
        description: The port that must accept connections.
        type: int
      url:
        description: The page that must answer.
        type: str
      path:
        description: The page on O(probes[].port), where no O(probes[].url) is given.
        type: str
      status:
        description: The status with which it must answer; any below 400 unless given.
        type: int
      body:
        description: What must stand in the answer.
        type: str
      argv:
        description: The command that must end with 0, and its arguments.
        type: list
        elements: str
      most:
        description: The load of one minute per CPU, at most.
        type: float
      timeout_seconds:
        description: Seconds one look may take.
        type: int
"""
