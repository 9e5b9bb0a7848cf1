# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role ``patch`` carries of nanny-ops: its patch scripts, which system each is for, and how they are run."""

from __future__ import annotations

import json
import os
import shlex

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "roles", "patch", "files")


def _read(*path):
    with open(os.path.join(FOLDER, *path), "rb") as file:
        return file.read()


DATA = json.loads(_read("carried.json"))


def script(name):
    """Return the content of a carried script."""
    return _read("scripts", name)


def words(os_release):
    """Return the words by which a system is known: its name with its version, then those it resembles."""
    told = {}
    for line in os_release.splitlines():
        key, sign, value = line.strip().partition("=")
        if sign and not key.startswith("#"):
            told[key] = _unquoted(value)
    name = told.get("ID", "").lower()
    own = [name + ":" + told["VERSION_ID"] if told.get("VERSION_ID") else name] if name else []
    return own + told.get("ID_LIKE", "").lower().split()


def _unquoted(value):
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return ""


def script_for(found):
    """Return which carried script serves the first word that one serves, or no name and the reason if there is one.

    What is meant for one major version goes before what is for all.
    """
    for word in found:
        name, _sign, version = word.partition(":")
        if name in DATA["unserved"]:
            return "", DATA["unserved"][name]
        for exact in (name + ":" + version.partition(".")[0], name):
            for carried, served in DATA["served"].items():
                if exact in served:
                    return carried, ""
    return "", ""
