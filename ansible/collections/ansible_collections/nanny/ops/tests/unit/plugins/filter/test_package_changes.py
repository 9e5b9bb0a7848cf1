# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages are found in an order, in a task's result, in a loop's results, and in lists of these."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.nanny.ops.plugins.filter.package_changes import package_changes

SSL = {"name": "openssl", "action": "upgrade", "security": True}
TREE = {"name": "tree", "action": "install", "security": None}
ORDER = {"id": "patch-1", "target": "lxc:101", "agent_id": "a", "package_list": [SSL, TREE]}
WHERE = {"target": "lxc:101", "agent_id": "a", "operation_id": "patch-1"}


@pytest.mark.parametrize(
    "given", [ORDER, [ORDER], {"operation": ORDER}, {"results": [{"operation": ORDER}, {"operation": None}]}]
)
def test_packages_are_found_wherever_they_are(given):
    assert package_changes(given) == [{**SSL, **WHERE}, {**TREE, **WHERE}]


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ({"security": True}, ["openssl"]),
        ({"security": False}, ["tree"]),
        ({"action": "install"}, ["tree"]),
        ({"names": ["openssl", "vim"]}, ["openssl"]),
    ],
)
def test_only_some_are_wanted(rules, names):
    assert [one["name"] for one in package_changes(ORDER, **rules)] == names


@pytest.mark.parametrize("given", ["text", 1, ["text"]])
def test_what_is_no_order_is_refused(given):
    with pytest.raises(AnsibleFilterError):
        package_changes(given)
