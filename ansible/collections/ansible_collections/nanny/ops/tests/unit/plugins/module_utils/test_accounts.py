# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an account is otherwise than it should be."""

from __future__ import annotations

import pytest
from ansible_collections.nanny.ops.plugins.module_utils.accounts import wanted_of

OPERATOR = {
    "email": "op@example.com",
    "name": "op",
    "is_admin": False,
    "disabled": False,
    "roles": {"team-default": "operator"},
}
ADMIN = dict(OPERATOR, is_admin=True, roles={"team-default": "admin"})
LEAD = dict(OPERATOR, roles={"team-default": "admin"})


def wanted(account, **options):
    return wanted_of(dict({"role": None, "team_id": None, "name": None, "disabled": None}, **options), account)[0]


@pytest.mark.parametrize(
    ("account", "options", "body"),
    [
        (OPERATOR, {}, {}),
        (OPERATOR, {"role": "operator", "name": "op", "disabled": False}, {}),
        (OPERATOR, {"role": "operator", "team_id": "team-default"}, {}),
        (OPERATOR, {"role": "viewer"}, {"role": "viewer"}),
        (OPERATOR, {"role": "operator", "team_id": "team-b"}, {"role": "operator", "team_id": "team-b"}),
        (OPERATOR, {"role": "admin"}, {"role": "admin"}),
        (OPERATOR, {"disabled": True, "name": "Op"}, {"disabled": True, "name": "Op"}),
        (ADMIN, {"role": "admin"}, {}),
        (ADMIN, {"role": "viewer"}, {"role": "viewer"}),
        (ADMIN, {"role": "admin", "team_id": "team-default"}, {"role": "admin", "team_id": "team-default"}),
        (LEAD, {"role": "admin", "team_id": "team-default"}, {}),
        (LEAD, {"role": "admin"}, {"role": "admin"}),
    ],
)
def test_only_what_is_otherwise_is_asked_for(account, options, body):
    assert wanted(account, **options) == body


def test_a_diff_shows_what_will_be():
    options = {"role": "admin", "team_id": None, "name": None, "disabled": True}
    after = wanted_of(options, OPERATOR)[1]
    assert after == dict(ADMIN, disabled=True)
