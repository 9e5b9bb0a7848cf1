# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of an order beside its agent and its target: options of modules, with the names of the API."""

from __future__ import annotations

HOOK = {
    "stage": {"type": "str", "choices": ["pre", "post"], "required": True},
    "script_id": {"type": "str", "required": True},
    "args": {"type": "list", "elements": "str"},
    "timeout_seconds": {"type": "int"},
    "on_failure": {"type": "str", "choices": ["must-succeed", "ignore", "always"]},
}
PROBE = {
    "kind": {
        "type": "str",
        "choices": ["unit", "tcp", "http", "command", "load", "services"],
        "required": True,
    },
    "unit": {"type": "str"},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "url": {"type": "str"},
    "path": {"type": "str"},
    "status": {"type": "int"},
    "body": {"type": "str"},
    "argv": {"type": "list", "elements": "str"},
    "most": {"type": "float"},
    "timeout_seconds": {"type": "int"},
}
#: What travels with the order itself; what is not given is left to the control plane.
TERMS = {
    "mode": {"type": "str", "choices": ["apply", "dry-run"], "default": "apply"},
    "as_shown": {"type": "str"},
    "reason": {"type": "str"},
    "timeout_seconds": {"type": "int"},
    "expires_at": {"type": "str"},
    "script_id": {"type": "str"},
    "script_args": {"type": "str"},
    "exclude": {"type": "list", "elements": "str"},
    "only": {"type": "list", "elements": "str"},
    "security_only": {"type": "bool"},
    "dist_upgrade": {"type": "bool"},
    "autoremove": {"type": "bool"},
    "conffiles": {"type": "str", "choices": ["keep", "hold-back"]},
    "repair": {"type": "bool"},
    "lock_timeout_seconds": {"type": "int"},
    "protect": {"type": "str", "choices": ["none", "prefer-snapshot", "require-snapshot", "require-backup"]},
    "backup_max_age_hours": {"type": "int"},
    "backup_storage": {"type": "str"},
    "rollback": {"type": "str", "choices": ["auto", "never"]},
    "snapshot_keep": {"type": "int"},
    "snapshot_max_age_hours": {"type": "int"},
    "start_stopped": {"type": "bool"},
    "bake_seconds": {"type": "int"},
    "hooks": {"type": "list", "elements": "dict", "options": HOOK},
    "probes": {"type": "list", "elements": "dict", "options": PROBE},
}
