#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People's accounts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: user
short_description: Make, change or remove people's accounts
version_added: 0.1.0
description:
  - An account is known by its e-mail address.
  - A token of automation with the scope V(admin) has the accounts that are in its team and in no other.
  - Only a signed-in admin of the installation has all, and makes admins of the installation.
  - Nobody changes their own role or removes their own account, and the only admin of the installation stays.
author:
  - The authors of nanny-ops (@nanny-ops)
extends_documentation_fragment:
  - nanny.ops.control_plane
  - nanny.ops.control_plane.CHANGES
options:
  email:
    description: The address with which the person signs in.
    type: str
    required: true
  state:
    description:
      - V(present) makes sure that the account is there as told; what is not told stays as it is.
      - V(absent) removes it with its tokens of automation. Consider O(disabled=true), which can be taken back.
    type: str
    choices: [present, absent]
    default: present
  role:
    description:
      - What the person may do. Needed to make an account.
      - V(admin) without O(team_id) is admin of the whole installation.
    type: str
    choices: [viewer, operator, admin]
  team_id:
    description: The team in which O(role) counts; unless given the only one, or for a new account its maker's first.
    type: str
  name:
    description: How the person is called; what stands before the @ unless given for a new account.
    type: str
  disabled:
    description: Whether the account is closed, so that nobody signs in with it.
    type: bool
  password:
    description:
      - The password. Needed to make an account.
      - It travels in the body of a request and is shown nowhere. Keep it in a vault.
    type: str
  update_password:
    description:
      - V(on_create) gives O(password) to new accounts only.
      - V(always) gives it to the account that is there, too. The task is changed if it was another one before; then
        whoever was signed in must sign in again.
      - With V(always) and O(password), check mode always reports a change, also where the password is this one
        already, since only giving it tells; so it says nothing of drift.
    type: str
    choices: [always, on_create]
    default: on_create
"""

EXAMPLES = r"""
---
- name: Who may patch
  nanny.ops.user:
    email: op@example.com
    role: operator
    password: "{{ vault_op_password }}"

- name: A password that was seen by others
  nanny.ops.user:
    email: op@example.com
    password: "{{ vault_op_new_password }}"
    update_password: always

- name: Away for a year
  nanny.ops.user:
    email: op@example.com
    disabled: true
"""

RETURN = r"""
---
user:
  description: The account; none for O(state=absent), and in check mode none that would be made.
  returned: success
  type: dict
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

from ansible_collections.nanny.ops.plugins.module_utils.accounts import account_of, outline, wanted_of
from ansible_collections.nanny.ops.plugins.module_utils.arguments import run

SPEC = {
    "email": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "role": {"type": "str", "choices": ["viewer", "operator", "admin"]},
    "team_id": {"type": "str"},
    "name": {"type": "str"},
    "disabled": {"type": "bool"},
    "password": {"type": "str", "no_log": True},
    "update_password": {"type": "str", "choices": ["always", "on_create"], "default": "on_create", "no_log": False},
}


def work(module, plane):
    """Make, change or remove the account."""
    there = account_of(plane, module.params["email"])
    if module.params["state"] == "absent":
        if there and not module.check_mode:
            plane.ask("remove user", user_id=there["id"])
        return _told(bool(there), there, None, {})
    if there is None:
        return _made(module, plane)
    return _changed(module, plane, there)


def _made(module, plane):
    options = module.params
    lacking = [name for name in ("role", "password") if not options[name]]
    if lacking:
        msg = "There is no account for %s; to make it, give: %s."
        module.fail_json(msg=msg % (options["email"], ", ".join(lacking)))
    body = {name: options[name] for name in ("email", "role", "password", "name", "team_id") if options[name]}
    made = None
    if not module.check_mode:
        made = plane.ask("add user", body=body)
        if options["disabled"]:
            made = plane.ask("change user", body={"disabled": True}, repeat=True, user_id=made["id"])
    after = outline(made) if made else {name: body[name] for name in sorted(body) if name != "password"}
    return _told(True, None, made, after)


def _changed(module, plane, there):
    options = module.params
    body, after = wanted_of(options, there)
    renewing = bool(options["password"]) and options["update_password"] != "on_create"  # noqa: S105
    changed, found = bool(body) or (renewing and module.check_mode), there
    if body and not module.check_mode:
        found = plane.ask("change user", body=body, repeat=True, user_id=there["id"])
        after = outline(found)
    if renewing and not module.check_mode:
        asked = {"password": options["password"]}
        changed |= plane.ask("set password", body=asked, repeat=True, user_id=there["id"])["changed"]
    return _told(changed, there, found, after)


def _told(changed, before, user, after):
    return {
        "changed": changed,
        "user": user,
        "diff": {"before": outline(before) if before else {}, "after": after},
    }


def main():
    """Run as a module."""
    run(work, SPEC)


if __name__ == "__main__":
    main()
