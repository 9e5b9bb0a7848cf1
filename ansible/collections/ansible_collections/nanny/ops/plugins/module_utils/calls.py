# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that this collection asks of the control plane: the addresses, what is sent and what is read.

A test compares each line with the OpenAPI document of the control plane, and the client refuses what stands in none.
"""

from __future__ import annotations

from collections import namedtuple

#: One thing to ask. ``query`` and ``sends`` are names that may be sent, ``reads`` those of an answer (of a list: of one
#: of its items) that plugins look at; they hand everything else on as it came.
Call = namedtuple("Call", ["method", "path", "query", "sends", "reads"])

#: Names of a patch order, beside the agent and the guest.
ORDER = (
    "mode",
    "as_shown",
    "script_id",
    "script_args",
    "exclude",
    "only",
    "security_only",
    "timeout_seconds",
    "expires_at",
    "dist_upgrade",
    "autoremove",
    "conffiles",
    "repair",
    "lock_timeout_seconds",
    "protect",
    "backup_max_age_hours",
    "backup_storage",
    "rollback",
    "snapshot_keep",
    "snapshot_max_age_hours",
    "start_stopped",
    "bake_seconds",
    "hooks",
    "probes",
)
#: Names of a reboot, beside the agent and the guest.
REBOOT = ("reason", "timeout_seconds", "expires_at")
#: Names of a token for a fleet, and of one for automation or an agent.
ENROLLMENT = ("name", "max_uses", "expires_in", "ranges", "tags", "team_id")
OWN = ("name", "kind", "scopes", "agent_id", "expires_in", "team_id")
#: Names of an exception.
EXCEPTION = ("package", "reason", "scope", "tag", "agent_id", "guest_id", "expires_at")
#: Names of a report of a play.
PLAY = (
    "playbook",
    "check",
    "started_at",
    "ended_at",
    "hosts",
    "tasks",
    "left_out",
    "ansible_version",
    "team_id",
)
PLACE = ("agent_id", "vmid")
#: What an inventory tells of a host or guest.
HOST = (
    "kind",
    "target",
    "name",
    "agent_id",
    "vmid",
    "guest_id",
    "node",
    "cluster",
    "status",
    "tags",
    "pool",
    "template",
    "os",
    "address",
    "upkeep",
    "pending",
    "security",
    "restart_required",
    "facts",
)
_TOKEN = ("id", "name", "kind", "condition", "scopes", "ranges", "tags", "max_uses", "agent_id", "team_id")
_PATCH = ("id", "status", "outcome", "reason", "mode", "package_list")
_REBOOT = ("id", "status", "outcome", "explanation")
_USER = ("id", "email", "name", "is_admin", "roles", "disabled")
_AGENT = ("agent_id", "hostname", "status", "resting")


def _get(path, *query, reads=()):
    return Call("GET", path, query, (), reads)


def _list(path, *query, reads=()):
    return Call("GET", path, ("limit", "offset", *query), (), reads)


def _post(path, *sends, reads=()):
    return Call("POST", path, (), sends, reads)


CALLS = {
    "agents": _list("/api/agents", "hostname", reads=_AGENT),
    "agent": _get("/api/agents/{agent_id}", reads=_AGENT),
    "revoke agent": _post("/api/agents/{agent_id}/revoke", reads=_AGENT),
    "resume agent": _post("/api/agents/{agent_id}/resume", reads=_AGENT),
    "hosts": _list("/api/hosts", reads=HOST),
    "place patch": _post("/api/patches", *PLACE, *ORDER, reads=_PATCH),
    "patches": _list("/api/patches", "agent_id", "status", "outcome", "vmid", "mode", reads=_PATCH),
    "patch": _get("/api/patches/{operation_id}", reads=_PATCH),
    "cancel patch": _post("/api/patches/{operation_id}/cancel", reads=_PATCH),
    "patch stdout": _get("/api/patches/{operation_id}/stdout", "offset"),
    "patch stderr": _get("/api/patches/{operation_id}/stderr", "offset"),
    "place reboot": _post("/api/reboots", *PLACE, *REBOOT, reads=_REBOOT),
    "reboots": _list("/api/reboots", "agent_id", "status", "outcome", reads=_REBOOT),
    "reboot": _get("/api/reboots/{reboot_id}", reads=_REBOOT),
    "cancel reboot": _post("/api/reboots/{reboot_id}/cancel", reads=_REBOOT),
    "make enrollment token": _post("/api/enrollment-tokens", *ENROLLMENT, reads=(*_TOKEN, "token")),
    "enrollment tokens": _list("/api/enrollment-tokens", "name", reads=_TOKEN),
    "revoke enrollment token": _post("/api/enrollment-tokens/{token_id}/revoke", reads=_TOKEN),
    "make token": _post("/api/tokens", *OWN, reads=(*_TOKEN, "token")),
    "tokens": _list("/api/tokens", "name", reads=_TOKEN),
    "revoke token": _post("/api/tokens/{token_id}/revoke", reads=_TOKEN),
    "add script": _post("/api/scripts", "name", "content", "description", reads=("id", "sha256")),
    "scripts": _list("/api/scripts", "name", reads=("id", "name", "sha256", "shipped")),
    "script": _get("/api/scripts/{script_id}", reads=("id", "name", "sha256")),
    "script signatures": _get("/api/patches/{script_id}/signature", reads=("signatures", "key_id")),
    "sign script": _post("/api/scripts/{script_id}/signatures", "key_id", "signature", reads=("signatures",)),
    "add exception": _post("/api/package-exceptions", *EXCEPTION, reads=("id",)),
    "exceptions": _list("/api/package-exceptions", "active", reads=("id", *EXCEPTION)),
    "users": _list("/api/users", "email", reads=_USER),
    "add user": _post("/api/users", "email", "role", "password", "name", "team_id", reads=_USER),
    "change user": Call("PATCH", "/api/users/{user_id}", (), ("role", "team_id", "name", "disabled"), _USER),
    "set password": Call("PUT", "/api/users/{user_id}/password", (), ("password",), ("changed",)),
    "remove user": Call("DELETE", "/api/users/{user_id}", (), (), ("id",)),
    "report play": _post("/api/play-reports", *PLAY, reads=("id",)),
    "end exception": Call("DELETE", "/api/package-exceptions/{exception_id}", (), (), ("id",)),
}
