# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ended becomes an outcome with a reason."""

from __future__ import annotations

import pytest
from ansible_collections.nanny.ops.plugins.plugin_utils.script_run import Ended
from ansible_collections.nanny.ops.plugins.plugin_utils.verdict import judged, operation, refused

PACKAGE = b'[{"name": "a", "version": "2", "old_version": "1"}]\n'


def said(how):
    return b'nanny-note {"kind": "ended", "how": "%s"}\n[]\n' % how


@pytest.mark.parametrize(
    ("code", "seconds", "stdout", "outcome"),
    [
        (0, 3, PACKAGE, "ok"),
        (0, 3, b"[]\n", "nothing_to_do"),
        (0, 3, b"no list\n", "bad_output"),
        (4, 3, said(b"partial"), "partial"),
        (5, 3, said(b"blocked"), "blocked"),
        (6, 3, said(b"quarantined"), "quarantined"),
        (4, 3, said(b"blocked"), "script_failed"),
        (2, 3, b"[]\n", "script_failed"),
        (124, 60, b"", "timed_out"),
        (137, 70, b"", "timed_out"),
        (137, 3, b"", "script_failed"),
    ],
)
def test_an_exit_code_means_what_the_script_says_too(code, seconds, stdout, outcome):
    assert judged(Ended(code, seconds, stdout, b"first\nlast words\n"), 60)[0] == outcome


def test_a_failure_ends_with_the_last_words_and_without_secrets():
    reason = judged(Ended(100, 1, b"[]", b"one\ntoken=abcdefgh gone\n\n"), 60)[1]
    assert reason == "The script ended with exit code 100: token=******** gone"


@pytest.mark.parametrize(
    ("word", "more", "outcome"),
    [
        ("busy", "", "blocked"),
        ("torn", "", "checksum_mismatch"),
        ("lacks", "flock", "unsupported"),
        ("interpreter", "/bin/zsh", "interpreter_missing"),
        ("folder", "cat: write error: No space left on device", "disk_full"),
        ("root", "", "refused"),
        ("new", "", "agent_error"),
    ],
)
def test_what_was_not_begun_says_why(word, more, outcome):
    found, reason = refused(word, more)
    assert found == outcome
    assert more in reason


def test_a_package_that_is_held_back_has_its_reason():
    stdout = b'nanny-note {"kind": "left", "name": "a", "why": "excluded"}\n'
    stdout += b'nanny-note {"kind": "left", "name": "b", "why": "excluded"}\n[]\n'
    told = operation("web1", "apply", "nothing_to_do", "", Ended(0, 1, stdout, b""), [{"name": "a", "reason": "why"}])
    assert [(one["name"], one["why"], one["reason"]) for one in told["report"]["left"]] == [
        ("a", "exception", "why"),
        ("b", "excluded", ""),
    ]
    assert (told["package_list"], told["status"]) == ([], "completed")


def test_a_list_that_cannot_be_read_is_none_and_said():
    told = operation("web1", "apply", "bad_output", "", Ended(0, 1, b"nothing", b""))
    assert told["package_list"] is None
    assert len(told["report"]["notes"]) == 1
