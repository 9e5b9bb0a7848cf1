# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access to Proxmox VE as it should be: roles, a user, a token and grants, compared with what is there.

Nothing here speaks with anybody: what was found comes in, and what to ask goes out.
"""

from __future__ import annotations

from collections import namedtuple

#: What may be allowed -> the privileges that it takes. VM.Snapshot lets its holder set back, too; whoever has a
#: GuestAgent.Unrestricted needs no other privilege of guest agents.
WORKS = {
    "look": ("Datastore.Audit", "Pool.Audit", "Sys.Audit", "VM.Audit"),
    "updates": ("Sys.Modify",),
    "backup_age": ("Datastore.AllocateSpace", "VM.Backup"),
    "guest_agents": ("VM.GuestAgent.Audit",),
    "snapshots": ("VM.Snapshot",),
    "backups": ("Datastore.AllocateSpace", "VM.Backup"),
    "power": ("VM.PowerMgmt",),
    "machines": ("VM.GuestAgent.Unrestricted",),
}
#: On / and /access it would let its holder write roles, so it stands in a role of its own, on nodes alone.
ON_NODES = "updates"
DAY = 86400
#: Seconds that two clocks may differ.
SLACK = 3600

#: ``roles`` maps names to privileges; ``grants`` are rows (path, role, propagate) for the user and for its token.
Wanted = namedtuple("Wanted", ["user", "token", "roles", "grants", "comment"])
#: ``user`` and ``token`` are what Proxmox VE tells, None where there is none; ``grants`` are rows (path, role,
#: propagate, who); ``others`` are further tokens of the user.
Found = namedtuple("Found", ["roles", "user", "token", "grants", "others"])
#: How long the token lives and when it is replaced: days or 0 for ever, days left, at once.
Life = namedtuple("Life", ["days", "renew_days", "rotate"])
#: One request, and a sentence for each thing that it changes.
Step = namedtuple("Step", ["says", "method", "path", "given"])


def privileges(works, release):
    """Return the privileges for works as a release calls them: before 9 one was for all that guest agents do."""
    found = {one for work in works for one in WORKS[work]}
    if int(release.partition(".")[0]) < 9:
        found = {"VM.Monitor" if one.startswith("VM.GuestAgent.") else one for one in found}
    return sorted(found)


def wanted(user, token, role, may, release, guests=("/vms",), storages=("/storage",), comment=""):
    """Return what has to be there for works in ``may``; whoever does one must be able to look.

    What holds on / is handed on to nothing, so that nothing is held on /access. What holds on /pool holds for guests in
    pools, so it is granted only with all guests.
    """
    works = {"look", *may}
    roles = {role: privileges(works - {ON_NODES}, release)}
    grants = [("/", role, 0)]
    grants += [(path, role, 1) for path in ("/nodes", *storages, *guests)]
    grants += [("/pool", role, 1)] if "/vms" in guests else []
    if ON_NODES in works:
        roles[role + "Updates"] = privileges((ON_NODES,), release)
        grants.append(("/nodes", role + "Updates", 1))
    return Wanted(user, token, roles, sorted(set(grants)), comment)


def ours(role):
    """Return the names of all roles that an access with this name may have."""
    return (role, role + "Updates")


def make(want, found, life, now):
    """Return the steps from what is there to what is wanted; ``now`` in seconds of the epoch."""
    steps = _roles(want, found) + _user(want, found)
    again = _why_again(found, life, now)
    if again:
        steps.append(_drop_token(want, again))
    if again or found.token is None:
        steps.append(_add_token(want, life, now))
        found = found._replace(grants=_of_user(want, found))
    else:
        steps += _change_token(want, found, life, now)
    return steps + _grants(want, found) + _spare_roles(want, found)


def remove(want, found, role):
    """Return the steps that take a token away, and with the last one of the user all of it."""
    steps = []
    if found.token is not None:
        steps.append(_drop_token(want, ""))
    if found.others:
        return steps
    if found.user is not None:
        said = "remove the user %s with its grants" % want.user
        steps.append(Step([said], "delete", "access/users/%s" % want.user, {}))
    gone = [name for name in ours(role) if found.roles.get(name) is not None]
    return steps + [_drop_role(name) for name in gone]


def shown(found, want):
    """Return what is there as people read it in a diff."""
    token = _token_id(want)
    return {
        "roles": {name: sorted(held) for name, held in sorted(found.roles.items()) if held is not None},
        "user": None if found.user is None else _plain_user(found.user),
        "token": None if found.token is None else _plain_token(found.token),
        "grants": ["%s %s %s%s" % (path, role, _to(who, token), _how(on)) for path, role, on, who in found.grants],
    }


def left(want, found):
    """Return the same as it is without the token, and without all of it where it was the last one."""
    if found.others:
        return shown(found._replace(token=None, grants=_of_user(want, found)), want)
    return shown(Found({}, None, None, [], []), want)


def after(want, found, steps, life, now):
    """Return the same as it will be: where nothing is to be done, just what is there."""
    if not steps:
        return shown(found, want)
    expire = _expire(life, now)
    if found.token is not None and not _why_again(found, life, now) and not _wrong_end(found, life, now):
        expire = int(found.token.get("expire") or 0)
    both = (want.user, _token_id(want))
    rows = sorted((path, role, on, who) for path, role, on in want.grants for who in both)
    made = Found(want.roles, {"enable": 1}, {"expire": expire, "privsep": 1}, rows, [])
    return shown(made, want)


def _roles(want, found):
    steps = []
    for name, held in sorted(want.roles.items()):
        there = found.roles.get(name)
        privs = ",".join(held)
        if there is None:
            steps.append(Step(["make the role %s" % name], "post", "access/roles", {"roleid": name, "privs": privs}))
        elif set(there) != set(held):
            says = ["give %s to the role %s" % (one, name) for one in sorted(set(held) - set(there))]
            says += ["take %s from the role %s" % (one, name) for one in sorted(set(there) - set(held))]
            steps.append(Step(says, "put", "access/roles/%s" % name, {"privs": privs}))
    return steps


def _user(want, found):
    if found.user is None:
        given = {"userid": want.user, "comment": want.comment}
        return [Step(["make the user %s" % want.user], "post", "access/users", given)]
    says, given = [], {}
    if not int(found.user.get("enable", 1)):
        says.append("enable the user %s" % want.user)
        given["enable"] = 1
    if int(found.user.get("expire") or 0):
        says.append("let the user %s not expire" % want.user)
        given["expire"] = 0
    if found.user.get("groups"):
        says += ["take the user %s out of the group %s" % (want.user, one) for one in sorted(found.user["groups"])]
        given["groups"] = ""
    return [Step(says, "put", "access/users/%s" % want.user, given)] if says else []


def _why_again(found, life, now):
    """Return why a token that is there needs a new secret, empty where it does not."""
    if found.token is None:
        return ""
    if life.rotate:
        return "asked for"
    expire = int(found.token.get("expire") or 0)
    if expire and expire - now < (life.renew_days * DAY if life.days else 0):
        return "it expires too soon"
    return ""


def _drop_token(want, why):
    said = "remove the token %s" % _token_id(want)
    return Step([said + (", %s" % why if why else "")], "delete", _token_path(want), {})


def _add_token(want, life, now):
    given = {"privsep": 1, "expire": _expire(life, now), "comment": want.comment}
    return Step(["make the token %s" % _token_id(want)], "post", _token_path(want), given)


def _change_token(want, found, life, now):
    says, given = [], {}
    if not int(found.token.get("privsep", 1)):
        says.append("separate the privileges of the token %s" % _token_id(want))
        given["privsep"] = 1
    if _wrong_end(found, life, now):
        says.append("set when the token %s expires" % _token_id(want))
        given["expire"] = _expire(life, now)
    return [Step(says, "put", _token_path(want), given)] if says else []


def _wrong_end(found, life, now):
    expire = int(found.token.get("expire") or 0)
    if not life.days:
        return expire != 0
    return expire == 0 or expire > _expire(life, now) + SLACK


def _expire(life, now):
    return int(now) + life.days * DAY if life.days else 0


def _grants(want, found):
    token = _token_id(want)
    missing, spare = [], []
    for who in (want.user, token):
        there = {(path, role): on for path, role, on, whose in found.grants if whose == who}
        wish = {(path, role): on for path, role, on in want.grants}
        missing += [(key, on, who) for key, on in sorted(wish.items()) if there.get(key) != on]
        spare += [(key, who) for key in sorted(there) if key not in wish]
    steps = []
    for (path, role), on, who in missing:
        said = "grant %s on %s to %s%s" % (role, path, who, _how(on))
        steps.append(Step([said], "put", "access/acl", {"propagate": on, **_row(path, role, who, token)}))
    for (path, role), who in spare:
        said = "take %s on %s from %s" % (role, path, who)
        steps.append(Step([said], "put", "access/acl", {"delete": 1, **_row(path, role, who, token)}))
    return steps


def _of_user(want, found):
    return [row for row in found.grants if row[3] == want.user]


def _row(path, role, who, token):
    return {"path": path, "roles": role, "tokens" if who == token else "users": who}


def _spare_roles(want, found):
    """Roles that an earlier wish needed."""
    return [
        _drop_role(name) for name, held in sorted(found.roles.items()) if held is not None and name not in want.roles
    ]


def _drop_role(name):
    return Step(["remove the role %s" % name], "delete", "access/roles/%s" % name, {})


def _token_id(want):
    return "%s!%s" % (want.user, want.token)


def _token_path(want):
    return "access/users/%s/token/%s" % (want.user, want.token)


def _to(who, token):
    return "the token" if who == token else "the user"


def _how(propagate):
    return "" if propagate else ", not below it"


def _plain_user(user):
    found = {"enabled": bool(int(user.get("enable", 1))), "expire": int(user.get("expire") or 0)}
    return dict(found, groups=sorted(user.get("groups") or []))


def _plain_token(token):
    return {"separated": bool(int(token.get("privsep", 1))), "expire": int(token.get("expire") or 0)}
