"""The collection reads what scripts print, and chooses scripts, as the agent and the control plane do."""

import itertools
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from ansible_collections.nanny.ops.plugins.plugin_utils import carried, report, verdict
from ansible_collections.nanny.ops.plugins.plugin_utils.script_run import Ended

from nanny_ops.machine.packages import note
from nanny_ops.machine.run import Done
from nanny_ops.machine.script_run import judge
from nanny_ops.patch_scripts.distribution import script_for
from nanny_ops.protocol.package_list import parse
from nanny_ops.protocol.patch_report import PatchReport
from nanny_ops.protocol.redaction import masked
from tests.house.tree import ROOT

GOLDEN = sorted((ROOT / "tests/golden/packages").glob("*/*.json"))
SYSTEMS = json.loads((ROOT / "tests/recorded/os-release.json").read_text())
#: Notes as scripts write them, and as strangers might.
NOTES = [
    {"kind": "left", "name": "a", "old_version": "1", "version": "2", "why": "held"},
    {"kind": "left", "name": "b\x1b[2J", "version": ["2"]},
    {"kind": "left"},
    {"kind": "conffile", "path": "/etc/a.dpkg-dist"},
    {"kind": "conffile", "path": "/etc/a.dpkg-dist"},
    {"kind": "lock", "pid": True, "name": "x"},
    {"kind": "lock", "pid": 7, "name": "apt-get"},
    {"kind": "interrupted", "what": "half", "repaired": 1},
    {"kind": "interrupted", "what": "half", "repaired": True},
    {"kind": "not_refreshed", "repository": "http://x"},
    {"kind": "reboot", "required": True, "why": ["dbus", 7, "k" * 300]},
    {"kind": "reboot", "required": 0, "why": "dbus"},
    {"kind": "service", "name": "ssh.service"},
    {"kind": "kernel", "running": "6.8", "newest": "6.11" * 100},
    {"kind": "system", "id": "debian", "version": "12", "name": "Debian", "support_end": "2026-06-10"},
    {"kind": "ended", "how": "well"},
    {"kind": "ended", "how": ["partial"]},
    {"kind": ["left"], "name": "a"},
    {"kind": "conffile", "path": "x" * note.LONGEST_NOTE},
    [],
]
#: What a script may say of its end, and its last line.
ENDS = ("", "partial", "blocked", "quarantined")
LISTS = (b"[]\n", b'[{"name": "a"}]\n', b'[{"name": "a"}, {"name": "b"}]\n', b"[1]\n", b"")


def lines(*records: object) -> bytes:
    return b"".join(b"nanny-note " + json.dumps(one).encode() + b"\n" for one in records)


def told(stdout: bytes) -> tuple[PatchReport, str]:
    notes = note.read(stdout)
    return notes.report(), notes.ended


@pytest.mark.parametrize("record", NOTES, ids=str)
def test_a_note_becomes_the_same_report(record: object) -> None:
    found, ended = told(lines(record))
    assert report.notes(lines(record)) == (asdict(found), ended)


def test_all_of_them_together_and_too_many_are_the_same() -> None:
    stdout = lines(*NOTES, *({"kind": "service", "name": f"s{number}"} for number in range(1100)))
    stdout += b"nanny-note {\nnanny-note \xff\n nanny-note {}\n" + lines({"kind": "ended", "how": "blocked"})
    found, ended = told(stdout)
    assert report.notes(stdout) == (asdict(found), ended)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_packages_are_read_the_same(path: Path) -> None:
    stdout = b"Reading...\n" + json.dumps(json.loads(path.read_text())["packages"]).encode() + b"\n"
    assert report.packages(stdout) == [asdict(one) for one in parse(stdout)]


@pytest.mark.parametrize("code", [0, 2, 3, 4, 5, 6, 100, 124, 130, 137, 143])
def test_an_end_has_the_same_outcome_and_reason(code: int) -> None:
    stderr = b"https://me:geheim@example.com/ failed\n\n"
    for how, last, seconds in itertools.product(ENDS, LISTS, (3, 60)):
        stdout = lines({"kind": "ended", "how": how}) + last
        done = Done(argv=("sh",), exit_code=code, stdout=stdout, stderr=stderr, seconds=seconds)
        outcome, reason = judge(done, 60, False, lambda: None)
        assert verdict.judged(Ended(code, seconds, stdout, stderr), 60) == (outcome.value, reason)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda one: f"{one['id']} {one['version']}")
def test_a_system_gets_the_script_that_the_control_plane_gives_it(system: dict[str, str]) -> None:
    text = f'ID={system["id"]}\nID_LIKE="{system["like"]}"\nVERSION_ID="{system["version"]}"\n'
    found = carried.script_for(carried.words(text))
    assert found == script_for([f"{system['id']}:{system['version']}", *system["like"].split()])
    assert found[0] == system["script"]


@pytest.mark.parametrize("secret", ["password=geheim x", "nsk_0123456789abcdef", "Authorization: Bearer abc", "plain"])
def test_secrets_are_masked_the_same(secret: str) -> None:
    assert report.masked(secret).encode() == masked(secret.encode())


def test_an_operation_is_named_as_those_of_the_control_plane() -> None:
    from nanny_ops.protocol.patch import PatchOperation

    made = verdict.operation("web1", "apply", "ok", "1 package.", Ended(0, 1, b"[]", b""))
    assert made.keys() <= PatchOperation.__dataclass_fields__.keys()
