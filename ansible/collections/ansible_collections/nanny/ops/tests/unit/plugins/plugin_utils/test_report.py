# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What scripts print, who may be strangers, becomes packages and a report."""

from __future__ import annotations

import json

import pytest
from ansible_collections.nanny.ops.plugins.plugin_utils import report


def lines(*records):
    return b"".join(b"nanny-note " + json.dumps(one).encode() + b"\n" for one in records)


def test_the_last_list_counts():
    one = {"name": "a", "version": "2", "old_version": "1", "action": "upgrade", "security": True, "size": 5}
    found = report.packages(b'["x"]\nnoise\n' + json.dumps([one]).encode() + b"\nDone.\n")
    assert found == [{**one, "repository": ""}]


@pytest.mark.parametrize(
    "stdout",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"version": "1"}]',
        b'[{"name": "a\\u001b[2J"}]',
        b'[{"name": 7}]',
        b"[" * 5000 + b"]" * 5000,
    ],
)
def test_what_is_no_list_of_packages_is_said(stdout):
    with pytest.raises(ValueError, match=r"script|package"):
        report.packages(stdout)


def test_notes_become_a_report():
    told, ended = report.notes(
        lines(
            {"kind": "left", "name": "a", "old_version": "1", "version": "2", "why": "held"},
            {"kind": "not_refreshed", "repository": "http://x"},
            {"kind": "reboot", "required": True, "why": ["dbus"]},
            {"kind": "kernel", "running": "6\x1b[2J", "newest": "6.11"},
            {"kind": "unheard-of", "name": "a"},
            {"kind": "ended", "how": "partial"},
        )
        + b"nanny-note {broken\n[]\n"
    )
    assert ended == "partial"
    assert told["left"] == [{"name": "a", "old_version": "1", "version": "2", "why": "held", "reason": ""}]
    assert (told["reboot_required"], told["reboot_why"], told["not_refreshed"]) == (True, ["dbus"], ["http://x"])
    assert "\x1b" not in told["kernel_running"]


def test_secrets_become_stars_wherever_they_stand():
    told = report.without_secrets({"a": ["https://me:geheim@example.com/x"], "b": 1})
    assert told == {"a": ["https://me:******@example.com/x"], "b": 1}
