"""Who may see what: API tokens, the privileges they hold at paths, and how a request proves that it holds one."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nanny_ops.lab.pve.refusal import Refusal

#: What the role PVEAuditor holds.
AUDITOR = frozenset({"Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit"})
AUDITOR_9 = AUDITOR | {"VM.GuestAgent.Audit"}
#: Those of an administrator's privileges that the calls of this lab ask for.
ADMIN = AUDITOR | {"Sys.Modify", "Sys.PowerMgmt", "VM.Allocate", "VM.Config.Options", "VM.PowerMgmt", "VM.Migrate"}
#: Paths that /access/permissions lists for whoever holds something at the top.
WELL_KNOWN = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")


@dataclass(frozen=True)
class Token:
    """One API token: ``user@realm!name``, its secret, and its privileges by path, inherited by what lies below."""

    token_id: str
    secret: str = field(repr=False)
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    enabled: bool = True

    @property
    def user(self) -> str:
        """Return the user, ``name@realm``."""
        return self.token_id.partition("!")[0]

    @property
    def name(self) -> str:
        """Return the part behind the exclamation mark."""
        return self.token_id.partition("!")[2]

    def privileges(self, path: str) -> frozenset[str]:
        """Return what it holds at a path: the nearest grant at it or above it counts, as in Proxmox VE."""
        while True:
            if path in self.grants:
                return self.grants[path]
            if path in {"/", ""}:
                return frozenset()
            path = path.rpartition("/")[0] or "/"

    def may(self, path: str, privilege: str) -> bool:
        """Return whether it holds a privilege at a path."""
        return privilege in self.privileges(path)

    def need(self, path: str, privilege: str) -> None:
        """Raise Refusal with Proxmox VE's sentence unless it holds a privilege at a path."""
        if not self.may(path, privilege):
            raise Refusal(403, f"Permission check failed ({path}, {privilege})")

    def listing(self) -> dict[str, dict[str, int]]:
        """Return what /access/permissions answers."""
        paths = set(self.grants) | (set(WELL_KNOWN) if "/" in self.grants else set())
        return {path: dict.fromkeys(sorted(held), 1) for path in sorted(paths) if (held := self.privileges(path))}


def authenticate(tokens: Iterable[Token], header: str | None) -> Token:
    """Return the token that an Authorization header proves. Raises Refusal 401, to be answered late."""
    if header is None or not header.startswith(("PVEAPIToken=", "PVEAPIToken ")):
        raise Refusal(401, "No ticket", delay=True)
    token_id, _, secret = header[len("PVEAPIToken=") :].partition("=")
    for token in tokens:
        if token.token_id == token_id and token.enabled and hmac.compare_digest(token.secret, secret):
            return token
    raise Refusal(401, "Authentication failed!", delay=True)
