# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script's run over a connection that breaks, by the answers that a target gives; some of them by a real shell."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.nanny.ops.plugins.plugin_utils import script_run, target_shell
from ansible_collections.nanny.ops.plugins.plugin_utils.script_run import Lost, Refused, ScriptRun, Unheard

MARK = "nanny-run-1"
TOLD = "Welcome!\n{0} code 0 7\n{0} stdout\n[]\n\n{0} stderr\nwarned\n\n{0} end\n".format(MARK)


class Target:
    """Answers in turn; an answer that is an error is raised."""

    def __init__(self, *answers):
        self.answers, self.asked, self.pauses, self.resets = list(answers), [], [], 0

    def ask(self, line, stdin):
        self.asked.append((line, stdin))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reset(self):
        self.resets += 1

    def run(self):
        return ScriptRun(self.ask, self.reset, self.pauses.append, MARK)


def life(word):
    return "{0} system\nID=debian\n\n{0} life {1}\n{0} end\n".format(MARK, word)


def test_a_script_goes_by_stdin_and_its_outputs_come_back():
    target = Target(TOLD)
    ended = target.run().run(b"#!/bin/sh\n", ["/bin/sh"], ["--dry-run"], 60)
    assert (ended.code, ended.seconds, ended.stdout, ended.stderr) == (0, 7, b"[]\n", b"warned\n")
    ((line, stdin),) = target.asked
    assert stdin == b"#!/bin/sh\n"
    assert line.endswith("/bin/sh %s/script --dry-run" % target_shell.FOLDER)


def test_what_the_target_refuses_is_raised_with_what_about():
    with pytest.raises(Refused) as refused:
        Target("{0} refused lacks flock \n{0} end\n".format(MARK)).run().run(b"", ["/bin/sh"], [], 60)
    assert (refused.value.word, refused.value.more) == ("lacks", "flock")


def test_a_run_whose_connection_broke_is_asked_for_until_it_is_heard():
    target = Target(Unheard("gone"), Unheard("still"), TOLD)
    assert target.run().run(b"", ["/bin/sh"], [], 60).code == 0
    assert (target.pauses, target.resets) == ([script_run.PAUSE] * 2, 2)
    assert [stdin for _line, stdin in target.asked] == [b"", b"", b""]


def test_an_answer_that_is_cut_off_is_none():
    target = Target(TOLD.replace(MARK + " end", ""), "{0} refused gone \n{0} end\n".format(MARK))
    with pytest.raises(Lost):
        target.run().run(b"", ["/bin/sh"], [], 60)


def test_a_target_that_stays_silent_is_given_up():
    target = Target(*[Unheard("no")] * (script_run.TRIES + 1))
    with pytest.raises(Lost):
        target.run().run(b"", ["/bin/sh"], [], 60)
    assert target.answers == []


def test_a_restart_is_another_life_and_not_an_answer():
    done = "{0} end\n".format(MARK)
    target = Target(life("a-1"), done, life("a-1"), Unheard("down"), life("a-2"))
    assert target.run().restart(60, iter(range(100)).__next__) is True
    with pytest.raises(Refused):
        Target(life("a-1"), "{0} refused lacks reboot\n{0} end\n".format(MARK)).run().restart(9, lambda: 0)
    same = Target(life("a-1"), done, *[life("a-1")] * 20)
    assert same.run().restart(10, iter(range(100)).__next__) is False


def shell(line, stdin=b""):
    done = subprocess.run(["/bin/sh", "-c", line], input=stdin, stdout=subprocess.PIPE, check=True, timeout=20)
    return done.stdout.decode()


@pytest.mark.parametrize("program", ["LOOK", "BEGIN", "COLLECT", "CLEAR", "RESTART"])
def test_programs_are_posix_sh(program):
    subprocess.run(["/bin/sh", "-n", "-c", getattr(target_shell, program)], check=True, timeout=20)


def test_a_shell_tells_which_system_and_which_life_it_is():
    system, word = ScriptRun(shell, None, None, MARK).look()
    assert "ID=" in system
    assert word.count("-") >= 1


def test_a_run_that_is_not_found_again_is_lost(tmp_path):
    answers = [Unheard("broken")]

    def ask(line, stdin):
        if answers:
            raise answers.pop()
        return shell(line, stdin)

    run = ScriptRun(ask, lambda: None, lambda _seconds: None, MARK, folder=str(tmp_path))
    with pytest.raises(Lost, match="neither the script nor its result"):
        run.run(b"", ["/bin/sh"], [], 60)


def test_only_what_is_ones_own_is_removed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    run = ScriptRun(shell, None, None, MARK, folder=str(folder))
    (folder / "mark").write_text("another")
    run.clear()
    assert folder.exists()
    (folder / "mark").write_text(MARK)
    run.clear()
    assert not folder.exists()
