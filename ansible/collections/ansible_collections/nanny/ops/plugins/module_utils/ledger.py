# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was begun and what is done, one file for each piece of work: it survives any kill, and nothing is done twice."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time

#: What a key may look like: it is the name of a file.
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
DAY = 24 * 3600
#: Where ansible-runner names the directory of a run.
RUN = "AWX_ISOLATED_DATA_DIR"


class LedgerError(Exception):
    """The ledger cannot be used so."""


def owner_of(pid, run="", proc="/proc"):
    """Return what a playbook can be known by, also after its machine's restart.

    ``run`` is the directory that ansible-runner gives each run, and ``RUN`` in the environment of its processes names:
    a module may work on for a while when the playbook itself was killed.
    """
    return {"boot": _boot(proc), "namespace": _namespace(proc), "pid": pid, "start": _start(pid, proc), "run": run}


def runs(owner, proc="/proc"):
    """Tell whether anything of a playbook still runs; one of another boot or namespace of processes counts as gone."""
    if owner.get("boot") != _boot(proc) or owner.get("namespace") != _namespace(proc):
        return False
    if owner["start"] is not None and owner["start"] == _start(owner["pid"], proc):
        return True
    return bool(owner["run"]) and any(_belongs(pid, owner["run"], proc) for pid in os.listdir(proc) if pid.isdigit())


class Ledger:
    """One piece of work below a directory."""

    def __init__(self, directory, key):
        """Name the work. Raises LedgerError for a key that is no name of a file."""
        if not KEY.match(key):
            raise LedgerError("'%s' cannot be a key: 128 letters, digits, dots, dashes and underscores at most" % key)
        self.key, self._directory = key, directory
        self._path = os.path.join(directory, key + ".json")

    def take(self, owner):
        """Take the work; return ``new``, ``resumed`` for what was begun and left, ``mine``, ``busy`` or ``done``."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        with self._alone():
            found = self._read()
            if found.get("state") == "done":
                return "done"
            before = found.get("owner") or {}
            if before == owner:
                return "mine"
            if before and runs(before):
                return "busy"
            self._write({"state": "begun", "owner": owner})
            return "resumed" if found else "new"

    def finish(self):
        """Note that the work is done; return whether that is new. Raises LedgerError where nobody has begun it."""
        if not os.path.isdir(self._directory):
            raise LedgerError("nobody has begun %s" % self.key)
        with self._alone():
            found = self._read()
            if not found:
                raise LedgerError("nobody has begun %s" % self.key)
            self._write({"state": "done"})
            return found["state"] != "done"

    def is_done(self):
        """Tell whether the work is done."""
        return self._read().get("state") == "done"

    def forget(self, days):
        """Remove what was done longer ago."""
        oldest = time.time() - days * DAY
        for entry in os.scandir(self._directory):
            if entry.name.endswith(".json") and entry.stat().st_mtime < oldest and _state(entry.path) == "done":
                os.unlink(entry.path)

    @contextlib.contextmanager
    def _alone(self):
        """Keep everybody else out for a moment; the kernel ends that with the process."""
        with open(os.path.join(self._directory, ".lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self):
        try:
            with open(self._path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}
        except ValueError:
            raise LedgerError("%s is no file of this ledger" % self._path) from None

    def _write(self, record):
        fresh = self._path + ".new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _state(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file).get("state")


def _boot(proc):
    with open(os.path.join(proc, "sys/kernel/random/boot_id"), encoding="ascii") as file:
        return file.read().strip()


def _namespace(proc):
    return os.readlink(os.path.join(proc, "self/ns/pid"))


def _start(pid, proc):
    """Return when a process began, in ticks since the machine was started; None where there is none, or its remains."""
    try:
        with open(os.path.join(proc, str(pid), "stat"), encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _belongs(pid, run, proc):
    try:
        with open(os.path.join(proc, pid, "environ"), "rb") as file:
            return ("%s=%s" % (RUN, run)).encode() in file.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or somebody else's
        return False
