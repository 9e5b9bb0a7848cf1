# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of Proxmox VE through proxmoxer, as an administrator of its users has it."""

from __future__ import annotations

import traceback
from urllib.parse import urlsplit

from ansible_collections.nanny.ops.plugins.module_utils.pve_access import Found

try:
    import requests
    from proxmoxer import ProxmoxAPI
    from proxmoxer.core import AuthenticationError, ResourceException

    MISSING = None
except ImportError:
    MISSING = traceback.format_exc()

#: Seconds for one answer: without quorum a change is refused only after nine.
TIMEOUT = 30
ADVICE = {
    401: "Look whether the administrator's password or token is right.",
    403: "The administrator needs Sys.Modify on /access, User.Modify on /access/groups, Realm.AllocateUser on "
    "/access/realm/pve and Permissions.Modify on /, as root@pam and the role Administrator have them.",
}


class PveError(Exception):
    """Proxmox VE refused, or could not be asked."""


class Pve:
    """Asks one API; everything raises PveError with a sentence that says what to do."""

    def __init__(self, url, user, password=None, token_id=None, token_secret=None, verify=True):
        """Take the address and who asks; ``verify`` is whether, or by which file, its certificate is looked at."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username:
            raise PveError("'%s' is no address of an API; write https://node:8006." % url)
        host = "[%s]" % parts.hostname if ":" in parts.hostname else parts.hostname
        self.url = "https://%s:%d" % (host, parts.port or 8006)
        who = {"token_name": token_id, "token_value": token_secret} if token_id else {"password": password}
        self._api = self._asked(
            "POST",
            "access/ticket",
            lambda: ProxmoxAPI(host, port=parts.port or 8006, user=user, verify_ssl=verify, timeout=TIMEOUT, **who),
        )

    def ask(self, method, path, /, **given):
        """Return the data of a call."""
        return self._asked(method.upper(), path, lambda: getattr(self._api(path), method)(**given))

    def release(self):
        """Return the release, such as 9.2."""
        return str(self.ask("get", "version")["release"])

    def look(self, user, token, roles):
        """Return what there is of a user, its token and roles."""
        listed = {row["roleid"]: _words(row.get("privs")) for row in self.ask("get", "access/roles")}
        there = any(row["userid"] == user for row in self.ask("get", "access/users"))
        found = self.ask("get", "access/users/%s" % user) if there else None
        tokens = dict((found or {}).get("tokens") or {})
        whose = (user, "%s!%s" % (user, token))
        rows = [
            (row["path"], row["roleid"], int(row.get("propagate", 1)), row["ugid"])
            for row in self.ask("get", "access/acl")
            if row["ugid"] in whose and row["type"] in ("user", "token")
        ]
        return Found(
            {name: listed.get(name) for name in roles},
            found,
            tokens.pop(token, None),
            sorted(rows),
            sorted(tokens),
        )

    def _asked(self, method, path, ask):
        try:
            return ask()
        except AuthenticationError:
            raise PveError("%s does not let the administrator in. %s" % (self.url, ADVICE[401])) from None
        except ResourceException as refused:
            raise PveError(_sentence(method, path, refused)) from None
        except requests.exceptions.SSLError as broken:
            hint = "Its certificate is not trusted: name the cluster's own authority, /etc/pve/pve-root-ca.pem."
            raise PveError("No answer from %s: %s. %s" % (self.url, _cause(broken), hint)) from None
        except requests.exceptions.RequestException as broken:
            raise PveError("No answer from %s: %s." % (self.url, _cause(broken))) from None


def _words(text):
    return [one for one in (text or "").split(",") if one]


def _cause(broken):
    return getattr(broken.args[0], "reason", broken) if broken.args else broken


def _sentence(method, path, refused):
    wrong = "; ".join("%s: %s" % pair for pair in sorted((refused.errors or {}).items()) if refused.status_code == 400)
    said = str(refused.content).strip()
    parts = ["%s /%s: %d %s" % (method, path, refused.status_code, said + ("" if said[-1:] in ".!?" else "."))]
    return " ".join(part for part in [*parts, wrong, ADVICE.get(refused.status_code, "")] if part)
