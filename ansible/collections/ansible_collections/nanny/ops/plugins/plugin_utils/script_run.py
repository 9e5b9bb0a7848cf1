# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of one script on one target over a connection that may be lost in between."""

from __future__ import annotations

import hashlib

from ansible_collections.nanny.ops.plugins.plugin_utils import target_shell
from ansible_collections.nanny.ops.plugins.plugin_utils.carried import DATA

#: How often a run whose connection was lost is asked for, and seconds between.
TRIES, PAUSE = 12, 10.0
#: Seconds between two looks whether a target has begun anew.
LOOK_PAUSE = 5.0


class Unheard(Exception):
    """The target does not answer, or its answer was cut off."""


class Refused(Exception):
    """A script was not begun: ``word`` says why, ``more`` what about."""

    def __init__(self, word, more=""):
        """Take both."""
        super().__init__(word)
        self.word, self.more = word, more


class Lost(Exception):
    """A script may have been begun, and nothing tells what became of it."""


class Ended:
    """How a script ended: its exit code, the seconds it took, and its outputs as bytes."""

    def __init__(self, code, seconds, stdout, stderr):
        """Take them."""
        self.code, self.seconds, self.stdout, self.stderr = code, seconds, stdout, stderr


class ScriptRun:
    """Runs scripts on a target.

    ``ask`` takes a line for the target's shell and the bytes of its stdin and returns the text of its stdout; it raises
    Unheard. ``reset`` drops the connection, ``sleep`` takes seconds, ``mark`` is a word that nobody else has.
    What a run keeps on the target lies in ``folder`` there.
    """

    def __init__(self, ask, reset, sleep, mark, environment=None, folder=target_shell.FOLDER):
        """Take the ways to the target."""
        self.ask, self.reset, self.sleep, self.mark = ask, reset, sleep, mark
        self.environment, self.folder = environment, folder

    def look(self):
        """Return the target's os-release, and a word for this run of the machine. Raises Unheard."""
        told = self._told(target_shell.LOOK)
        return told.get("system", ("", ""))[1], told.get("life", ("", ""))[0]

    def run(self, script, interpreter, arguments, limit):
        """Bring and run a script for ``limit`` seconds at most; return how it ended. Raises Refused, Lost."""
        sha256 = hashlib.sha256(script).hexdigest()
        words = [self.folder, DATA["output_cap"], target_shell.LOCK, sha256, limit, DATA["supervise"], DATA["halt"]]
        call = [*interpreter, self.folder + "/script", *arguments]
        try:
            told = self._told(target_shell.BEGIN, *words, *call, stdin=script)
        except Unheard:
            told = self._collected(limit)
        return _ended(told)

    def clear(self):
        """Remove what the run has left. Raises Unheard."""
        self._told(target_shell.CLEAR, self.folder)

    def restart(self, limit, clock):
        """Let the target begin anew; tell whether it did so and answered within ``limit`` seconds.

        Raises Refused, Unheard.
        """
        _system, before = self.look()
        _demand(self._told(target_shell.RESTART))
        until = clock() + limit
        while clock() < until:
            self.sleep(LOOK_PAUSE)
            try:
                self.reset()
                if self.look()[1] != before:
                    return True
            except Unheard:
                continue
        return False

    def _collected(self, limit):
        """Ask for a run whose connection was lost. Raises Lost."""
        for _try in range(TRIES):
            self.sleep(PAUSE)
            try:
                self.reset()
                return self._told(target_shell.COLLECT, self.folder, DATA["output_cap"], limit)
            except Unheard:
                continue
        raise Lost("The connection was lost, and the target did not answer any more.")

    def _told(self, program, *arguments, stdin=b""):
        line = target_shell.command(program, self.mark, *arguments, environment=self.environment)
        told = target_shell.answer(self.ask(line, stdin), self.mark)
        if not told:
            raise Unheard("The target's answer was cut off.")
        return told


def _demand(told):
    if "refused" in told:
        word, _sign, more = told["refused"][0].partition(" ")
        if word == "gone":
            raise Lost("The connection was lost, and neither the script nor its result was found again.")
        raise Refused(word, more)


def _ended(told):
    _demand(told)
    code, _sign, seconds = told["code"][0].partition(" ")
    outputs = [told[name][1].encode("utf-8", "replace") for name in ("stdout", "stderr")]
    return Ended(int(code), int(seconds), *outputs)
