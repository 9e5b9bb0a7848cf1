# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a patch script's output means: its list of packages, and its notes in the shape of a report of nanny-ops.

A script may be a stranger's: what cannot be read is passed over, everything is bounded and fit for a terminal.
"""

from __future__ import annotations

import json
import re

from ansible_collections.nanny.ops.plugins.plugin_utils.carried import DATA

MARK = b"nanny-note {"
#: Characters of a name or version, of a path or repository, and of a word.
NAME, PATH, WORD = 255, 4096, 64
MOST = DATA["most"]
#: Control characters, which drive terminals, and halves of surrogate pairs.
UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
SECRETS = [re.compile(pattern, re.IGNORECASE if folded else 0) for pattern, folded in DATA["secrets"]]
#: What an agent tells of its own steps; here there are none.
OF_AGENTS = {
    "steps": [],
    "probes": [],
    "hooks": [],
    "protection": None,
    "rolled_back": None,
    "found": "",
    "left_in": "",
    "strays": [],
    "removed": [],
    "notes": [],
}
LONGEST = {"name": NAME, "version": NAME, "old_version": NAME, "action": WORD, "repository": NAME}


def plain(text):
    """Return a text without what drives terminals."""
    return UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def masked(text):
    """Return a text in which what looks like a secret is stars."""
    for sign in SECRETS:
        text = sign.sub(lambda found: found.group(1) + "*" * len(found.group(2)), text)
    return text


def without_secrets(value):
    """Return a value of JSON in which each text is masked."""
    if isinstance(value, dict):
        return {key: without_secrets(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_secrets(one) for one in value]
    return masked(value) if isinstance(value, str) else value


def packages(stdout):
    """Return what the last line tells that is a JSON list. Raises ValueError where there is none of packages."""
    listed = _last_list(stdout.decode("utf-8", "replace"))
    if len(listed) > MOST["packages"]:
        raise ValueError("The script names %d packages; at most %d are believed." % (len(listed), MOST["packages"]))
    return [_package(one) for one in listed]


def _last_list(text):
    for line in reversed(text.split("\n")):
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            found = _loaded(stripped)
            if isinstance(found, list):
                return found
    raise ValueError("The script's output holds no line that is a JSON list of packages.")


def _loaded(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _package(entry):
    if not isinstance(entry, dict):
        raise ValueError("The script's list holds something that is not a package.")  # noqa: TRY004  the text is wrong
    told = {key: _field(entry, key) for key in LONGEST}
    if not told["name"]:
        raise ValueError("The script's list holds a package without a name.")
    security, size = entry.get("security"), entry.get("size")
    told["action"] = told["action"] or "upgrade"
    told["security"] = security if isinstance(security, bool) else None
    told["size"] = size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= 2**53 else None
    return told


def _field(entry, key):
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST[key]:
        raise ValueError("A package's '%s' is not a text of at most %d characters." % (key, LONGEST[key]))
    if plain(value) != value:
        raise ValueError("A package's '%s' holds control characters or is not valid Unicode." % key)
    return value


def notes(stdout):
    """Return a report, and how the script says that it ended: partial, blocked, quarantined or nothing."""
    report = {
        "left": [],
        "conffiles": [],
        "lock": None,
        "interrupted": None,
        "not_refreshed": [],
        "reboot_required": None,
        "reboot_why": [],
        "services": [],
        "kernel_running": "",
        "kernel_newest": "",
        "system": None,
    }
    report.update({name: list(value) if isinstance(value, list) else value for name, value in OF_AGENTS.items()})
    ended = ""
    for record in _records(stdout):
        kind = record.get("kind")
        if kind == "ended" and record.get("how") in ("partial", "blocked", "quarantined"):
            ended = record["how"]
        elif isinstance(kind, str) and kind in READERS:
            READERS[kind](report, record)
    return report, ended


def _records(stdout):
    seen = 0
    for line in stdout.split(b"\n"):
        if not line.startswith(MARK) or len(line) > MOST["note"]:
            continue
        seen += 1
        if seen > MOST["notes"]:
            return
        record = _loaded(line[len(MARK) - 1 :].decode("utf-8", "replace"))
        if isinstance(record, dict):
            yield record


def _text(record, key, longest):
    value = record.get(key)
    return plain(value)[:longest] if isinstance(value, str) else ""


def _left(report, record):
    one = {key: _text(record, key, NAME) for key in ("name", "old_version", "version")}
    one.update(why=_text(record, "why", WORD), reason="")
    if one["name"] and len(report["left"]) < MOST["left"]:
        report["left"].append(one)


def _lock(report, record):
    pid = record.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or not 0 < pid < 2**31:
        pid = 0
    report["lock"] = {"pid": pid, "name": _text(record, "name", NAME)}


def _interrupted(report, record):
    report["interrupted"] = {"what": _text(record, "what", PATH), "repaired": record.get("repaired") is True}


def _reboot(report, record):
    required, why = record.get("required"), record.get("why")
    report["reboot_required"] = required if isinstance(required, bool) else None
    reasons = [plain(one)[:NAME] for one in why if isinstance(one, str)] if isinstance(why, list) else []
    report["reboot_why"] = reasons[: MOST["paths"]]


def _kernel(report, record):
    report["kernel_running"] = _text(record, "running", NAME)
    report["kernel_newest"] = _text(record, "newest", NAME)


def _system(report, record):
    report["system"] = {key: _text(record, key, NAME) for key in ("id", "version", "name")}
    report["system"]["support_end"] = _text(record, "support_end", WORD)


def _one_of(attribute, key, longest):
    def add(report, record):
        text = _text(record, key, longest)
        if text and len(report[attribute]) < MOST["paths"] and text not in report[attribute]:
            report[attribute].append(text)

    return add


READERS = {
    "left": _left,
    "conffile": _one_of("conffiles", "path", PATH),
    "lock": _lock,
    "interrupted": _interrupted,
    "not_refreshed": _one_of("not_refreshed", "repository", PATH),
    "reboot": _reboot,
    "service": _one_of("services", "name", NAME),
    "kernel": _kernel,
    "system": _system,
}
