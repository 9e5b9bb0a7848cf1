#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what on a Proxmox VE cluster for an agent."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: proxmox_access
short_description: Give an agent access to Proxmox VE, and no more than it needs
version_added: 0.1.0
description:
  - Makes sure that a Proxmox VE cluster has a role with just the privileges for what is allowed, a user that has just
    this role, and a token of that user with separated privileges and the same grants. What else somebody granted to
    either is taken away.
  - Nothing is granted on C(/access), and what is granted on C(/) is not handed on.
  - Names privileges as the release calls them. Tested with the interfaces of Proxmox VE 8.4 and 9.2.
  - Runs where the API can be reached, mostly on the controller.
author:
  - The authors of nanny-ops (@nanny-ops)
requirements:
  - proxmoxer >= 2.3
  - requests
attributes:
  check_mode:
    description: Can run in C(check_mode) and tells what would change without changing anything.
    support: full
  diff_mode:
    description: Tells what has changed, or in C(check_mode) would change, in diff mode.
    support: full
options:
  state:
    description:
      - V(absent) removes the token, and with the last one the user, its grants and its roles.
    type: str
    choices: [present, absent]
    default: present
  api_url:
    description: Address of the API of any node of the cluster, such as V(https://pve1:8006).
    type: str
    required: true
  api_user:
    description: Who changes users there. Read from E(PROXMOX_USER) where it is not given.
    type: str
    default: root@pam
  api_password:
    description: Its password. Read from E(PROXMOX_PASSWORD) where it is not given.
    type: str
  api_token_id:
    description:
      - Name of a token of that user, instead of a password.
      - Read from E(PROXMOX_TOKEN_ID) where it is not given.
    type: str
  api_token_secret:
    description: The secret of that token. Read from E(PROXMOX_TOKEN_SECRET) where it is not given.
    type: str
  ca_certificate:
    description: Certificates in PEM of the authority that signs those of the nodes, as in C(/etc/pve/pve-root-ca.pem).
    type: str
  validate_certs:
    description: Whether the certificate of the node must be valid. Leave it on wherever others could listen.
    type: bool
    default: true
  user:
    description: The user, written V(name@realm). It should be used for nothing else.
    type: str
    default: nanny-look@pve
  token:
    description: The name of the token. One for each node lets one of them be ended alone.
    type: str
    required: true
  role:
    description: The name of the role. With V(updates) in O(may) there is a second one with C(Updates) behind it.
    type: str
    default: NannyLook
  may:
    description:
      - What is allowed beside looking at everything.
      - V(updates) tells of pending updates of nodes. It takes C(Sys.Modify) on C(/nodes), which allows to change their
        network, too.
      - V(backup_age) tells of the newest backups of guests.
      - V(guest_agents) tells what guest agents in virtual machines say. On Proxmox VE 8 it takes C(VM.Monitor), which
        allows more.
      - V(snapshots) makes, removes and goes back to snapshots.
      - V(backups) makes backups.
      - V(power) starts, stops and reboots guests, and starts them after going back.
      - V(machines) patches virtual machines through their guest agents.
    type: list
    elements: str
    choices: [backup_age, backups, guest_agents, machines, power, snapshots, updates]
    default: []
  guests:
    description: On which paths it is allowed, such as V(/vms/101) or V(/pool/web), instead of on all guests.
    type: list
    elements: str
    default: [/vms]
  storages:
    description: On which paths of storages it is allowed, such as V(/storage/backups), instead of on all.
    type: list
    elements: str
    default: [/storage]
  token_days:
    description: How many days a new token is good; 0 is for ever.
    type: int
    default: 0
  renew_days:
    description: A token that has fewer days left is replaced by a new one of the same name, if O(token_days) is set.
    type: int
    default: 30
  rotate:
    description: Replace the token, because its secret is needed or may be known to others. The old secret ends at once.
    type: bool
    default: false
  comment:
    description: What is written beside a new user and token.
    type: str
    default: nanny-ops
"""

EXAMPLES = r"""
---
- name: The agent may look at everything
  nanny.ops.proxmox_access:
    api_url: https://pve1:8006
    api_password: "{{ vault_pve_password }}"
    token: pve1
  delegate_to: localhost
  no_log: true
  register: access

- name: Its jobs may protect and patch guests of one pool, with a token that lives a quarter of a year
  nanny.ops.proxmox_access:
    api_url: https://pve1:8006
    api_token_id: ansible
    api_token_secret: "{{ vault_pve_secret }}"
    user: nanny-job@pve
    role: NannyJob
    token: pve1
    may: [snapshots, power]
    guests: [/pool/web]
    token_days: 90
  delegate_to: localhost
  no_log: true
"""

RETURN = r"""
---
changes:
  description: Each thing that has changed, or in check mode would change.
  returned: success
  type: list
  elements: str
  sample: ["take Sys.Modify from the role NannyLook"]
token_id:
  description: The token without its secret.
  returned: success
  type: str
  sample: nanny-look@pve!pve1
secret:
  description: The secret of a token that was made. It is never shown again. Use C(no_log).
  returned: success
  type: str
  sample: ""
release:
  description: The release of Proxmox VE.
  returned: success
  type: str
  sample: "9.2"
privileges:
  description: The wanted privileges, by role.
  returned: success
  type: dict
  sample: {"NannyLook": ["Datastore.Audit", "Pool.Audit", "Sys.Audit", "VM.Audit"]}
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib
from ansible_collections.nanny.ops.plugins.module_utils import pve_access
from ansible_collections.nanny.ops.plugins.module_utils.pve_api import MISSING, Pve, PveError

SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "api_url": {"type": "str", "required": True},
    "api_user": {"type": "str", "default": "root@pam", "fallback": (env_fallback, ["PROXMOX_USER"])},
    "api_password": {"type": "str", "no_log": True, "fallback": (env_fallback, ["PROXMOX_PASSWORD"])},
    "api_token_id": {"type": "str", "no_log": False, "fallback": (env_fallback, ["PROXMOX_TOKEN_ID"])},
    "api_token_secret": {"type": "str", "no_log": True, "fallback": (env_fallback, ["PROXMOX_TOKEN_SECRET"])},
    "ca_certificate": {"type": "str"},
    "validate_certs": {"type": "bool", "default": True},
    "user": {"type": "str", "default": "nanny-look@pve"},
    "token": {"type": "str", "required": True, "no_log": False},
    "role": {"type": "str", "default": "NannyLook"},
    "may": {
        "type": "list",
        "elements": "str",
        "choices": ["backup_age", "backups", "guest_agents", "machines", "power", "snapshots", "updates"],
        "default": [],
    },
    "guests": {"type": "list", "elements": "str", "default": ["/vms"]},
    "storages": {"type": "list", "elements": "str", "default": ["/storage"]},
    "token_days": {"type": "int", "default": 0, "no_log": False},
    "renew_days": {"type": "int", "default": 30},
    "rotate": {"type": "bool", "default": False},
    "comment": {"type": "str", "default": "nanny-ops"},
}


def work(options, api, now, check_mode):
    """Bring a cluster to what the options want, and return what the module tells; ``now`` in seconds of the epoch."""
    release = api.release()
    chosen = {name: options[name] for name in ("user", "token", "role", "may", "guests", "storages", "comment")}
    want = pve_access.wanted(release=release, **chosen)
    found = api.look(want.user, want.token, pve_access.ours(options["role"]))
    life = pve_access.Life(options["token_days"], options["renew_days"], options["rotate"])
    if options["state"] == "present":
        steps = pve_access.make(want, found, life, now)
        becomes = pve_access.after(want, found, steps, life, now)
    else:
        steps = pve_access.remove(want, found, options["role"])
        becomes = pve_access.left(want, found)
    return {
        "changed": bool(steps),
        "changes": [said for step in steps for said in step.says],
        "token_id": "%s!%s" % (want.user, want.token),
        "secret": None if check_mode else _do(api, steps),
        "release": release,
        "privileges": want.roles,
        "diff": {"before": pve_access.shown(found, want), "after": becomes},
    }


def _do(api, steps):
    secret = None
    for step in steps:
        answer = api.ask(step.method, step.path, **step.given)
        if isinstance(answer, dict):
            secret = answer.get("value") or secret
    return secret


def _api(module):
    options = module.params
    verify = options["validate_certs"]
    if verify and options["ca_certificate"]:
        verify = os.path.join(module.tmpdir, "authority.pem")
        with open(verify, "w") as file:
            file.write(options["ca_certificate"])
    who = {"token_id": options["api_token_id"], "token_secret": options["api_token_secret"]}
    return Pve(options["api_url"], options["api_user"], password=options["api_password"], verify=verify, **who)


def main():
    """Run as a module."""
    module = AnsibleModule(
        argument_spec=SPEC,
        supports_check_mode=True,
        required_together=[("api_token_id", "api_token_secret")],
        required_one_of=[("api_password", "api_token_id")],
    )
    if MISSING:
        module.fail_json(msg=missing_required_lib("proxmoxer and requests"), exception=MISSING)
    try:
        module.exit_json(**work(module.params, _api(module), time.time(), module.check_mode))
    except PveError as wrong:
        module.fail_json(msg=str(wrong))


if __name__ == "__main__":
    main()
