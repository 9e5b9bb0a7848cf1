#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do once what an event asks for, whatever is killed on the way."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: once
short_description: Do once what an event asks for
version_added: 0.1.0
description:
  - Takes a piece of work for the playbook that runs, and notes when it is done.
  - Work that is done is nobody's any more. Work that a playbook has begun which was killed belongs to the next one that
    asks; while that playbook or one of its modules still runs, the next one waits.
  - What stands between the two tasks is done to its end once. Where a kill cut it short it begins anew, so its tasks
    must be such that may, as tasks of Ansible are; what cannot be done twice needs a key of its own there, such as
    O(nanny.ops.operation#module:idempotency_key).
author:
  - The authors of nanny-ops (@nanny-ops)
attributes:
  action:
    description: It is done by a plugin on the controller.
    support: full
  check_mode:
    description: Nothing is taken nor noted.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  key:
    description: What the work is known by, such as C(meta.uuid) of an event.
    type: str
    required: true
  directory:
    description: Where it is noted, on the controller's own disk; made where it is not there.
    type: path
    required: true
  state:
    description: Whether the work begins, or is done.
    type: str
    choices: [begun, done]
    default: begun
  wait:
    description: Seconds to wait for another playbook that is at it.
    type: int
    default: 3600
  keep_days:
    description: Days for which it is known that something was done.
    type: int
    default: 90
"""

EXAMPLES = r"""
---
- name: Take the event
  nanny.ops.once:
    key: "{{ ansible_eda.event.meta.uuid }}"
    directory: /var/lib/rulebooks/done
  register: taken

- name: Leave what is done
  ansible.builtin.meta: end_play
  when: not taken.mine

- name: Restart what must be restarted
  nanny.ops.operation:
    agent_id: "{{ ansible_eda.event.nanny.detail.agent_id }}"
    kind: reboot
    idempotency_key: "{{ ansible_eda.event.meta.uuid }}"

- name: Note that it is done
  nanny.ops.once:
    key: "{{ ansible_eda.event.meta.uuid }}"
    directory: /var/lib/rulebooks/done
    state: done
"""

RETURN = r"""
---
mine:
  description: Whether the work is this playbook's to do.
  type: bool
  returned: success
  sample: true
resumed:
  description: Whether a playbook began it before and was ended on the way.
  type: bool
  returned: success
  sample: false
"""
