# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People's accounts: which one is meant, and what of it is otherwise than it should be."""

from __future__ import annotations

#: What a diff shows of an account.
SHOWN = ("email", "name", "is_admin", "roles", "disabled")


def account_of(plane, email):
    """Return the account of an address, or None."""
    found = plane.every("users", email=email.strip())
    return found[0] if found else None


def outline(account):
    """Return what a diff shows of an account."""
    return {name: account[name] for name in SHOWN}


def wanted_of(options, account):
    """Return what must be asked for, so that an account is as the options say, and what a diff then shows."""
    body, after = {}, outline(account)
    for name in ("name", "disabled"):
        if options[name] not in (None, account[name]):
            body[name] = after[name] = options[name]
    role, team = options["role"], options["team_id"] or ""
    if role and not _has(account, role, team):
        body.update({"role": role, "team_id": team} if team else {"role": role})
        after["is_admin"] = role == "admin" and not team
        after["roles"] = {team or _only(account): role}
    return body, after


def _has(account, role, team):
    if account["is_admin"] or (role == "admin" and not team):
        return account["is_admin"] and role == "admin" and not team
    return account["roles"].get(team) == role if team else set(account["roles"].values()) == {role}


def _only(account):
    return ", ".join(sorted(account["roles"]))
