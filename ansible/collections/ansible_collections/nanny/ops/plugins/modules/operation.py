#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patch or reboot a host or a guest."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: operation
short_description: Patch or reboot a host or a guest
version_added: 0.1.0
description:
  - Orders a patch or a reboot from the agent of a node, and waits until it has ended.
  - A task is changed if packages were changed, or if the target has begun anew, as the agent proved.
  - In check mode a patch is a dry run, so that packages that would be changed are told; a reboot is not ordered.
  - An order that ends in anything but V(ok) or V(nothing_to_do) fails the task with the reason.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.CHANGES
  - nanny.ops.patch
options:
  kind:
    description: What to order.
    type: str
    choices: [patch, reboot]
    default: patch
  state:
    description:
      - V(present) orders it.
      - V(cancelled) takes the order O(operation_id) back, if it has not ended.
    type: str
    choices: [present, cancelled]
    default: present
  operation_id:
    description: Which order, for O(state=cancelled).
    type: str
  agent_id:
    description: The agent of the node, by its id. One of O(agent_id) and O(hostname) is needed to order something.
    type: str
  hostname:
    description: The agent of the node, by the name of its host.
    type: str
  vmid:
    description: The guest, by its number; the host itself unless given.
    type: int
  wait:
    description: Whether to wait until the order has ended. In check mode that is always done.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait. An order that takes longer goes on, and the task fails.
      - It should be longer than O(timeout_seconds), since an order may wait for others.
    type: int
    default: 7200
  output:
    description: Whether to return what the script printed.
    type: bool
    default: false
  idempotency_key:
    description:
      - A name for this order. Whoever orders the same once more with the same name gets the first order.
      - Made up for each task unless given, so that a request whose answer was lost is not carried out twice.
    type: str
  mode:
    description: Whether a patch is applied, or only tells what it would do.
    type: str
    choices: [apply, dry-run]
    default: apply
  as_shown:
    description:
      - The id of a dry run of the same target. What it listed is done, by its script and its options.
      - What comes out otherwise is told in RV(operation.differences). It is left out in check mode.
    type: str
  reason:
    description: Why a reboot is ordered.
    type: str
  timeout_seconds:
    description:
      - Seconds the script may run, or within which a target must have begun anew.
      - The default is the control plane's.
    type: int
  expires_at:
    description: Until when it must have begun, in UTC and ISO 8601; one day from now unless given.
    type: str
"""

EXAMPLES = r"""
---
- name: Patch every container of the play with a snapshot to go back to
  nanny.ops.operation:
    agent_id: "{{ nanny.agent_id }}"
    vmid: "{{ nanny.vmid }}"
    security_only: true
    protect: require-snapshot
    probes:
      - kind: services
      - kind: http
        port: 80
        status: 200
  delegate_to: localhost
  register: patched

- name: Reboot the nodes that need it, one after the other
  nanny.ops.operation:
    kind: reboot
    agent_id: "{{ nanny.agent_id }}"
    reason: new kernel
    timeout_seconds: 900
  delegate_to: localhost
  throttle: 1
  when: nanny.restart_required

- name: Take an order back
  nanny.ops.operation:
    state: cancelled
    operation_id: "{{ patched.operation.id }}"
"""

RETURN = r"""
---
operation:
  description: The order as the control plane shows it, with its packages and its report.
  returned: unless in check mode nothing had to be ordered
  type: dict
  contains:
    id:
      description: Its id.
      type: str
      returned: always
      sample: patch-8d2b
    status:
      description: V(pending), V(delivered), V(running), V(completed), V(failed), V(cancelled) or V(expired).
      type: str
      returned: always
      sample: completed
    outcome:
      description: What it came to, in a word; none while it is open.
      type: str
      returned: always
      sample: ok
    target:
      description: V(host), or the guest such as V(lxc:101).
      type: str
      returned: always
      sample: lxc:101
    differences:
      description: What came out otherwise than the dry run O(as_shown) has shown.
      type: list
      elements: dict
      returned: for a patch that has ended and was bound to a dry run
      sample: []
    package_list:
      description: Packages that were changed, or in a dry run would be.
      type: list
      elements: dict
      returned: for a patch that has ended
      sample: [{name: openssl, old_version: 3.0.14-1, version: 3.0.15-1, action: upgrade, security: true}]
    report:
      description: What else is told of the run, such as what was left, steps, probes and whether it must be restarted.
      type: dict
      returned: for a patch that has ended
      sample: {reboot_required: false}

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

import time
import uuid

from ansible_collections.nanny.ops.plugins.module_utils.arguments import run
from ansible_collections.nanny.ops.plugins.module_utils.calls import ORDER, REBOOT
from ansible_collections.nanny.ops.plugins.module_utils.order import (
    GOOD,
    agent_of,
    body_of,
    diff_of,
    has_ended,
    wait,
)
from ansible_collections.nanny.ops.plugins.module_utils.terms import TERMS

SPEC = {
    "kind": {"type": "str", "choices": ["patch", "reboot"], "default": "patch"},
    "state": {"type": "str", "choices": ["present", "cancelled"], "default": "present"},
    "operation_id": {"type": "str"},
    "agent_id": {"type": "str"},
    "hostname": {"type": "str"},
    "vmid": {"type": "int"},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 7200},
    "output": {"type": "bool", "default": False},
    "idempotency_key": {"type": "str", "no_log": False},
}
SPEC.update(TERMS)


def work(module, plane):
    """Order it and wait, or take it back."""
    if module.params["state"] == "cancelled":
        return _cancel(module, plane)
    agent = agent_of(plane, module.params["agent_id"], module.params["hostname"])
    rebooting = module.params["kind"] == "reboot"
    if rebooting and module.check_mode:
        return {"changed": True, "operation": None}
    place = _place_reboot if rebooting else _place_patch
    operation = place(module, plane, agent["agent_id"])
    if not (module.params["wait"] or module.check_mode):
        return {"changed": True, "operation": operation}
    known = has_ended(operation)  # the same idempotency_key made it before, so this task changes nothing
    return _told(module, plane, _awaited(module, plane, operation["id"]), known)


def _place_patch(module, plane, agent_id):
    body = body_of(module.params, ORDER, agent_id)
    if module.check_mode:
        body["mode"] = "dry-run"
        body.pop("as_shown", None)
    return plane.ask("place patch", body=body, key=_key(module) + ("-check" if module.check_mode else ""))


def _place_reboot(module, plane, agent_id):
    return plane.ask("place reboot", body=body_of(module.params, REBOOT, agent_id), key=_key(module))


def _key(module):
    return module.params["idempotency_key"] or str(uuid.uuid4())


def _show(module, plane, operation_id):
    if module.params["kind"] == "reboot":
        return plane.ask("reboot", reboot_id=operation_id)
    return plane.ask("patch", operation_id=operation_id)


def _awaited(module, plane, operation_id):
    timeout = module.params["wait_timeout"]
    found = wait(lambda: _show(module, plane, operation_id), has_ended, timeout, plane.clock, time.sleep)
    if not has_ended(found):
        msg = "After %d s the order %s is still %s. It goes on; nanny.ops.operation_info tells what becomes of it."
        module.fail_json(msg=msg % (timeout, operation_id, found["status"]), changed=True, operation=found)
    return found


def _told(module, plane, operation, known):
    done = bool(operation.get("package_list"))
    changed = done and (operation["mode"] == "apply" or module.check_mode) if "mode" in operation else True
    result = {"changed": changed and not known, "operation": operation}
    if "mode" in operation:
        result["diff"] = diff_of(operation)
        result.update(_output(module, plane, operation["id"]))
    if operation["outcome"] not in GOOD:
        why = operation["explanation"] if "explanation" in operation else operation["reason"]
        result["changed"] = done and not known
        module.fail_json(msg="The order %s ended as %s. %s" % (operation["id"], operation["outcome"], why), **result)
    return result


def _output(module, plane, operation_id):
    if not module.params["output"]:
        return {}
    names = ("stdout", "stderr")
    return {name: plane.text("patch " + name, operation_id=operation_id) for name in names}


def _cancel(module, plane):
    operation = _show(module, plane, module.params["operation_id"])
    changed = not has_ended(operation)
    if changed and not module.check_mode:
        name = "cancel " + module.params["kind"]
        place = "reboot_id" if module.params["kind"] == "reboot" else "operation_id"
        operation = plane.ask(name, repeat=True, **{place: operation["id"]})
    return {"changed": changed, "operation": operation}


def main():
    """Run as a module."""
    run(
        work,
        SPEC,
        mutually_exclusive=[("agent_id", "hostname")],
        required_if=[("state", "present", ("agent_id", "hostname"), True), ("state", "cancelled", ("operation_id",))],
    )


if __name__ == "__main__":
    main()
