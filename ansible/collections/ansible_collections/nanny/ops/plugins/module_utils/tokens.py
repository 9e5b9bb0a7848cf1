# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens as they should be: one usable one of a name with the wanted settings, or none."""

from __future__ import annotations

from collections import namedtuple

#: How tokens of one kind are asked for: names of calls, and which settings tell one from another.
Noun = namedtuple("Noun", ["listed", "make", "revoke", "settings"])
ENROLLMENT_TOKENS = Noun(
    "enrollment tokens", "make enrollment token", "revoke enrollment token", ("max_uses", "ranges", "tags")
)
TOKENS = Noun("tokens", "make token", "revoke token", ("kind", "scopes", "agent_id"))


def ensure(module, plane, noun, wanted):
    """Make, keep, replace or end tokens as ``state`` says, and return what the module tells.

    A token that is there with the wanted settings is kept, and its secret cannot be shown again.
    """
    options = module.params
    there = plane.every(noun.listed, name=options["name"])
    usable = [one for one in there if one["condition"] == "usable" and _is_meant(one, options)]
    if options["state"] == "absent":
        return _told(_revoke(module, plane, noun, usable), usable, [], None)
    fitting = [one for one in usable if _settings(one, noun) == _settings(wanted, noun)]
    if fitting and not options["force"]:
        return {"changed": False, "token_info": fitting[0], "secret": None, "revoked": []}
    made = _make(module, plane, noun, wanted)
    _revoke(module, plane, noun, usable)
    return _told(True, usable, [wanted], made)


def _is_meant(token, options):
    if options.get("token_id"):
        return token["id"] == options["token_id"]
    return token["name"] == options["name"]


def _settings(token, noun):
    found = {}
    for name in noun.settings:
        value = token.get(name)
        found[name] = sorted(value) if isinstance(value, list) else value or None
    return found


def _make(module, plane, noun, wanted):
    if module.check_mode:
        return None
    return plane.ask(noun.make, body={name: value for name, value in wanted.items() if value is not None})


def _revoke(module, plane, noun, tokens):
    for token in tokens:
        if not module.check_mode:
            plane.ask(noun.revoke, repeat=True, token_id=token["id"])
    return bool(tokens)


def _told(changed, before, after, made):
    shown = {name: value for name, value in (made or {}).items() if name != "token"}
    return {
        "changed": changed,
        "token_info": shown or None,
        "secret": made["token"] if made else None,
        "revoked": [one["id"] for one in before],
        "diff": {
            "before": {"usable": [one["name"] for one in before]},
            "after": {"usable": [one["name"] for one in after]},
        },
    }
