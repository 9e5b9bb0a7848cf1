"""The calls that change who may do what. None has been recorded but that without quorum all fail."""

import uuid
from typing import Any

from nanny_ops.lab.pve.api import Api, Route, Row
from nanny_ops.lab.pve.call import Call
from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.access import Grant, Token, User

#: Seconds that the cluster's lock is waited for.
WAITING = 9.0


def _need_quorum(api: Api) -> None:
    if not api.cluster.quorate:
        raise Refusal(500, "cfs-lock 'file-user_cfg' error: no quorum!", delay=WAITING)


def add_user(api: Api, call: Call) -> None:
    """Add a user. Raises Refusal."""
    _need_quorum(api)
    userid = call.text("userid")
    if userid in api.access.users:
        raise Refusal(500, f"create user failed: user '{userid}' already exists")
    enabled = call.flag("enable", default=True)
    api.access.users[userid] = User(
        userid, call.text("password"), enabled, call.number("expire"), call.text("comment"), call.text("email")
    )


def change_user(api: Api, call: Call) -> None:
    """Change what is said of a user, and whether and how long it may log in. Raises Refusal."""
    _need_quorum(api)
    user = api.access.users.get(call.text("userid"))
    if user is None:
        raise Refusal(500, f"update user failed: no such user ('{call.text('userid')}')")
    user.enabled = call.flag("enable", default=user.enabled)
    user.expire = call.number("expire", user.expire)
    user.comment, user.email = call.text("comment", user.comment), call.text("email", user.email)
    if "groups" in call.given:
        given = call.text("groups").replace(",", " ").split()
        user.groups = tuple(dict.fromkeys((*(user.groups if call.flag("append") else ()), *given)))


def remove_user(api: Api, call: Call) -> None:
    """Remove a user with its tokens and grants. Raises Refusal."""
    _need_quorum(api)
    userid, access = call.text("userid"), api.access
    if access.users.pop(userid, None) is None:
        raise Refusal(500, f"delete user failed: no such user ('{userid}')")
    for name in [name for name, token in access.tokens.items() if token.user == userid]:
        del access.tokens[name]
    access.grants[:] = [grant for grant in access.grants if grant.who.partition("!")[0] != userid]


def add_token(api: Api, call: Call) -> Any:
    """Add a token and answer with its secret, which is told this once only. Raises Refusal."""
    _need_quorum(api)
    userid, name = call.text("userid"), call.text("tokenid")
    if userid not in api.access.users:
        raise Refusal(500, f"no such user ('{userid}')")
    whole = f"{userid}!{name}"
    if whole in api.access.tokens:
        raise call.wrong(tokenid="Token already exists.")
    made = Token(whole, str(uuid.uuid4()), call.flag("privsep", default=True), call.number("expire"))
    made.comment = call.text("comment")
    api.access.tokens[whole] = made
    info = {"privsep": str(int(made.privsep))} | ({"comment": made.comment} if made.comment else {})
    return {"full-tokenid": whole, "info": info, "value": made.secret}


def change_token(api: Api, call: Call) -> Any:
    """Change a token; since 9 it may get another secret, which is told this once only. Raises Refusal."""
    _need_quorum(api)
    userid, name = call.text("userid"), call.text("tokenid")
    found = api.access.tokens.get(f"{userid}!{name}")
    if found is None:
        raise Refusal(500, f"updating token info failed: no such token '{name}' for user '{userid}'")
    found.privsep = call.flag("privsep", default=found.privsep)
    found.expire, found.comment = call.number("expire", found.expire), call.text("comment", found.comment)
    info: Row = {"privsep": str(int(found.privsep)), "expire": found.expire}
    info |= {"comment": found.comment} if found.comment else {}
    if call.flag("regenerate"):
        found.secret = str(uuid.uuid4())
        info |= {"full-tokenid": found.token_id, "value": found.secret}
    return info


def remove_token(api: Api, call: Call) -> None:
    """Remove a token with its grants. Raises Refusal."""
    _need_quorum(api)
    userid, name = call.text("userid"), call.text("tokenid")
    whole = f"{userid}!{name}"
    if api.access.tokens.pop(whole, None) is None:
        raise Refusal(500, f"no such token '{name}' for user '{userid}'")
    api.access.grants[:] = [grant for grant in api.access.grants if grant.who != whole]


def add_role(api: Api, call: Call) -> None:
    """Add a role. Raises Refusal."""
    _need_quorum(api)
    name = call.text("roleid")
    if name in api.access.roles:
        raise Refusal(500, f"role '{name}' already exists")
    api.access.custom[name] = frozenset(call.text("privs").replace(",", " ").split())


def change_role(api: Api, call: Call) -> None:
    """Give a role that is not built in other privileges, or further ones. Raises Refusal."""
    _need_quorum(api)
    name = call.text("roleid")
    if name in api.access.special:
        raise Refusal(500, f"update role failed: auto-generated role '{name}' cannot be modified")
    if name not in api.access.custom:
        raise Refusal(500, f"update role failed: role '{name}' does not exist")
    given = frozenset(call.text("privs").replace(",", " ").split())
    api.access.custom[name] = given | (api.access.custom[name] if call.flag("append") else frozenset())


def remove_role(api: Api, call: Call) -> None:
    """Remove a role that is not built in. Raises Refusal."""
    _need_quorum(api)
    name = call.text("roleid")
    if name in api.access.special:
        raise Refusal(500, f"auto-generated role '{name}' cannot be deleted")
    if api.access.custom.pop(name, None) is None:
        raise Refusal(500, f"role '{name}' does not exist")


def change_acl(api: Api, call: Call) -> None:
    """Grant roles on a path to users, groups and tokens, or take them away. Raises Refusal."""
    _need_quorum(api)
    access, path = api.access, call.text("path")
    whom = [("user", "users"), ("group", "groups"), ("token", "tokens")]
    names = [(kind, who) for kind, key in whom for who in call.text(key).replace(",", " ").split()]
    for role in call.text("roles").replace(",", " ").split():
        if role not in access.roles:
            raise call.wrong(roles=f"role '{role}' does not exist")
        for kind, who in names:
            access.grants[:] = [g for g in access.grants if (g.path, g.who, g.role) != (path, who, role)]
            if not call.flag("delete"):
                access.grants.append(Grant(path, who, role, kind, call.flag("propagate", default=True)))


_TOKEN = "/access/users/{userid}/token/{tokenid}"
ROUTES = (
    Route("POST", "/access/users", add_user),
    Route("PUT", "/access/users/{userid}", change_user),
    Route("DELETE", "/access/users/{userid}", remove_user),
    Route("POST", _TOKEN, add_token),
    Route("PUT", _TOKEN, change_token),
    Route("DELETE", _TOKEN, remove_token),
    Route("POST", "/access/roles", add_role),
    Route("PUT", "/access/roles/{roleid}", change_role),
    Route("DELETE", "/access/roles/{roleid}", remove_role),
    Route("PUT", "/access/acl", change_acl),
)
