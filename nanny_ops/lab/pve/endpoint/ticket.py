"""Logging in with a password: the ticket, the token against forged requests, and what the user may roughly do."""

import re
from typing import Any

from nanny_ops.lab.pve.api import Api, Route
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import PasswordWrong

#: Part of the console -> path whose privileges it goes by, and which of them it knows.
PARTS = {
    "vms": ("/vms", r"VM\.|Permissions\.Modify"),
    "storage": ("/storage", r"Datastore\.|Permissions\.Modify"),
    "access": ("/access", r"User\.|Group\.|Permissions\.Modify"),
    "nodes": ("/nodes", r"Sys\.|Permissions\.Modify"),
    "sdn": ("/sdn", r"SDN\.|Permissions\.Modify"),
    "dc": ("/", r"Sys\.(?:Audit|Modify)$|SDN\."),
    "mapping": ("/mapping", r"Mapping\.|Permissions\.Modify"),
}


def describe(_api: Api, _call: Call) -> Any:
    """Answer with nothing; a form asks for it before it logs in."""
    return


def log_in(api: Api, call: Call) -> Any:
    """Answer with a ticket for a user's password or older ticket. Raises PasswordWrong."""
    userid = call.text("username")
    if realm := call.text("realm"):
        userid = f"{userid}@{realm}"
    if not api.login.password_fits(userid, call.text("password"), call.now):
        raise PasswordWrong
    found: dict[str, Any] = {
        "username": userid,
        "ticket": api.login.ticket(userid, call.now),
        "CSRFPreventionToken": api.login.csrf_token(userid, call.now),
        "cap": {part: _held(api, userid, path, wanted) for part, (path, wanted) in PARTS.items()},
    }
    return found | ({} if api.cluster.standalone else {"clustername": api.cluster.name})


def _held(api: Api, userid: str, path: str, wanted: str) -> dict[str, int]:
    held = api.access.privileges(userid, path)
    return {privilege: 1 for privilege in sorted(held) if re.match(wanted, privilege)}


def verify(api: Api, call: Call) -> Any:
    """Answer with nothing when a console's ticket is good. Raises PasswordWrong."""
    if api.login.holder(call.text("vncticket"), call.now) != call.text("authid"):
        raise PasswordWrong


ROUTES = (
    Route("GET", "/access/ticket", describe),
    Route("POST", "/access/ticket", log_in),
    Route("POST", "/access/vncticket", verify),
)
