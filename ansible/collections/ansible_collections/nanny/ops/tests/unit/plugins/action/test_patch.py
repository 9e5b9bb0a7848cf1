# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task's options become the words of a script."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.nanny.ops.plugins.action import patch

DEFAULTS = {name: one.get("default") for name, one in patch.SPEC.items()}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []),
        ({"mode": "dry-run", "security_only": True}, ["--dry-run", "--security-only"]),
        (
            {"exclude": ["b"], "holds": [{"name": "a", "reason": "why"}], "only": ["c", "d"]},
            ["--exclude=a,b", "--only=c,d"],
        ),
        (
            {"dist_upgrade": True, "autoremove": True, "repair": True, "conffiles": "hold-back"},
            ["--dist-upgrade", "--autoremove", "--repair", "--conffiles=hold-back"],
        ),
    ],
)
def test_options_are_single_words(given, words):
    assert patch._arguments({**DEFAULTS, **given}) == [*words, "--lock-timeout=300"]


def test_further_arguments_are_split_and_never_run():
    assert patch._arguments({**DEFAULTS, "script_args": "'a b' $(c)"})[-2:] == ["a b", "$(c)"]
    with pytest.raises(AnsibleActionFail):
        patch._arguments({**DEFAULTS, "script_args": "'"})


def test_a_script_runs_by_its_first_line():
    assert patch._interpreter(b"#!/bin/sh\nx") == ["/bin/sh"]
    assert patch._interpreter(b"#! /usr/bin/env python3 -u\nx") == ["/usr/bin/env", "python3 -u"]
    for script in (b"x", b"#!\nx", b""):
        with pytest.raises(AnsibleActionFail):
            patch._interpreter(script)
