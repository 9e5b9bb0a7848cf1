"""The calls about users, tokens, roles and what they may do."""

from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.access import WELL_KNOWN, Token, User

#: SHA-1 of nothing: the digest of a file that is not there.
NOTHING = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def permissions(api: Api, call: Call) -> Any:
    """Answer with what a user or token may do, by path; of others only those with Sys.Audit on /access may know."""
    who = call.text("userid") or call.caller.who
    if who.partition("!")[0] != call.caller.user:
        call.caller.need("/access", "Sys.Audit")
    if path := call.text("path"):
        return {path: _held(api, who, path)}
    in_pools = {f"/vms/{vmid}" for vmid in api.cluster.pool_of()}
    paths = {*WELL_KNOWN, *in_pools, *(grant.path for grant in api.access.grants)}
    found = {path: _held(api, who, path) for path in sorted(paths)}
    return {path: held for path, held in found.items() if held}


def _held(api: Api, who: str, path: str) -> dict[str, int]:
    """Return privilege -> whether it holds below the path, too."""
    below = api.access.privileges(who, path, handed_on=True)
    return {name: int(name in below) for name in sorted(api.access.privileges(who, path))}


def users(api: Api, call: Call) -> Any:
    """Answer with the users; who may see no others sees itself."""
    sees_all = call.caller.may_any("/access/groups", ("User.Modify", "Sys.Audit"))
    found = [user for user in api.access.users.values() if sees_all or user.userid == call.caller.user]
    return api.shuffled([{"userid": user.userid, "realm-type": user.realm} | _user(user) for user in found])


def user(api: Api, call: Call) -> Any:
    """Answer with one user and its tokens. Raises Refusal."""
    found = _find(api, call)
    tokens = {token.name: _token(token) for token in _tokens(api, found)}
    return _user(found) | {"groups": list(found.groups)} | ({"tokens": tokens} if tokens else {})


def _find(api: Api, call: Call) -> User:
    userid = call.text("userid")
    if userid not in api.access.users:
        raise Refusal(500, f"no such user ('{userid}')")
    return api.access.users[userid]


def _user(user: User) -> Row:
    told = {"comment": user.comment, "email": user.email}
    return {"enable": int(user.enabled), "expire": user.expire} | {key: text for key, text in told.items() if text}


def _tokens(api: Api, user: User) -> list[Token]:
    return [token for token in api.access.tokens.values() if token.user == user.userid]


def _token(token: Token) -> Row:
    found: Row = {"expire": token.expire, "privsep": int(token.privsep)}
    return found | ({"comment": token.comment} if token.comment else {})


def tokens(api: Api, call: Call) -> Any:
    """Answer with a user's tokens."""
    return api.shuffled([{"tokenid": token.name} | _token(token) for token in _tokens(api, _find(api, call))])


def token(api: Api, call: Call) -> Any:
    """Answer with one token, without its secret. Raises Refusal."""
    return _token(_find_token(api, call))


def _find_token(api: Api, call: Call) -> Token:
    userid, name = call.text("userid"), call.text("tokenid")
    found = api.access.tokens.get(f"{userid}!{name}")
    if found is None:
        raise Refusal(500, f"no such token '{name}' for user '{userid}'")
    return found


def groups(api: Api, _call: Call) -> Any:
    """Answer with the groups."""
    return [{"groupid": name, "comment": comment, "users": ""} for name, comment in api.access.groups.items()]


def roles(api: Api, _call: Call) -> Any:
    """Answer with the roles and their privileges."""
    special = api.access.special
    return api.shuffled(
        [
            {"roleid": name, "privs": ",".join(sorted(held)), "special": int(name in special)}
            for name, held in api.access.roles.items()
        ]
    )


def role(api: Api, call: Call) -> Any:
    """Answer with the privileges of one role. Raises Refusal."""
    name = call.text("roleid")
    if name not in api.access.roles:
        raise Refusal(500, f"role '{name}' does not exist")
    return dict.fromkeys(sorted(api.access.roles[name]), 1)


def acl(api: Api, call: Call) -> Any:
    """Answer with the grants on paths whose permissions the caller may see or change."""
    return [
        {
            "path": grant.path,
            "propagate": int(grant.propagate),
            "roleid": grant.role,
            "type": grant.kind,
            "ugid": grant.who,
        }
        for grant in api.access.grants
        if call.caller.may_any(grant.path, ("Permissions.Modify", "Sys.Audit"))
    ]


def domains(api: Api, _call: Call) -> Any:
    """Answer with the realms; anyone may know them, to log in."""
    return api.shuffled([{"realm": name, "type": name, "comment": text} for name, text in api.access.realms.items()])


def domain(api: Api, call: Call) -> Any:
    """Answer with one realm. Raises Refusal."""
    name = call.text("realm")
    if name not in api.access.realms:
        raise Refusal(500, f"domain '{name}' does not exist")
    plugin = {"pam": "PVE::Auth::PAM", "pve": "PVE::Auth::PVE"}[name]
    return {"type": name, "comment": api.access.realms[name], "plugin": plugin, "digest": NOTHING}


def second_factors(_api: Api, _call: Call) -> Any:
    """Answer with the second factors of users: nobody has one here."""
    return []


ROUTES = (
    Route("GET", "/access/permissions", permissions),
    Route("GET", "/access/users", users),
    Route("GET", "/access/users/{userid}", user),
    Route("GET", "/access/users/{userid}/token", tokens),
    Route("GET", "/access/users/{userid}/token/{tokenid}", token),
    Route("GET", "/access/groups", groups),
    Route("GET", "/access/roles", roles),
    Route("GET", "/access/roles/{roleid}", role),
    Route("GET", "/access/acl", acl),
    Route("GET", "/access/domains", domains),
    Route("GET", "/access/domains/{realm}", domain),
    Route("GET", "/access/tfa", second_factors),
)
