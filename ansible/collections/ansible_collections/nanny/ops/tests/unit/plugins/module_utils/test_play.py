# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play came to: bounded, and without what it hides."""

from __future__ import annotations

from ansible_collections.nanny.ops.plugins.module_utils.play import (
    ALL,
    DIFF,
    MESSAGE,
    MOST_HOSTS,
    MOST_TASKS,
    RESERVE,
    Play,
    diffs_of,
    is_hidden,
    message_of,
    since,
)


class Clock:
    """Goes on by itself when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def begun(clock=None):
    return Play("site.yml", True, "2.20.0", clock or Clock())


def tell(play, state="changed", **more):
    play.tell(state, "pve1", "Task", "Play", "ansible.builtin.copy", 0.1, **more)


def test_times_are_those_of_each_host():
    clock = Clock()
    play = begun(clock)
    play.start("pve1", "t1")
    play.start("pve2", "t1")
    clock.now += 2
    assert play.end("pve1", "t1") == 2
    clock.now += 1
    assert play.end("pve2", "t1") == 3
    assert play.end("pve2", "never begun") == 0
    told = play.report({"pve1": {"ok": 1}, "pve2": {"ok": 1, "changed": 1}})
    assert [told["hosts"][name]["seconds"] for name in ("pve1", "pve2")] == [2, 3]
    assert (told["started_at"], told["ended_at"]) == ("1970-01-01T00:16:40Z", "1970-01-01T00:16:43Z")


def test_what_is_hidden_has_its_name_alone():
    play = begun()
    tell(play, hidden=True, message="secret", diff="secret")
    told = play.report({})["tasks"][0]
    assert (told["task"], told["hidden"], told["message"], told["diff"]) == ("Task", True, "", "")
    assert is_hidden({"censored": "the output has been hidden"})
    assert is_hidden({"_ansible_no_log": True})
    assert not is_hidden({"_ansible_no_log": False, "msg": "x"})


def test_a_large_play_is_bounded_and_failures_have_room_left():
    play = begun()
    for _turn in range(MOST_TASKS + 10):
        tell(play)
    for _turn in range(RESERVE + 1):
        tell(play, "failed")
    told = play.report({"h%d" % number: {} for number in range(MOST_HOSTS + 1)})
    assert (len(told["tasks"]), told["left_out"], len(told["hosts"])) == (MOST_TASKS + RESERVE, 11, MOST_HOSTS)


def test_texts_are_bounded_each_and_together():
    play = begun()
    tell(play, "failed", message="m" * 2 * MESSAGE)
    for _turn in range(ALL // DIFF + 2):
        tell(play, diff="d" * 2 * DIFF)
    tasks = play.report({})["tasks"]
    assert len(tasks[0]["message"]) == MESSAGE
    assert sum(len(one["message"] + one["diff"]) for one in tasks) == ALL


def test_counts_of_an_earlier_playbook_are_left_out():
    before = {"pve1": {"ok": 2, "changed": 1}, "pve2": {"ok": 1}}
    now = {"pve1": {"ok": 5, "changed": 1}, "pve2": {"ok": 1}, "pve3": {"ok": 0}}
    left = since(now, before)
    assert sorted(left) == ["pve1", "pve3"]
    assert (left["pve1"]["ok"], left["pve1"]["changed"]) == (3, 0)


def test_why_is_that_of_the_item_that_failed():
    loop = {"msg": "One or more items failed", "results": [{"msg": "fine"}, {"failed": True, "msg": "No room."}]}
    assert message_of(loop) == "No room."
    assert message_of({"msg": "non-zero return code"}) == "non-zero return code"
    assert message_of({"results": ["a package"]}) == ""


def test_differences_of_items_that_are_hidden_stay_hidden():
    one, two = {"before": "a", "after": "b"}, {"before": "c", "after": "d"}
    loop = {"results": [{"diff": one}, {"diff": [two], "_ansible_no_log": True}, {"diff": None}, "x"]}
    assert diffs_of(loop) == [one]
    assert diffs_of({"diff": [one, two]}) == [one, two]
    assert diffs_of({}) == []
