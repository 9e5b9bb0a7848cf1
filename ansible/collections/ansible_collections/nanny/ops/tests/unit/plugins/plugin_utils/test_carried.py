# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which carried script is for which system, by its os-release."""

from __future__ import annotations

import pytest
from ansible_collections.nanny.ops.plugins.plugin_utils import carried


@pytest.mark.parametrize(
    ("os_release", "name"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n', "apt"),
        ("ID=somebody\nID_LIKE='ubuntu debian'\n", "apt"),
        ('ID="rocky"\r\nID_LIKE="rhel centos fedora"\r\nVERSION_ID="9.4"\r\n', "dnf"),
        ('ID="centos"\nVERSION_ID="7"\n', "yum"),
        ("ID=alpine\nVERSION_ID=3.20.3\n", "apk"),
        ("# ID=debian\nID=gentoo\n", ""),
        ('ID="debian', ""),
        ("", ""),
    ],
)
def test_a_system_gets_its_script(os_release, name):
    assert carried.script_for(carried.words(os_release))[0] == name


def test_a_relative_that_is_not_served_is_refused_with_the_reason():
    name, why = carried.script_for(carried.words('ID="amzn"\nVERSION_ID="2023"\nID_LIKE="fedora"\n'))
    assert (name, "Amazon" in why) == ("", True)


def test_each_script_that_is_named_is_there_and_whole():
    for name in carried.DATA["served"]:
        content = carried.script(name)
        assert content.startswith(b"#!/bin/sh\n")
        assert b'common.sh"\n' not in content
